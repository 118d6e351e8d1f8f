"""What the forgetting test leaves out, or refuses before it writes anything."""

import shutil
from pathlib import Path

import pytest
from trainings import change_config

from modnet_keras import load_run, measure_forgetting
from modnet_keras.errors import CallError, WorkError
from modnet_keras.models import hash_parts

TASK_SPECS = Path(__file__).parents[1] / "task_specs"


def test_an_unfinished_run_is_left_out_and_named_where_it_was_asked_for(own_trained, command):
    (own_trained / "canines" / "finetune" / "metrics.json").unlink()
    status, out, _ = command(
        "forget", "--task=canines", f"--runs={own_trained}", "--strategies=frozen", "--repair"
    )
    assert status == 0 and "finetune" not in out and "no run forgot anything" in out
    (own_trained / "canines" / "scratch").rename(own_trained / "scratch")
    status, out, _ = command("forget", "--task=canines", f"--runs={own_trained}")
    assert status == 0 and "Left out" in out


@pytest.mark.parametrize(
    ("arguments", "said", "expected"),
    [
        (["--task=animals"], "root", 2),
        (["--task=felines"], "no finished run", 2),
        (["--task=canines", "--strategies=layerwise"], "no finished run by layerwise", 2),
        (["--task=canines", "--strategies=frozen,frozn"], "frozen", 2),
        (["--task=canines", "--data=nowhere"], "nowhere", 2),
    ],
)
def test_a_wrong_call_is_refused_in_one_sentence(trained, command, arguments, said, expected):
    status, _, err = command("forget", *arguments, f"--runs={trained}")
    assert status == expected and said in err and err.count("\n") == 1


def test_a_run_of_another_parent_than_the_spec_has_now_is_named(own_trained, demo, tmp_path):
    canines = (TASK_SPECS / "canines.yaml").read_text().replace("parent: animals", "parent: beasts")
    (tmp_path / "canines.yaml").write_text(canines)
    (tmp_path / "beasts.yaml").write_text(
        (TASK_SPECS / "animals.yaml").read_text().replace("name: animals", "name: beasts")
    )
    with pytest.raises(WorkError, match="it had parent animals, and now it is beasts"):
        measure_forgetting(tmp_path / "canines.yaml", runs=own_trained)
    shutil.copytree(own_trained / "animals" / "scratch", own_trained / "dogs" / "scratch")
    root = {"name": "dogs", "positive": ["n02083346"], "negative": ["n02120997"]}
    change_config(own_trained / "dogs" / "scratch", task="dogs", specs=[root])
    (tmp_path / "dogs.yaml").write_text(canines.replace("name: canines", "name: dogs"))
    with pytest.raises(WorkError, match="it had no parent, and now it is beasts"):
        measure_forgetting(tmp_path / "dogs.yaml", runs=own_trained)
    assert not [*own_trained.rglob("forgetting*")]


def test_nothing_is_written_into_a_data_folder(own_trained, demo, command):
    before = sorted(demo.rglob("*"))
    for call in (["forget", "--task=canines", f"--to={demo / 'rows.csv'}"],
                 ["report", f"--to={demo / 'pages' / 'report.html'}"]):  # fmt: skip
        status, _, err = command(*call, f"--runs={own_trained}")
        assert status == 2 and "--to" in err and err.count("\n") == 1
    assert sorted(demo.rglob("*")) == before and not [*own_trained.rglob("forgetting*")]


def test_a_parent_that_was_trained_anew_is_told_by_its_hashes(own_trained):
    parent = load_run(own_trained / "animals" / "scratch")
    bias = parent.model.get_layer("head").get_layer("head_logit").bias
    bias.assign(bias + 1)
    parent.model.save(parent.folder / "model.keras")
    parent.write_json("hashes.json", parent.hashes | {"after": hash_parts(parent.model)})
    with pytest.raises(WorkError, match="trained anew since"):
        measure_forgetting("canines", runs=own_trained)
    assert not (own_trained / "canines" / "forgetting.csv").exists()


def test_what_is_gone_is_named(own_trained, trained, demo, tmp_path):
    moved = shutil.copytree(demo, tmp_path / "moved")
    result = measure_forgetting("canines", runs=own_trained, strategies=["frozen"], data=moved)
    assert result.rows[0]["forgetting"] == 0.0
    next(moved.rglob("*.JPEG")).unlink()
    with pytest.raises(WorkError, match="not those that run"):
        measure_forgetting("canines", runs=own_trained, data=moved)
    shutil.copy(
        own_trained / "canines" / "finetune" / "model.keras", own_trained / "canines" / "frozen"
    )
    with pytest.raises(WorkError, match="not those that were trained"):
        measure_forgetting("canines", runs=own_trained)
    change_config(own_trained / "animals" / "scratch", data=str(tmp_path / "gone"))
    shutil.copy(trained / "canines" / "frozen" / "model.keras", own_trained / "canines" / "frozen")
    with pytest.raises(CallError, match="gone' of the parent's run .* say with --data"):
        measure_forgetting("canines", runs=own_trained)
    shutil.rmtree(own_trained / "animals")
    with pytest.raises(WorkError, match="no finished run any more"):
        measure_forgetting("canines", runs=own_trained)
