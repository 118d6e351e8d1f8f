import io

import pytest
from PIL import Image

from modnet_keras.errors import WorkError
from modnet_keras.reports import plots
from modnet_keras.reports.plots import draw_comparison, draw_history

HEADER = "epoch,loss,accuracy,sensitivity,specificity,"
HEADER += "val_loss,val_accuracy,val_sensitivity,val_specificity,learning_rate,seconds\n"


def write_history(folder, epochs, accuracy=0.9):
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text(
        HEADER + "".join(f"{n},0.5,{accuracy},0.9,0.9,0.6,0.8,0.8,0.8,0.1,1\n" for n in epochs)
    )
    (folder / "metrics.json").write_text("{}")


@pytest.mark.parametrize("epochs", [[1], [1, 2, 3]])
def test_history_is_drawn_from_the_file_alone(tmp_path, epochs):
    write_history(tmp_path / "canines" / "frozen", epochs)
    draw_history(tmp_path / "canines" / "frozen")
    image = Image.open(io.BytesIO((tmp_path / "canines" / "frozen" / "history.png").read_bytes()))
    assert image.width > 800 and len(image.convert("L").getcolors(100_000)) > 10


def test_the_figure_shows_the_figures(tmp_path):
    for accuracy in (0.2, 0.9):
        write_history(tmp_path / str(accuracy) / "run", [1, 2], accuracy)
        draw_history(tmp_path / str(accuracy) / "run")
    one, other = ((tmp_path / x / "run" / "history.png").read_bytes() for x in ("0.2", "0.9"))
    assert one != other


def test_each_split_has_its_own_line(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    write_history(tmp_path / "run", [1, 2], accuracy=0.9)
    draw_history(tmp_path / "run")
    axes = drawn[0].axes[1]
    assert axes.get_title() == "accuracy"
    handles, names = axes.get_legend_handles_labels()
    colours = {
        line.get_color(): set(line.get_ydata()) for line in axes.lines if len(line.get_ydata())
    }
    assert {
        name: colours[handle.get_color()] for handle, name in zip(handles, names, strict=True)
    } == {
        "training": {0.9},
        "validation": {0.8},
    }


def test_comparison_needs_two_finished_runs(tmp_path):
    write_history(tmp_path / "a", [1, 2])
    draw_comparison(tmp_path)
    write_history(tmp_path / "b", [1, 2])
    (tmp_path / "b" / "metrics.json").unlink()
    draw_comparison(tmp_path)
    assert not (tmp_path / "comparison.png").exists()
    (tmp_path / "b" / "metrics.json").write_text("{}")
    draw_comparison(tmp_path)
    assert (tmp_path / "comparison.png").exists()


def test_a_damaged_history_is_named(tmp_path):
    write_history(tmp_path / "a", [1])
    (tmp_path / "a" / "history.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(WorkError, match="history.csv"):
        draw_history(tmp_path / "a")
