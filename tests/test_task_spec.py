import json

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modnet_keras.errors import CallError
from modnet_keras.tasks import REST_OF_PARENT, TaskSpec, read_task_spec

GOOD = """\
name: canines
parent: animals  # the task above
positive: [n02083346]
negative: [mammal.n.01, "2020"]
"""


@pytest.fixture(scope="session")
def spec_file(tmp_path_factory):
    return tmp_path_factory.mktemp("specs") / "canines.yaml"


def refusal(spec_file, contents: str | bytes) -> str:
    spec_file.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    with pytest.raises(CallError) as refused:
        read_task_spec(spec_file)
    message = str(refused.value)
    assert message.startswith(f"{spec_file}: ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_a_spec_is_read(spec_file):
    spec_file.write_text(GOOD)
    assert read_task_spec(spec_file) == TaskSpec(
        name="canines", parent="animals", positive=("n02083346",), negative=("mammal.n.01", "2020")
    )


def test_a_root_has_no_parent_and_a_child_may_take_the_rest(spec_file):
    spec_file.write_text("name: a\npositive: [b]\nnegative: [c]\n")
    assert read_task_spec(spec_file).parent is None
    spec_file.write_text("name: a\nparent: b\npositive: [c]\nnegative: rest-of-parent\n")
    assert read_task_spec(spec_file).negative == REST_OF_PARENT


@pytest.mark.parametrize(
    ("found", "instead", "named"),
    [
        ("positive:", "postive:", "'positive'"),
        ("name: canines\n", "", "'name'"),
        ("positive: [n02083346]\n", "", "'positive'"),
        ("canines", "no", "'no', of type bool"),
        ("canines", "../canines", "'../canines'"),
        ("canines", "'-canines'", "'-canines'"),
        ("canines", "''", "''"),
        ("canines", "a" * 101, "100"),
        ("canines", "[canines]", "name must be"),
        ("canines", "", "line 1 has no value"),
        ("animals", "an/imals", "'an/imals'"),
        ("animals", "null", "line 2"),
        ("[n02083346]", "n02083346", "positive must be a list"),
        ("[n02083346]", "rest-of-parent", "positive must be a list"),
        ("[n02083346]", "[]", "positive is an empty list"),
        ("[n02083346]", "['']", "an empty text"),
        ("[n02083346]", "[2020]", "line 3 has '2020', of type int"),
        ("[n02083346]", "[2020-01-01]", "'2020-01-01', of type timestamp"),
        ("[n02083346]", "[1.5]", "'1.5', of type float"),
        ("[n02083346]", "[null]", "line 3"),
        ("[n02083346]", "[[n02083346]]", "list or mapping"),
        ("[n02083346]", "{n02083346: 1}", "list or mapping"),
        ("[n02083346]", "[mammal.n.01]", "'mammal.n.01' is both"),
        ("[n02083346]", "[rest-of-parent]", "negative: rest-of-parent"),
        ("[n02083346]", "!!python/name:os.system x", "line 3"),
        ("[n02083346]", "[n02083346", "is not YAML"),
        ("[n02083346]", "[" * 60_000, "nested too deeply"),
        ("[n02083346]", "\n" + "- " * 30_000, "nested too deeply"),
        ("[n02083346]", "[[[[a]]]]", "nested too deeply"),
        ("[n02083346]", "&a [*a]", "anchor or alias"),
        ("[n02083346]", "[a\tb, \x07]", "is not YAML"),
        ('[mammal.n.01, "2020"]', "rest_of_parent", "negative must be a list"),
        ('[mammal.n.01, "2020"]', "[]", "rest-of-parent"),
        ("parent: animals", "name: canines", "line 2 gives 'name' a second time"),
        ("parent: animals", "<<: {parent: animals}", "'<<', of type merge"),
        ("parent: animals", "--- ", "is not YAML"),
        ("parent: animals", "# " + "a" * 70_000, "64 KiB"),
    ],
)
def test_what_is_wrong_is_refused_by_name(spec_file, found, instead, named):
    assert found in GOOD
    assert named in refusal(spec_file, GOOD.replace(found, instead, 1))


@pytest.mark.parametrize("contents", ["", "# nothing", "canines", "[name, positive]", "2020"])
def test_what_is_no_mapping_is_refused(spec_file, contents):
    assert "mapping" in refusal(spec_file, contents)


def test_the_rest_of_no_parent_is_refused(spec_file):
    message = refusal(spec_file, "name: a\npositive: [b]\nnegative: rest-of-parent\n")
    assert "has no parent" in message


def test_text_that_is_not_utf_8_is_refused(spec_file):
    assert "UTF-8" in refusal(spec_file, GOOD.replace("above", "übr").encode("latin-1"))


def test_a_bomb_of_aliases_is_refused_at_once(spec_file):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "line 1 has an anchor" in refusal(spec_file, "\n".join(lines))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(CallError, match="no such file"):
        read_task_spec(tmp_path / "canines.yaml")
    with pytest.raises(CallError, match="cannot be read"):
        read_task_spec(tmp_path)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)
entries = st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5, unique=True)


@st.composite
def specs(draw):
    both = draw(entries)
    cut = draw(st.integers(1, len(both)))
    parent = draw(st.none() | names)
    negative = tuple(both[cut:]) or (REST_OF_PARENT if parent else ("rest",))
    if REST_OF_PARENT in both or (negative == ("rest",) and "rest" in both):
        both, negative = ["yes"], ("no",)
        cut = 1
    return TaskSpec(draw(names), parent, tuple(both[:cut]), negative)


@settings(deadline=None)
@given(specs())
def test_a_spec_comes_back_from_json_and_from_yaml(spec_file, spec):
    assert TaskSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    spec_file.write_text(yaml.safe_dump(spec.to_dict()), encoding="utf-8")
    assert read_task_spec(spec_file) == spec


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"name": 1, "positive": ["a"], "negative": ["b"]},
        {"name": "a", "parent": 1, "positive": ["a"], "negative": ["b"]},
        {"name": "a", "positive": [1], "negative": ["b"]},
        {"name": "a", "positive": {"a": 1}, "negative": ["b"]},
        {"name": "a", "positive": ["a"], "negative": None},
        {"name": "a", "positive": ["a"], "negative": ["b"], 1: 2},
    ],
)
def test_damaged_values_are_refused(values):
    with pytest.raises(CallError):
        TaskSpec.from_dict(values)


def check_reads_or_refuses(spec_file, contents: bytes):
    spec_file.write_bytes(contents)
    try:
        spec = read_task_spec(spec_file)
    except CallError as error:
        assert str(error).startswith(f"{spec_file}: ")
    else:
        assert TaskSpec.from_dict(spec.to_dict()) == spec


yaml_tokens = st.sampled_from(
    ["name", "parent", "positive", "negative", "rest-of-parent", ": ", "\n", "- ", "[", "]", "{"]
    + ["}", ", ", "'", '"', "&a ", "*a", "!!int ", "!!timestamp ", "!!binary ", "!!set ", "? ", "|"]
    + [">", "#", "%YAML 1.1", "---", "...", "<<", "=", "~", "0x", "1:30", "1e9", "\t", "  ", "n01"]
    + ["no", "\\", "@", "`", "\ufeff", "\u2028"]
)


@settings(deadline=None)
@given(st.lists(yaml_tokens, max_size=30).map("".join).map(str.encode) | st.binary(max_size=60))
@example(b"name: !!int ''\npositive: !!timestamp x\nnegative: !!bool x\n")
@example(b"? [a]\n: b")
def test_any_file_gives_a_spec_or_a_call_error(spec_file, contents):
    check_reads_or_refuses(spec_file, contents)


@settings(deadline=None)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 6),
    st.lists(yaml_tokens, max_size=3).map("".join).map(str.encode) | st.binary(max_size=4),
)
def test_a_spec_with_a_slip_gives_a_spec_or_a_call_error(spec_file, place, length, slip):
    contents = GOOD.encode()
    check_reads_or_refuses(spec_file, contents[:place] + slip + contents[place + length :])
