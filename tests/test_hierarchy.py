import json

import pytest

from modnet_keras.errors import CallError
from modnet_keras.tasks import find_tasks, load_task
from modnet_keras.tasks.hierarchy import Task

SHIPPED = ["animals", "canines", "felines", "retrievers", "wolf"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder, so that the installed specs alone are found."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_spec(folder, name, parent=None, file_name=None, positive="some"):
    folder.mkdir(exist_ok=True)
    file = folder / (file_name or f"{name}.yaml")
    parent_line = f"parent: {parent}\n" if parent else ""
    file.write_text(f"name: {name}\n{parent_line}positive: [{positive}]\nnegative: [other]\n")
    return file


def refusal(name_or_path) -> str:
    with pytest.raises(CallError) as refused:
        load_task(name_or_path)
    return str(refused.value)


def test_a_task_knows_what_stands_above_it():
    wolf = load_task("wolf")
    assert wolf.name == "wolf"
    assert wolf.level == 3
    assert wolf.parent == load_task("canines")
    assert [ancestor.name for ancestor in wolf.ancestors] == ["animals", "canines"]
    assert [ancestor.level for ancestor in wolf.ancestors] == [1, 2]


def test_the_shipped_tasks_are_found():
    found = find_tasks()
    assert list(found.tasks) == SHIPPED
    assert found.errors == {}
    levels = {name: task.level for name, task in found.tasks.items()}
    assert levels == {"animals": 1, "canines": 2, "felines": 2, "retrievers": 3, "wolf": 3}


def test_the_current_folders_specs_come_before_the_installed(here):
    write_spec(here / "task_specs", "canines", parent="animals", positive="mine")
    assert load_task("canines").spec.positive == ("mine",)
    assert load_task("wolf").parent.spec.positive == ("mine",)
    assert load_task("canines").parent.spec.positive[0] == "n02083346"


def test_a_fourth_level(here):
    write_spec(here / "task_specs", "golden", parent="retrievers")
    assert load_task("golden").level == 4
    assert find_tasks().tasks["golden"] == load_task("golden")


def test_a_parent_is_looked_up_beside_the_path_first(here):
    write_spec(here / "task_specs", "pets", positive="near")
    beside = here / "beside"
    file = write_spec(beside, "cats", parent="pets", file_name="spec.yml")
    assert load_task(file).parent.spec.positive == ("near",)
    write_spec(beside, "pets", positive="beside")
    assert load_task(str(file)).parent.spec.positive == ("beside",)
    other = write_spec(beside, "foxes", parent="canines")
    assert [task.name for task in load_task(other).ancestors] == ["animals", "canines"]


def test_an_unknown_task_is_refused_with_the_nearest():
    assert "did you mean 'canines'" in refusal("canine")
    assert "task 'zebra'" in refusal("zebra")


def test_a_path_that_is_not_there_is_refused(here):
    assert "no/such.yaml" in refusal("no/such.yaml")
    assert "such.yaml" in refusal("such.yaml")
    assert "no/such" in refusal("no/such")


def test_an_unknown_parent_is_refused_with_the_nearest(here):
    message = refusal(write_spec(here, "foxes", parent="canine"))
    assert "parent of task 'foxes'" in message
    assert "did you mean 'canines'" in message


@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_circle_of_parents_is_refused_by_name(here, circle):
    folder = here / "task_specs"
    for name, parent in zip(circle, circle[1:] + circle[:1], strict=True):
        write_spec(folder, name, parent)
    write_spec(folder, "below", parent="a")
    assert " -> ".join([*circle, "a"]) in refusal("below")
    assert " -> ".join([*circle, "a"]) in refusal("a")


def test_a_task_that_is_named_as_one_above_it_is_refused(here):
    assert "animals -> animals" in refusal(write_spec(here, "animals", parent="animals"))


def test_a_file_that_is_named_otherwise_than_its_task_is_refused_by_name(here):
    write_spec(here / "task_specs", "foxes", file_name="fox.yaml")
    assert "call the file foxes.yaml" in refusal("fox")


def test_a_broken_spec_hides_no_other(here):
    write_spec(here / "task_specs", "foxes", parent="canines")
    write_spec(here / "task_specs", "lost", parent="nowhere")
    (here / "task_specs" / "broken.yaml").write_text("name: [")
    found = find_tasks()
    assert sorted(found.tasks) == sorted([*SHIPPED, "foxes"])
    assert sorted(found.errors) == ["broken", "lost"]
    assert "task_specs/broken.yaml" in str(found.errors["broken"])


@pytest.mark.parametrize("name", SHIPPED)
def test_a_task_comes_back_from_json(name):
    task = load_task(name)
    stored = json.loads(json.dumps(task.to_dict()))
    assert [spec["name"] for spec in stored["specs"]] == [
        above.name for above in task.ancestors
    ] + [name]
    assert Task.from_dict(stored) == task


@pytest.mark.parametrize("damage", ["no specs", "no root", "wrong order", "no task", "no mapping"])
def test_a_damaged_task_is_refused(damage):
    stored = load_task("wolf").to_dict()
    if damage == "no specs":
        stored = {}
    elif damage == "no root":
        stored["specs"].pop(0)
    elif damage == "wrong order":
        stored["specs"].reverse()
    elif damage == "no task":
        stored["specs"].clear()
    else:
        stored["specs"][0] = "animals"
    with pytest.raises(CallError):
        Task.from_dict(stored)
