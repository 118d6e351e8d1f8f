import gzip
import re
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.errors import CallError
from modnet_keras.tasks import (
    REST_OF_PARENT,
    Labeller,
    Task,
    TaskSpec,
    find_synset,
    image_class,
    load_task,
)
from modnet_keras.tasks.synsets import DATA_FILE

SHIPPED_SPECS = Path(__file__).parents[1] / "task_specs"

CANINES = ["n02085620", "n02094433", "n02099601", "n02099712", "n02106662", "n02113799"]
FELINES = ["n02123045", "n02123394", "n02124075", "n02125311", "n02129165"]
OTHER_MAMMALS = ["n02132136", "n02509815", "n01882714", "n02364673"]
OTHER_MAMMALS += ["n02395406", "n02403003", "n02410509", "n02415577"]
FLORA_AND_FUNGI = ["n12267677", "n07734744"]
FORMATIONS = ["n09193705", "n09246464", "n09256479", "n09332890", "n09428293"]
CONSTRUCTIONS = ["n02793495", "n03126707", "n03160309", "n04311004", "n04366367"]
TINY_IMAGENET = CANINES + FELINES + OTHER_MAMMALS + FLORA_AND_FUNGI + FORMATIONS + CONSTRUCTIONS

CANINE, FELINE, CARNIVORE, MAMMAL, DOG, DOMESTIC_ANIMAL, RETRIEVER, GOLDEN = (
    "n02083346",
    "n02120997",
    "n02075296",
    "n01861778",
    "n02084071",
    "n01317541",
    "n02099029",
    "n02099601",
)


def task_of(positive, negative, parent=None, name="task") -> Task:
    negative = negative if negative == REST_OF_PARENT else tuple(negative)
    return Task(TaskSpec(name, parent and parent.name, tuple(positive), negative), parent)


def label(task: Task, path: str):
    folders = tuple(path.split("/"))
    return Labeller(task, set(folders)).label(folders)


def refusal(task: Task, folder_names) -> str:
    with pytest.raises(CallError) as refused:
        Labeller(task, folder_names)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "positive", "negative"),
    [
        ("animals", CANINES + FELINES, FLORA_AND_FUNGI + FORMATIONS + CONSTRUCTIONS),
        ("canines", CANINES, FELINES + OTHER_MAMMALS),
        ("felines", FELINES, CANINES + OTHER_MAMMALS),
        ("retrievers", ["n02099601", "n02099712"], ["n02085620", "n02094433"] + CANINES[4:]),
        ("wolf", [], CANINES),
    ],
)
def test_what_the_shipped_tasks_take_of_tiny_imagenet(name, positive, negative):
    assert len(TINY_IMAGENET) == 31
    labeller = Labeller(load_task(name), {*TINY_IMAGENET, "train", "images"})
    labels = {wnid: labeller.label(("train", wnid, "images")) for wnid in TINY_IMAGENET}
    assert [wnid for wnid in TINY_IMAGENET if labels[wnid] == 1] == positive
    assert sorted(wnid for wnid in TINY_IMAGENET if labels[wnid] == 0) == sorted(negative)


@pytest.mark.parametrize(
    ("wnid", "expected"),
    [
        ("n02114367", 1),  # timber wolf
        ("n02119022", 1),  # red fox
        ("n02130308", 1),  # cheetah
        ("n02391049", None),  # zebra
        ("n01443537", None),  # goldfish
        ("n04398044", None),  # teapot
        ("n09229709", None),  # bubble
        ("n11939491", 0),  # daisy
        ("n12768682", 0),  # buckeye
        ("n07742313", 0),  # Granny Smith
        ("n12985857", 0),  # coral fungus
        ("n12998815", 0),  # agaric
        ("n09288635", 0),  # geyser
        ("n09399592", 0),  # promontory
        ("n09421951", 0),  # sandbar
        ("n09468604", 0),  # valley
        ("n09472597", 0),  # volcano
        ("n02980441", 0),  # castle
        ("n04532670", 0),  # viaduct
        ("n03743016", 0),  # megalith
    ],
)
def test_animals_on_more_of_imagenet(wnid, expected):
    assert label(load_task("animals"), f"train/{wnid}") == expected


@pytest.mark.parametrize("name", ["animals", "canines", "felines", "retrievers", "wolf"])
def test_the_names_beside_the_shipped_ids_are_right(name):
    text = (SHIPPED_SPECS / f"{name}.yaml").read_text()
    named = re.findall(r"(n[0-9]{8}) # ([\w.]+)", text)
    assert {synset_id for synset_id, _ in named} >= set(load_task(name).spec.positive)
    assert [find_synset(sense) for _, sense in named] == [synset_id for synset_id, _ in named]


def test_the_nearest_entry_decides():
    task = task_of([CANINE], [MAMMAL])
    assert label(task, "n02099601") == 1
    assert label(task, "n02123045") == 0
    assert label(task, "n07734744") is None
    assert label(task_of([MAMMAL], [CANINE]), "n02099601") == 0


def test_the_nearest_folder_comes_before_the_nearest_synset():
    task = task_of([CANINE], [FELINE])
    assert label(task, "n02083346/n02123045") == 0
    assert label(task, "n02123045/n02083346/images") == 1


def test_an_entry_may_be_a_folder_at_any_depth():
    task = task_of(["cats"], ["other"])
    assert label(task, "other/cats/2020") == 1
    assert label(task, "cats/other") == 0
    labeller = Labeller(task, {"cats", "other", "Cats"})
    assert labeller.label(("Cats",)) is None
    assert labeller.label(()) is None


def test_a_folder_wins_over_a_lemma():
    task = task_of(["canine"], ["mushroom.n.05"])
    assert label(task, "canine/mushroom.n.05/canine") == 1
    assert label(task, "canine/mushroom.n.05") == 0
    assert "n05307091 (canine.n.01" in refusal(task, {"n02085620"})
    assert label(task_of(["retriever"], ["other"]), "other/retriever/n02099601") == 1


def test_a_folder_named_by_a_synset_still_stands_below_others():
    assert label(task_of([CANINE], ["other"]), "other/n02083346/x") == 1
    labeller = Labeller(task_of([CANINE], [FELINE]), {CANINE, DOG, "n02123045"})
    assert labeller.label((DOG,)) == 1


def test_what_is_neither_folder_nor_noun_is_refused_with_the_nearest():
    message = refusal(task_of(["my_cast"], ["n02083346"]), {"my_cats", "n02083346"})
    assert "'my_cast' (the nearest is 'my_cats')" in message
    assert "task 'task'" in message
    assert "n99999999" in refusal(task_of(["n99999999"], ["n02083346"]), {"a"})


def test_an_id_that_wordnet_lacks_is_a_folder_like_others():
    assert label(task_of(["n99999999"], ["other"]), "other/n99999999/images") == 1


def test_a_tie_is_refused_with_the_path():
    task = task_of([CANINE], [DOMESTIC_ANIMAL])  # a dog is both, one step below each
    labeller = Labeller(task, {"train", DOG})
    for _ in range(2):
        with pytest.raises(CallError, match=f"train/{DOG} .*positive.*{CANINE}"):
            labeller.label(("train", DOG))


def test_one_synset_under_two_names_is_no_yes_and_no():
    assert CANINE in refusal(task_of(["canine.n.02"], [CANINE]), {"n02085620"})


def test_the_rest_of_the_parent():
    canines = task_of([CANINE], [MAMMAL], name="canines")
    dogs = task_of([DOG], REST_OF_PARENT, canines, name="dogs")
    retrievers = task_of([RETRIEVER], REST_OF_PARENT, dogs, name="retrievers")
    for wnid, as_dog, as_retriever in [
        ("n02099601", 1, 1),
        ("n02085620", 1, 0),
        ("n02114367", 0, None),
        ("n02123045", None, None),
        ("n07734744", None, None),
    ]:
        assert label(dogs, wnid) == as_dog
        assert label(retrievers, wnid) == as_retriever


def test_entries_that_stand_for_no_folder_are_told():
    task = task_of([RETRIEVER, CANINE, "cats"], [FELINE, "coral reef"])
    labeller = Labeller(task, {"n02085620", "cats", "n09256479"})
    assert labeller.unmatched_entries == (RETRIEVER, FELINE)


def test_the_class_of_an_image():
    assert image_class(("train", "n02085620", "images")) == "n02085620"
    assert image_class(("n02083346", "n02085620")) == "n02085620"
    assert image_class(("n99999999", "cats")) == "n99999999/cats"
    assert image_class(("train", "cats")) == "train/cats"
    assert image_class(()) == "."


def test_a_million_images_in_thousands_of_folders_are_quick():
    labeller = Labeller(load_task("animals"), TINY_IMAGENET)
    folders = [("train", wnid, str(part)) for wnid, part in product(TINY_IMAGENET, range(100))]
    start = time.process_time()
    for _ in range(100):
        for each in folders:
            labeller.label(each)
    assert time.process_time() - start < 1.5


def read_hypernyms() -> dict[str, list[str]]:
    lines = gzip.decompress(DATA_FILE.read_bytes()).decode().splitlines()
    return {fields[0]: fields[1].split() for fields in (line.split("\t") for line in lines)}


HYPERNYMS = read_hypernyms()


def routes_up(name: str, steps: int = 0):
    """Every way up from a folder's name, not the shortest alone."""
    yield name, steps
    for hypernym in HYPERNYMS.get(name, []):
        yield from routes_up(hypernym, steps + 1)


def reference_label(task: Task, folders) -> int | str | None:
    """The rules as they are worded, one candidate for each folder, way up and entry."""
    sides = [(1, task.spec.positive)]
    if task.spec.negative != REST_OF_PARENT:
        sides.append((0, task.spec.negative))
    candidates = [
        (up, steps, side)
        for up, name in enumerate(reversed(folders))
        for meaning, steps in routes_up(name)
        for side, entries in sides
        if meaning in entries
    ]
    if candidates:
        nearest = min(candidates)[:2]
        labels = {side for *distance, side in candidates if tuple(distance) == nearest}
        return labels.pop() if len(labels) == 1 else "tie"
    if task.spec.negative == REST_OF_PARENT:
        above = reference_label(task.parent, folders)
        return {1: 0, "tie": "tie"}.get(above)
    return None


# Synsets with several ways up: dogs are domestic animals too, apples are food and fruit.
LEAVES = [*CANINES[:4], *FELINES[:3], "n07742313", "n09421951", "n12267677"]
SYNSETS = sorted({meaning for leaf in LEAVES for meaning, _ in routes_up(leaf)})
NAMES = [*SYNSETS, "cats", "dogs", "images", "n99999999"]


@st.composite
def tasks(draw, depth=2):
    chosen = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=8, unique=True))
    cut = draw(st.integers(1, len(chosen) - 1))
    if depth and draw(st.booleans()):
        return task_of(chosen, REST_OF_PARENT, draw(tasks(depth - 1)), name=f"task{depth}")
    return task_of(chosen[:cut], chosen[cut:], name=f"task{depth}")


@settings(max_examples=300, deadline=None)
@given(tasks(), st.lists(st.lists(st.sampled_from(NAMES), max_size=4).map(tuple), max_size=5))
def test_labels_are_those_of_the_rules(task, paths):
    labeller = Labeller(task, set(NAMES))
    for folders in paths:
        expected = reference_label(task, folders)
        if expected == "tie":
            with pytest.raises(CallError):
                labeller.label(folders)
        else:
            assert labeller.label(folders) == expected
