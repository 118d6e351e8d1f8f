"""The real pictures that are measured on, unpacked once into a scratch folder."""

import os
import tarfile
from pathlib import Path

TINY = "tiny-imagenet-31.tar"
FULL = "imagenet-full-size-160.tar"


def unpack(archive, data, scratch):
    """The folder of an archive's pictures below `scratch`; unpacked there at the first call."""
    folder = Path(scratch) / archive.removesuffix(".tar")
    if not folder.is_dir():
        source = Path(data) / archive
        if not source.is_file():
            raise SystemExit(f"{source} is not there; name the folder that holds it with --data.")
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        with tarfile.open(source) as tar:
            tar.extractall(unfinished, filter="data")
        unfinished.rename(folder)
    return folder


def list_pictures(folder):
    """Paths of the JPEGs below a folder, relative to it, sorted."""
    found = (path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))
    return sorted(os.fspath(path.relative_to(folder)) for path in found)


def link_many(folder, target, count):
    """Hard links to a folder's pictures, `count` files in folders of 500, as in ImageNet."""
    paths = [Path(folder) / path for path in list_pictures(folder)]
    for number in range(count):
        source = paths[number % len(paths)]
        place = Path(target) / source.parents[1].name / f"{number // len(paths)}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(source, place / f"{number}.jpg")
