"""Pictures and runs on their way to other machines and back."""

import json
import shutil
from pathlib import Path

from modnet_keras.studies.shipping import pack, ship_pictures, unpack, unship_pictures


def test_pictures_travel_in_pieces_to_the_same_fingerprint(demo, tmp_path, monkeypatch):
    from modnet_keras.data.sources import find_source, index_source

    data = Path(shutil.copytree(demo, tmp_path / "data"))
    (data / "broken.jpg").write_bytes(b"no picture")
    (data / "lost.png").symlink_to("nowhere")
    monkeypatch.setattr("modnet_keras.studies.shipping.CHUNK_BYTES", 50_000)
    store = []
    sent = ship_pictures(data, lambda data: store.append(data) or len(store) - 1)
    assert len(sent) > 3
    fingerprint = index_source(find_source(data)).fingerprint()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = unship_pictures(sent, store.__getitem__, fingerprint)
    assert index_source(find_source(folder)).fingerprint() == fingerprint
    # A second worker of the node fetches nothing.
    assert unship_pictures([], store.__getitem__, fingerprint) == folder
    assert [path.name for path in folder.parent.iterdir()] == [fingerprint]
    assert set(index_source(find_source(folder)).unreadable) == {"broken.jpg", "lost.png"}
    # What was taken out of the cache is fetched again.
    next(folder.rglob("*.JPEG")).unlink()
    unship_pictures(sent, store.__getitem__, fingerprint)
    assert index_source(find_source(folder)).fingerprint() == fingerprint


def test_runs_travel_with_their_pictures_named_anew(estimated, tmp_path):
    fold = estimated / "canines" / "estimate" / "fold-1"
    sent = {}
    archive = pack(fold, sent)
    unpack(archive, tmp_path / "there", "elsewhere/pictures")
    for file in fold.rglob("*"):
        there = tmp_path / "there" / file.relative_to(fold)
        if file.name == "config.json":
            config = json.loads(there.read_text())
            assert config == json.loads(file.read_text()) | {"data": "elsewhere/pictures"}
        elif file.is_file():
            assert there.read_bytes() == file.read_bytes()
    unpack(pack(fold, sent), tmp_path / "again", "elsewhere/pictures")
    assert not list((tmp_path / "again").glob("*"))
