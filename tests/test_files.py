"""Files are written whole or not at all, and what is read is what it should be."""

import pytest

from modnet_keras.errors import WorkError
from modnet_keras.files import lock_folder, read_json, read_table, whole_file, write_table


@pytest.mark.parametrize("text", ['{"a": NaN}', "[-Infinity]", "[" * 100_000, "{", b"\xff"])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ValueError):
        read_json(tmp_path / "x.json")


def test_what_fails_while_it_is_written_leaves_what_there_was(tmp_path):
    (tmp_path / "x.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "x.txt") as temporary:
        temporary.write_text("ne")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "old"


def test_a_table_is_read_as_it_was_written(tmp_path):
    rows = [{"path": 'a,"b"\n', "n": "1"}, {"path": "\udcff", "n": ""}]
    write_table(tmp_path / "x.csv", rows)
    assert read_table(tmp_path / "x.csv") == rows


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    with (
        lock_folder(tmp_path, "it is used"),
        pytest.raises(WorkError, match="it is used by another process"),
        lock_folder(tmp_path, "it is used"),
    ):
        pytest.fail("held twice")
    with lock_folder(tmp_path, "it is used"):
        pass
