"""From logits to answers: what a run says, and the way down a tree."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.serving.answers import answer, rows_of


class Hierarchy:
    """As much of a `Tree` as `answer` looks at."""

    def __init__(self, parents, is_single=False):
        self.tasks = tuple(parents)
        self.parents = tuple(parents.values())
        self.name = self.tasks[0]
        self.is_single = is_single


SINGLE = Hierarchy({"canines": None}, is_single=True)
TREE = Hierarchy({"animals": None, "canines": "animals", "felines": "animals", "wolf": "canines"})


def answers(tree, logits, valid=None):
    logits = np.array(logits, "float32")
    valid = np.ones(len(logits), bool) if valid is None else np.array(valid)
    return rows_of(answer(tree, tf.constant(logits), tf.constant(valid)))


def test_a_run_says_its_name_or_not():
    yes, no, border = answers(SINGLE, [[2.0], [-2.0], [0.0]])
    assert yes == {"probability": pytest.approx(0.880797), "label": "canines", "valid": True}
    assert no == {"probability": pytest.approx(0.119203), "label": "not-canines", "valid": True}
    assert border["label"] == "not-canines", "as metrics count it: yes is over 0"


@pytest.mark.parametrize(
    ("logits", "path", "label", "asked"),
    [
        ([-1.0, 5.0, 5.0, 5.0], "", "not-animals", ["animals"]),
        ([1.0, -1.0, -1.0, 9.0], "animals", "animals", ["animals"]),
        ([1.0, 2.0, 1.0, -1.0], "animals > canines", "canines", ["animals", "canines"]),
        ([1.0, 1.0, 2.0, 9.0], "animals > felines", "felines", ["animals", "felines"]),
        ([1.0, 2.0, -1.0, 3.0], "animals > canines > wolf", "wolf", ["animals", "canines", "wolf"]),
    ],
)
def test_a_child_is_asked_where_its_parent_said_yes(logits, path, label, asked):
    (row,) = answers(TREE, [logits])
    probabilities = dict(zip(row["tasks"], row["probability"], strict=True))
    assert (row["path"], row["label"], row["valid"]) == (path, label, True)
    assert row["tasks"] == list(TREE.tasks)
    np.testing.assert_allclose(row["probability"], 1 / (1 + np.exp(-np.array(logits))), rtol=1e-6)
    product = np.prod([probabilities[task] for task in asked])
    assert row["path_probability"] == pytest.approx(product)


@pytest.mark.parametrize("tree", [SINGLE, TREE])
def test_what_is_no_picture_has_no_answer_whatever_its_logits(tree):
    logits = np.full((3, len(tree.tasks)), np.nan)
    logits[1] = 3.0
    broken, good, worse = answers(tree, logits, [False, True, False])
    assert broken == worse and good["valid"] and good["label"] == tree.tasks[-1]
    assert not broken["valid"] and broken["label"] == "" and not np.any(broken["probability"])
    if tree is TREE:
        assert broken["path"] == "" and broken["path_probability"] == 0


def walked(parents, logits):
    """The way down, written as one would say it."""
    by_name = dict(zip(parents, logits, strict=True))
    root = next(iter(parents))
    path = [root] if by_name[root] > 0 else []
    while path:
        children = [name for name, above in parents.items() if above == path[-1]]
        best = max(children, key=by_name.get, default=None)
        if best is None or by_name[best] <= 0:
            break
        path.append(best)
    return path


@st.composite
def hierarchies(draw):
    """Any tree of up to eight tasks, a parent before its children."""
    parents = {"t0": None}
    for number in range(1, draw(st.integers(1, 8))):
        parents[f"t{number}"] = f"t{draw(st.integers(0, number - 1))}"
    return parents


@settings(deadline=None, max_examples=150)
@given(hierarchies(), st.data())
def test_the_way_down_any_tree_is_that_of_asking_one_by_one(parents, data):
    # TensorFlow takes subnormal numbers for 0.
    number = st.floats(-30, 30, width=32, allow_subnormal=False)
    row = st.lists(number, min_size=len(parents), max_size=len(parents), unique=True)
    logits = data.draw(st.lists(row, min_size=1, max_size=5))
    for found, of_row in zip(answers(Hierarchy(parents), logits), logits, strict=True):
        path = walked(parents, of_row)
        assert found["path"] == " > ".join(path)
        assert found["label"] == (path[-1] if path else "not-t0")


def test_no_rows_give_empty_answers_of_the_right_shape():
    empty = answer(TREE, tf.zeros([0, 4]), tf.zeros([0], tf.bool))
    assert empty["probability"].shape == (0, 4) and empty["tasks"].shape == (0, 4)
    assert {empty[key].shape for key in ("path", "path_probability", "label", "valid")} == {(0,)}
