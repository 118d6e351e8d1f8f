"""The kinds of values and the check of a call against a command's parameters."""

import math
import re
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modnet_keras.errors import CallError
from modnet_keras.tools import values
from modnet_keras.tools.arguments import checked_call, signature_of
from modnet_keras.tools.output import show_table

STRATEGIES = ("scratch", "finetune", "frozen")
KINDS = {
    "text": values.text("a text"),
    "choice": values.choice("a strategy", STRATEGIES),
    "boolean": values.boolean("a flag"),
    "whole number": values.whole_number("a count", minimum=0, maximum=2**31),
    "positive number": values.positive_number("a rate"),
    "fraction": values.fraction("a share"),
    "folder name": values.folder_name("a run"),
    "path": values.path("a path"),
    "existing path": values.existing_path("a path"),
    "flag or folder": values.flag_or_folder("a folder"),
    "file": values.file_ending_in((".json", ".csv"), "a file"),
    "fractions": values.list_of(values.fraction("a share")),
}

Strategy = Annotated[str, values.choice("how the parent's stages are taken over", STRATEGIES)]


def train(
    task: Annotated[str, values.text("the task", metavar="TASK")],
    strategy: Strategy | None = None,
    val_fraction: Annotated[float, values.fraction("the share for validation")] = 0.2,
    epochs: Annotated[int, values.whole_number("passes over the images", minimum=1)] = 20,
    resume: Annotated[bool, values.boolean("go on from the last snapshot")] = False,
):
    raise AssertionError("a check must not run the command")


def predict(
    *images: Annotated[Path, values.path("files and folders")],
    run: Annotated[Path, values.path("a run", metavar="RUN")],
    overwrite: Annotated[bool, values.boolean("replace")] = False,
):
    raise AssertionError("a check must not run the command")


def check(function, *arguments):
    return checked_call(function.__name__, signature_of(function), arguments)


def refusal(function, *arguments):
    with pytest.raises(CallError) as refused:
        check(function, *arguments)
    return str(refused.value)


# Values


@pytest.mark.parametrize("kind", KINDS)
@given(
    text=st.text()
    | st.text("0123456789+-.eE_, ")
    | st.sampled_from(["None", "[1,2]", "nan", "inf", "1e400", "~nobody/x", "a\0b", "9" * 5000])
)
@example(text="\udcff")
@example(text="x" * 5000)
def test_a_value_is_read_or_refused_in_one_sentence(kind, text):
    try:
        KINDS[kind].read(text)
    except CallError as error:
        assert str(error).endswith(".")
        assert len(str(error).splitlines()) == 1 or kind == "choice"


@given(st.integers())
def test_a_whole_number_keeps_its_bounds(number):
    kind = values.whole_number("a count", minimum=-3, maximum=12)
    if -3 <= number <= 12:
        assert kind.read(str(number)) == number
    else:
        with pytest.raises(CallError, match="from -3 to 12"):
            kind.read(str(number))


@given(st.floats())
def test_numbers_are_finite_and_within_their_range(number):
    for kind, is_right in (
        (values.positive_number("a rate"), number > 0 and math.isfinite(number)),
        (values.fraction("a share"), 0 < number < 1),
    ):
        if is_right:
            assert kind.read(repr(number)) == number
        else:
            with pytest.raises(CallError):
                kind.read(repr(number))


@pytest.mark.parametrize("text", ["1e3", "1.0", "1_000", " 1", "1 ", "٣", "0x1", "", "None"])
def test_a_whole_number_is_not_guessed(text):
    with pytest.raises(CallError, match="not a whole number of 1 or more"):
        values.whole_number("a count", minimum=1).read(text)


@pytest.mark.parametrize("text", ["1e400", "1e-400", "nan", "inf", "-1", "0", "1_0", "1/2"])
def test_a_positive_number_is_finite(text):
    with pytest.raises(CallError, match="finite number above 0"):
        values.positive_number("a rate").read(text)


def test_text_stays_text():
    for text in ("None", "1e5", "[1,2]", "True", "'quoted'", "naïve"):
        assert values.text("a text").read(text) == text


@pytest.mark.parametrize("text", ["", "a\nb", "\x1b[2J", "\udcff"])
def test_text_is_one_printable_line(text):
    with pytest.raises(CallError, match="not a text of one line"):
        values.text("a text").read(text)


def test_a_choice_names_the_nearest():
    with pytest.raises(CallError, match="'frozn' is not known .did you mean 'frozen'"):
        values.choice("a strategy", STRATEGIES).read("frozn")


def test_a_choice_may_say_what_each_name_means():
    kind = values.choice("a strategy", {"frozen": "nothing is forgotten"})
    assert kind.read("frozen") == "frozen"
    with pytest.raises(CallError, match="known are frozen"):
        kind.read("frozn")


@pytest.mark.parametrize("text, value", [("True", True), ("false", False), ("TRUE", True)])
def test_a_boolean_is_true_or_false(text, value):
    assert values.boolean("a flag").read(text) is value


@pytest.mark.parametrize("text", ["../x", "a/b", "..", ".hidden", "-x", "", "a\\b"])
def test_a_folder_name_leads_nowhere_else(text):
    with pytest.raises(CallError):
        values.folder_name("a run").read(text)


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("+3", 3), ("5", 5)])
def test_both_ends_of_a_whole_numbers_range_are_in_it(text, value):
    assert values.whole_number("a count", minimum=1, maximum=5).read(text) == value


@pytest.mark.parametrize("text", ["0", "6"])
def test_what_is_beyond_the_ends_is_refused(text):
    with pytest.raises(CallError, match="from 1 to 5"):
        values.whole_number("a count", minimum=1, maximum=5).read(text)


def test_tables_show_shares_to_four_places_within_eighty_columns(capsys):
    metrics = dict.fromkeys(("loss", "accuracy", "sensitivity", "specificity", "auc"), 0.98765)
    show_table("Metrics", [{"run": "dogs/finetune", "split": "train"} | metrics | {"n": 1000}])
    lines = capsys.readouterr().out.splitlines()
    assert sum("0.9877" in line for line in lines) == 1
    assert max(len(line.rstrip()) for line in lines) <= 80


def test_no_name_is_folded_on_a_terminal_of_eighty_columns(capsys, monkeypatch):
    # A terminal to rich, of 80 columns and without colours.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    metrics = dict.fromkeys(("loss", "accuracy", "sensitivity", "specificity", "auc"), 0.98765)
    run = "canines/frozen-weights"
    show_table("Metrics", [{"run": run, "split": "train"} | metrics | {"n": 1000}])
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(rf"{run} train( +0.9877){{5}} +1000", line) for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_list_reads_each_of_its_values():
    kind = values.list_of(values.fraction("a share"))
    assert kind.read("0.2,0.3") == (0.2, 0.3)
    with pytest.raises(CallError, match="'2' is not a fraction"):
        kind.read("0.2,2")
    with pytest.raises(CallError, match="'' is not a fraction"):
        kind.read("0.2,")


def test_a_missing_path_is_refused_with_the_nearest(tmp_path):
    (tmp_path / "frozen").mkdir()
    with pytest.raises(CallError, match="is not there; did you mean '.*frozen'"):
        values.existing_path("a run").read(str(tmp_path / "frozn"))
    assert values.existing_path("a run").read(str(tmp_path / "frozen")) == tmp_path / "frozen"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CallError, match="is a file, not a folder"):
        values.flag_or_folder("pictures").read(str(tmp_path / "file"))
    with pytest.raises(CallError, match="Not a directory"):
        values.existing_path("pictures").read(str(tmp_path / "file" / "below"))


def test_a_leading_tilde_is_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert values.path("a path").read("~/runs") == tmp_path / "runs"


def test_a_files_ending_says_its_format():
    kind = values.file_ending_in((".json", ".csv"), "the table")
    assert kind.read("a.b/table.csv") == Path("a.b/table.csv")
    with pytest.raises(CallError, match=r"ends in none of \.json, \.csv"):
        kind.read("table.txt")


# Calls


@pytest.mark.parametrize(
    "arguments",
    [
        ["--task=canines", "--val_fraction=0.3", "--resume=True"],
        ["--task", "canines", "--val-fraction", "0.3", "--resume"],
        ["--task", "canines", "--resume", "--val-fraction=0.3"],
        ["--resume", "true", "--val_fraction", "0.3", "--task", "canines"],
    ],
)
def test_all_spellings_of_a_call_mean_the_same(arguments):
    call = {argument.lower() for argument in check(train, *arguments)}
    assert call == {"--task=canines", "--val_fraction=0.3", "--resume=true"}


@pytest.mark.parametrize("denial", ["--noresume", "--no-resume", "--no_resume", "--resume=False"])
def test_a_flag_can_be_denied(denial):
    assert check(train, "--task=x", denial) == ["--task=x", "--resume=False"]


def test_a_text_may_hold_what_an_option_holds():
    assert check(train, "--task=--epochs=3") == ["--task=--epochs=3"]


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (["--epoch=3"], "did you mean --epochs?"),
        (["--Epochs=3"], "did you mean --epochs?"),
        (["-epochs=3"], "did you mean --epochs?"),
        (["--stratgy", "frozen"], "did you mean --strategy?"),
        (["--noresum"], "did you mean --resume?"),
        (["--notask"], "did you mean --task?"),
        (["--help=yes"], "did you mean --help?"),
        (["--zzz"], "'modnet train --help' lists them"),
        (["--", "--trace"], "has no option --;"),
        (["-"], "has no option -;"),
        (["-1"], "has no option -1;"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest(arguments, hint):
    assert hint in refusal(train, "--task=canines", *arguments)


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--task=x", "--task=y"], "--task is given twice"),
        (["--task=x", "--resume", "--noresume"], "--resume is given twice"),
        (["--task"], "--task needs a value, as in --task=TASK"),
        (["--task", "--resume"], "--task needs a value"),
        (["--task", "-"], "--task needs a value"),
        (["--epochs=3"], "train needs --task=TASK (the task)"),
        (["--task=x", "--epochs", "-3"], "--epochs: '-3' is not a whole number of 1 or more"),
        (["--task=x", "--strategy=frozn"], "--strategy: value 'frozn' is not known (did you mean"),
        (["--task="], "--task: '' is not"),
        (["--task=x", "--resume=maybe"], "--resume: 'maybe' is neither True nor False"),
    ],
)
def test_a_wrong_call_is_refused(arguments, reason):
    assert reason in refusal(train, *arguments)


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (["canines"], "did you mean --task=canines?"),
        (["--task=canines", "frozen"], "did you mean --strategy=frozen?"),
        (["--task=canines", "0.3"], "did you mean --val_fraction=0.3?"),
        (["--task=canines", "--resume", "frozen"], "did you mean --strategy=frozen?"),
        (["--task=canines", "False"], "did you mean --resume=False?"),
        (["--task=canines", "upper"], "train does not take 'upper'"),
    ],
)
def test_what_stands_without_a_name_is_refused_with_its_option(arguments, hint):
    assert hint in refusal(train, *arguments)


def test_operands_go_where_a_command_takes_them():
    call = check(predict, "a.jpg", "--run", "runs/x", "b.jpg", "--overwrite", "c.jpg")
    assert call == ["a.jpg", "b.jpg", "c.jpg", "--run=runs/x", "--overwrite=True"]
    assert "predict needs IMAGES... (files and folders)" in refusal(predict, "--run=x")
    assert "IMAGES...: '' is not a path" in refusal(predict, "--run=x", "a.jpg", "")


def test_a_parameter_without_a_kind_is_a_fault_of_the_program():
    def unfinished(task: str):
        pass

    with pytest.raises(TypeError, match="'task' is annotated with no Value"):
        signature_of(unfinished)


def test_operands_stand_before_options():
    value = values.path("a path")

    def misordered(run: Annotated[Path, value], *images: Annotated[Path, value]):
        pass

    with pytest.raises(TypeError, match="must come first"):
        signature_of(misordered)


@given(
    st.lists(st.text(max_size=12) | st.sampled_from(["--task", "--", "-", "--help", "--resume"]))
)
def test_any_call_is_accepted_or_refused(arguments):
    try:
        call = check(train, *arguments)
    except CallError:
        return
    assert all(argument.startswith("--") and "=" in argument for argument in call)
