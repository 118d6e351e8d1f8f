"""Which runs answer together, and the one network that they become."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from test_decode import encode

from modnet_keras import load_run, load_tree
from modnet_keras.data.decode_rows import decode_rows
from modnet_keras.data.input_pipeline import OFFSET, SCALE
from modnet_keras.errors import CallError, WorkError
from modnet_keras.models import hash_parts
from modnet_keras.serving import servable
from modnet_keras.serving.explain import Explainer
from modnet_keras.serving.network import build_network
from modnet_keras.serving.tree import as_tree, named_tree

PICTURES = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype("float32")


def names(tree):
    return [f"{run.config['task']}/{run.name}" for run in tree.runs]


def edit_config(run, **changes):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | changes))


def test_a_tree_is_the_task_with_all_below_it_that_is_trained(runs):
    tree = load_tree("animals", runs=runs)
    assert names(tree) == ["animals/scratch", "canines/frozen", "wolf/frozen"]
    assert tree.parents == (None, "animals", "canines") and tree.image_size == 32
    below = load_tree("canines", runs=runs)
    assert below.tasks == ("canines", "wolf") and below.parents == (None, "canines")


def test_frozen_is_taken_where_a_task_has_several_runs_or_what_is_picked(trained):
    assert names(load_tree("canines", runs=trained))[0] == "canines/frozen"
    picked = load_tree("animals", runs=trained, pick=["canines/finetune"])
    assert names(picked) == ["animals/scratch", "canines/finetune", "wolf/frozen"]


def test_an_unfinished_run_is_passed_over(own_runs):
    (own_runs / "wolf" / "frozen" / "metrics.json").unlink()
    assert load_tree("animals", runs=own_runs).tasks == ("animals", "canines")


def two_without_frozen(runs):
    for name in ("one", "two"):
        shutil.copytree(runs / "canines" / "frozen", runs / "canines" / name)
        edit_config(runs / "canines" / name, strategy="finetune")
    shutil.rmtree(runs / "canines" / "frozen")


def no_parent(runs):
    shutil.rmtree(runs / "canines")


def another_size(runs):
    edit_config(runs / "wolf" / "frozen", image_size=64)


def another_spec(runs):
    config = json.loads((runs / "wolf" / "frozen" / "config.json").read_text())
    config["specs"][1]["positive"] = ["n02084071"]
    edit_config(runs / "wolf" / "frozen", specs=config["specs"])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (two_without_frozen, CallError, ["canines", "--pick=canines/one", "canines/two"]),
        (no_parent, CallError, ["wolf", "canines above it has none"]),
        (another_size, WorkError, ["64 px", "32 px"]),
        (another_spec, WorkError, ["another spec of canines"]),
    ],
)
def test_runs_that_make_no_tree_are_refused(own_runs, change, error, words):
    change(own_runs)
    with pytest.raises(error) as refusal:
        load_tree("animals", runs=own_runs)
    assert all(word in str(refusal.value) for word in words), refusal.value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tree": "felines"}, ["felines", "animals, canines, wolf"]),
        ({"tree": "animals", "runs": "nowhere"}, ["animals", "nowhere"]),
        ({"tree": "animals", "pick": ["canines"]}, ["task/run", "canines"]),
        ({"tree": "animals", "pick": ["canine/frozen"]}, ["did you mean 'canines'"]),
        ({"tree": "animals", "pick": ["canines/frozn"]}, ["did you mean 'frozen'"]),
        ({"tree": "animals", "run": "runs/animals/scratch"}, ["either --run", "--tree"]),
        ({}, ["either --run", "--tree"]),
        ({"run": "x", "pick": ["a/b"]}, ["--pick"]),
        ({"tree": "animals", "pick": ["canines/a", "canines/b"]}, ["two runs of task canines"]),
    ],
)
def test_a_wrong_call_is_refused(runs, given, words):
    with pytest.raises(CallError) as refusal:
        named_tree(**{"runs": runs} | given)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_what_frozen_children_took_over_is_computed_once(runs):
    network = build_network(load_tree("animals", runs=runs))
    parts = [layer.name for layer in network.layers if isinstance(layer, keras.Model)]
    assert sorted(parts) == [
        "animals_head", "animals_stage_1", "animals_stage_2", "animals_stem",
        "canines_head", "canines_stage_3", "wolf_head", "wolf_stage_4",
    ]  # fmt: skip


def test_a_child_that_changed_its_parents_stages_brings_its_own(trained):
    network = build_network(load_tree("canines", runs=trained, pick=["canines/finetune"]))
    parts = [layer.name for layer in network.layers if isinstance(layer, keras.Model)]
    assert {"canines_stem", "wolf_stem", "canines_stage_3", "wolf_stage_3"} <= {*parts}


@pytest.mark.parametrize("pick", [(), ("canines/finetune",), ("canines/frozen-weights",)])
def test_a_tree_answers_as_its_runs_do_alone_to_the_bit(trained, pick):
    tree = load_tree("animals", runs=trained, pick=pick)
    logits = build_network(tree)(PICTURES).numpy()
    for place, run in enumerate(tree.runs):
        alone = load_run(run.folder).model(PICTURES * SCALE + OFFSET, training=False)
        np.testing.assert_array_equal(logits[:, [place]], alone)


def test_folded_batch_norm_changes_no_probability(trained):
    tree = load_tree("animals", runs=trained, pick=["canines/finetune"])
    folded = build_network(tree, precision="float32", fold=True)
    kinds = {
        type(layer).__name__ for part in folded.layers for layer in getattr(part, "layers", [])
    }
    assert "FusedBatchNormalization" not in kinds and "Conv2D" in kinds
    exact = tf.sigmoid(build_network(tree, precision="float32")(PICTURES))
    np.testing.assert_allclose(tf.sigmoid(folded(PICTURES)), exact, rtol=0, atol=1e-5)


def test_other_weights_than_were_trained_are_refused(own_runs):
    run = load_run(own_runs / "canines" / "frozen")
    run.model.get_layer("head").get_layer("head_logit").bias.assign([3.0])
    run.model.save(run.folder / "model.keras")
    with pytest.raises(WorkError, match="not those that were trained"):
        build_network(load_tree("animals", runs=own_runs))


CONTENTS = [encode(Image.fromarray(picture.astype("uint8")), "PNG") for picture in PICTURES]


def gradient_map(run, pictures):
    """Grad-CAM as it is defined: by the gradient of the logit, averaged over places."""
    parts = run.model.layers[1:]
    features = pictures * SCALE + OFFSET
    for part in parts[:-1]:
        features = part(features, training=False)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = parts[-1](features)
    gradients = tape.gradient(logits, features)
    weights = tf.reduce_mean(gradients, axis=[1, 2], keepdims=True)
    sign = tf.where(logits > 0, 1.0, -1.0)[:, :, None]
    return tf.nn.relu(sign * tf.reduce_sum(weights * features, axis=-1)).numpy()


@pytest.mark.parametrize("answer", ["canines", "not-canines"])
def test_heat_maps_are_grad_cam(own_runs, answer):
    folder = own_runs / "canines" / "frozen"
    say(folder, 50.0 if answer == "canines" else -50.0)
    run = load_run(folder)
    found = Explainer(as_tree(run), decode_rows).explain(CONTENTS)
    assert {explanation.row["label"] for explanation in found} == {answer}
    pictures, _ = decode_rows(CONTENTS, 32)
    for explanation, by_gradient in zip(found, gradient_map(run, pictures), strict=True):
        check_heat(explanation, by_gradient)
    assert any(explanation.heat.max() == 1 for explanation in found)


def check_heat(explanation, by_gradient):
    assert explanation.heat.shape == (32, 32) and explanation.heat.dtype == np.float32
    enlarged = keras.ops.image.resize(by_gradient[..., None], (32, 32))[..., 0].numpy()
    scaled = enlarged / enlarged.max() if enlarged.max() > 0 else enlarged
    np.testing.assert_allclose(explanation.heat, scaled, atol=1e-4)


def test_a_trees_heat_map_is_of_the_answer_that_was_given(own_runs):
    # A root that says yes to everything, so that its children are asked.
    say(own_runs / "animals" / "scratch", 50.0)
    say(own_runs / "canines" / "frozen", 50.0)
    tree = load_tree("canines", runs=own_runs)
    found = Explainer(tree, decode_rows).explain([*CONTENTS[:2], b"no picture", *CONTENTS[3:]])
    assert found[2] is None
    pictures, _ = decode_rows(CONTENTS, 32)
    by_task = {run.config["task"]: gradient_map(run, pictures) for run in tree.runs}
    for place in (0, 1, 3, 4):
        explanation = found[place]
        assert explanation.row["label"] == explanation.task != "not-canines"
        check_heat(explanation, by_task[explanation.task][place])
        assert explanation.overlay().size == explanation.picture.size == (32, 32)
        assert explanation.figure().width > 500


def say(folder, bias):
    """Let a run answer every picture alike: yes by a large bias, no by a negative one."""
    run = load_run(folder)
    run.model.get_layer("head").get_layer("head_logit").bias.assign([bias])
    save_as_trained(run)


def save_as_trained(run):
    run.model.save(run.folder / "model.keras")
    run.write_json("hashes.json", run.hashes | {"after": hash_parts(run.model)})


def test_explaining_is_traced_once_however_often_it_is_asked(runs):
    traced = []

    def load(contents, size):
        traced.append(size)
        return decode_rows(contents, size)

    explainer = Explainer(load_tree("animals", runs=runs), load)
    for count in (1, 3, 2, 5):
        assert len(explainer.explain(CONTENTS[:count])) == count
    assert traced == [32]


def test_weights_that_are_no_numbers_are_refused(own_runs):
    run = load_run(own_runs / "animals" / "scratch")
    run.model.get_layer("head").get_layer("head_logit").bias.assign([np.nan])
    save_as_trained(run)
    with pytest.raises(WorkError, match="no finite numbers"):
        build_network(as_tree(load_run(run.folder)))


def test_batch_norm_is_folded_only_where_that_changes_nothing(runs, monkeypatch):
    tree = as_tree(load_run(runs / "animals" / "scratch"))
    assert servable.Servable(tree).is_folded
    monkeypatch.setattr(servable, "FOLDING_TOLERANCE", 0.0)
    unfolded = servable.Servable(tree)
    assert not unfolded.is_folded and unfolded.network is unfolded.exact


def test_a_copy_of_a_tasks_folder_is_no_other_task(own_runs):
    shutil.copytree(own_runs / "canines", own_runs / "canines-old")
    assert load_tree("animals", runs=own_runs).tasks == ("animals", "canines", "wolf")
    with pytest.raises(CallError, match="canines-old has no finished run"):
        load_tree("canines-old", runs=own_runs)


def test_damage_matters_only_where_the_choice_depends_on_it(own_runs):
    shutil.copytree(own_runs / "canines" / "frozen", own_runs / "canines" / "other")
    (own_runs / "canines" / "other" / "config.json").write_text("{")
    assert (
        names(load_tree("animals", runs=own_runs, pick=["canines/frozen"]))[1] == "canines/frozen"
    )
    with pytest.raises(WorkError, match="other.*damaged"):
        load_tree("animals", runs=own_runs)
