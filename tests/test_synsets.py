import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.errors import CallError
from modnet_keras.tasks import (
    find_synset,
    hypernym_distances,
    is_synset,
    is_synset_id,
    synset_name,
)

CANINE, DOG, CHIHUAHUA, MAMMAL, ENTITY = (
    "n02083346",
    "n02084071",
    "n02085620",
    "n01861778",
    "n00001740",
)


def refusal(entry: str) -> str:
    with pytest.raises(CallError) as refused:
        find_synset(entry)
    return str(refused.value)


@pytest.mark.parametrize("name", ["n02083346", "n00000000"])
def test_the_form_of_an_id(name):
    assert is_synset_id(name)


@pytest.mark.parametrize("name", ["", "n0208334", "n020833460", "n02083346\n", "02083346", "dogs"])
def test_not_the_form_of_an_id(name):
    assert not is_synset_id(name)
    assert not is_synset(name)


def test_an_id_that_wordnet_lacks_is_no_synset():
    assert not is_synset("n00000000")
    assert not is_synset("n99999999")


@pytest.mark.parametrize(
    ("entry", "synset_id"),
    [
        (CANINE, CANINE),
        ("canine.n.02", CANINE),
        ("Canine.N.2", CANINE),
        ("chihuahua.n.03", CHIHUAHUA),
        ("coral reef", "n09256479"),
        ("coral_reef", "n09256479"),
        (" Coral  Reef ", "n09256479"),
        ("Canis lupus", "n02114367"),
        ("entity.n.01", ENTITY),
    ],
)
def test_every_way_to_name_a_synset(entry, synset_id):
    assert find_synset(entry) == synset_id


def test_a_lemma_of_several_senses_is_refused_with_all_of_them():
    message = refusal("canine")
    assert "n05307091 (canine.n.01, a kind of tooth)" in message
    assert "n02083346 (canine.n.02, a kind of carnivore)" in message


def test_an_unknown_lemma_is_refused_with_the_nearest():
    assert "'golden_retriever'" in refusal("goldn retriever")


def test_a_sense_that_a_lemma_lacks_is_refused_with_those_that_it_has():
    assert "canine.n.02" in refusal("canine.n.03")
    assert "canine.n.02" in refusal("canine.n.00")


def test_an_unknown_id_is_refused_by_name():
    assert "n99999999" in refusal("n99999999")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_synset_or_refused_in_one_line(entry):
    try:
        assert is_synset(find_synset(entry))
    except CallError as error:
        assert "\n" not in str(error).replace(entry, "")


def test_names_are_words():
    assert synset_name(CHIHUAHUA) == "Chihuahua"
    assert synset_name("n02099601") == "golden retriever"


def test_distances_take_the_shortest_way_up():
    distances = hypernym_distances(DOG)
    assert distances[DOG] == 0
    assert distances[CANINE] == 1
    assert distances["n01317541"] == 1  # domestic animal: the way that leaves out the carnivores
    assert distances["n00015388"] == 2  # animal, by way of domestic animal
    assert distances[MAMMAL] == 4
    assert ENTITY in distances
    assert CHIHUAHUA not in distances


def test_an_instance_stands_below_its_class():
    alps = find_synset("the_alps")
    assert hypernym_distances(alps)["n09403734"] == 1  # mountain range


def test_distances_of_what_is_no_synset_are_refused():
    with pytest.raises(CallError, match="cats"):
        hypernym_distances("cats")


def test_data_is_read_when_needed_and_soon_read():
    program = (
        "import sys, time\n"
        "from modnet_keras.tasks import find_synset, hypernym_distances, is_synset_id, synsets\n"
        "is_synset_id('n02083346')\n"
        "assert not synsets._data_lines.cache_info().currsize\n"
        "start = time.process_time()\n"
        "hypernym_distances('n02085620'), find_synset('coral reef')\n"
        "print(time.process_time() - start)\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    seconds = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert float(seconds) < 0.3
