import hashlib
import zipfile

import pytest
from PIL import Image

from modnet_keras.data import sources
from modnet_keras.data.sources import find_source, index_source
from modnet_keras.errors import CallError, WorkError


@pytest.fixture
def noise():
    """A picture that takes many bytes."""
    return Image.effect_noise((512, 512), 80).convert("RGB")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A stand-in for Tiny ImageNet's archive, with the same layout."""
    picture = tmp_path / "picture.JPEG"
    Image.new("RGB", (64, 64), "grey").save(picture)
    file = tmp_path / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(file, "w") as contents:
        for name in ("train/n02085620/images/a.JPEG", "val/images/val_0.JPEG"):
            contents.write(picture, f"tiny-imagenet-200/{name}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "TINY_IMAGENET_ADDRESS", file.as_uri())
    checksum = hashlib.md5(file.read_bytes()).hexdigest()
    monkeypatch.setattr(sources, "TINY_IMAGENET_MD5", checksum)
    return file


def test_tiny_imagenet_is_fetched_once_and_its_training_part_is_the_data(archive):
    source = find_source("tiny-imagenet")
    assert index_source(source).paths == ["n02085620/images/a.JPEG"]
    archive.unlink()
    assert find_source("tiny-imagenet") == source


def test_tiny_imagenet_with_another_checksum_is_refused(archive, monkeypatch):
    monkeypatch.setattr(sources, "TINY_IMAGENET_MD5", "0" * 32)
    with pytest.raises(WorkError, match="could not be fetched.*--data"):
        find_source("tiny-imagenet")


def test_tiny_imagenet_without_a_network_is_one_sentence(archive, monkeypatch):
    monkeypatch.setattr(
        sources, "TINY_IMAGENET_ADDRESS", "http://127.0.0.1:9/tiny-imagenet-200.zip"
    )
    with pytest.raises(WorkError, match="could not be fetched") as error:
        find_source("tiny-imagenet")
    assert "\n" not in str(error.value)


def test_a_file_is_no_data_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CallError, match="is a file"):
        find_source(tmp_path / "file")


def test_only_pictures_are_indexed_and_a_second_look_reads_none(tmp_path, monkeypatch):
    for name in ("a.JPG", "b.png", "notes.txt", "deep/er/c.bmp"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "data" / name, "PNG")
    first = index_source(find_source(tmp_path / "data"))
    assert first.paths == ["a.JPG", "b.png", "deep/er/c.bmp"] and not first.unreadable

    def fail(path):
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(sources, "check_image", fail)
    assert index_source(find_source(tmp_path / "data")) == first


def test_decoding_finds_what_a_quick_look_cannot_and_it_stays_left_out(tmp_path, noise):
    (tmp_path / "data").mkdir()
    source = find_source(tmp_path / "data")
    for name in ("a.jpg", "b.png", "c.png"):
        noise.save(source.root / name)
    # Of a file of this length the quick look reads header and end.
    whole = (source.root / "b.png").read_bytes()
    (source.root / "b.png").write_bytes(whole[:100_000] + bytes(100) + whole[100_100:])
    assert not index_source(source).unreadable
    told = []
    found = index_source(source, told.append, decode=True).unreadable
    assert found == {"b.png": "cannot be decoded"} and told[-1] == 3
    assert index_source(source).unreadable == found
    (source.root / "b.png").write_bytes(whole)
    assert not index_source(source, decode=True).unreadable


def test_what_was_decoded_once_is_not_decoded_again(tmp_path, monkeypatch, noise):
    (tmp_path / "data").mkdir()
    source = find_source(tmp_path / "data")
    noise.save(source.root / "a.jpg")
    (source.root / "text.jpg").write_text("no picture")
    decoded = []
    monkeypatch.setattr(
        "modnet_keras.data.decode_check.find_undecodable",
        lambda paths, progress: decoded.extend(paths) or [],
    )
    first = index_source(source, decode=True)
    noise.save(source.root / "b.jpg")
    index_source(source, decode=True)
    assert [path.rsplit("/", 1)[-1] for path in decoded] == ["a.jpg", "b.jpg"]
    assert list(first.unreadable) == ["text.jpg"]


def test_a_damaged_memory_of_the_index_is_made_anew(tmp_path, cache):
    (tmp_path / "data").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "data" / "a.png")
    source = find_source(tmp_path / "data")
    index = index_source(source)
    for file in (cache / "modnet_keras" / "index").iterdir():
        file.write_text('{"version": 1, "files": {"a.png"')
    assert index_source(source) == index
