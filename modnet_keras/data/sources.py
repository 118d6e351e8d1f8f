"""Where pictures come from: the demo, Tiny ImageNet or a folder; and the index of what is there."""

import contextlib
import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modnet_keras.data.image_check import IMAGE_SUFFIXES, check_image
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import cache_folder, read_json, write_whole

BUILT_IN = ("demo", "tiny-imagenet")
TINY_IMAGENET_ADDRESS = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
TINY_IMAGENET_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


@dataclass(frozen=True)
class Source:
    """A data source: what the user called it, and the folder that holds its pictures."""

    name: str
    root: Path


@dataclass(frozen=True)
class Index:
    """The picture files of a source, sorted by path.

    Attributes
    ----------
    paths : list of str
        Relative to the source's folder, parts joined by "/".
    sizes : list of int
        In bytes.
    unreadable : dict
        From a path to the reason why it cannot be used.
    """

    paths: list[str]
    sizes: list[int]
    unreadable: dict[str, str]

    def fingerprint(self) -> str:
        """SHA-256 of all paths and sizes: the same for the same pictures in another folder."""
        digest = hashlib.sha256()
        for path, size in zip(self.paths, self.sizes, strict=True):
            digest.update(os.fsencode(f"{path}\0{size}\0"))
        return digest.hexdigest()


def find_source(data: str | Path, *, prepare: bool = True) -> Source:
    """The source that `--data` names: "demo", "tiny-imagenet" or a folder.

    Where `prepare` is False the demo is not drawn and Tiny ImageNet not fetched: a source that is
    not in the cache is refused.

    Examples
    --------
    >>> find_source("no/such/folder")
    Traceback (most recent call last):
    ...
    modnet_keras.errors.CallError: data folder 'no/such/folder' is not there; give a folder of \
pictures, demo or tiny-imagenet.
    """
    data = str(data)
    if data == "demo":
        from modnet_keras.data.demo import demo_folder, demo_place

        return Source(data, demo_folder() if prepare else _kept(data, demo_place()))
    if data == "tiny-imagenet":
        place = _tiny_imagenet_place()
        return Source(data, _fetched(place) if prepare else _kept(data, place))
    folder = Path(data).expanduser()
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "is not there"
        nearest = difflib.get_close_matches(data, BUILT_IN, n=1)
        hint = f" (did you mean {nearest[0]}?)" if nearest else ""
        raise CallError(
            f"data folder '{data}' {found}{hint}; give a folder of pictures, demo or tiny-imagenet."
        )
    return Source(data, folder.resolve())


def refuse_inside(root: Path, target: str | Path, option: str) -> None:
    """Refuse a target in the data folder, or around it: nothing is written or removed there."""
    target = Path(target).resolve()
    if target == root or root in target.parents:
        found = f"'{target}' is or lies in the data folder '{root}'"
    elif target in root.parents:
        found = f"the data folder '{root}' lies in '{target}'"
    else:
        return
    raise CallError(
        f"--{option}: {found}; name a place apart, for nothing is written or removed there."
    )


def refuse_inside_any(sources: Iterable[str], target: str | Path, option: str) -> None:
    """`refuse_inside` for several sources, by name; one that is gone cannot be written in."""
    for data in sources:
        try:
            root = find_source(data, prepare=False).root
        except CallError:
            continue
        refuse_inside(root, target, option)


def _tiny_imagenet_place():
    # Its val/ has no folder a class; train/ alone is split, as every other folder is.
    return cache_folder() / "tiny-imagenet" / "tiny-imagenet-200" / "train"


def _fetched(place):
    whole = place.parent
    if not whole.is_dir():
        _fetch_tiny_imagenet(whole.parent).rename(whole)
    return place


def _kept(data, place):
    if not place.is_dir():
        raise CallError(f"the data '{data}' is not in the cache {cache_folder()} any more.")
    return place


def _fetch_tiny_imagenet(folder):
    import keras

    try:
        # Keras would fall back on a shared folder in /tmp if this one were not there.
        folder.mkdir(parents=True, exist_ok=True)
        extracted = keras.utils.get_file(
            "tiny-imagenet-200.zip",
            TINY_IMAGENET_ADDRESS,
            file_hash=TINY_IMAGENET_MD5,
            hash_algorithm="md5",
            extract=True,
            cache_dir=folder,
            cache_subdir="fetched",
        )
    except Exception as error:  # what urllib, zipfile and Keras raise has no common class
        raise WorkError(
            f"tiny-imagenet could not be fetched from {TINY_IMAGENET_ADDRESS} ({error}); "
            "fetch and unpack it yourself and give its folder as --data."
        ) from error
    return Path(extracted) / "tiny-imagenet-200"


def index_source(
    source: Source, progress: Callable[[int], object] | None = None, *, decode: bool = False
) -> Index:
    """List and check the picture files below a source's folder.

    What was checked is remembered in the user's cache by size and time of change, so that a
    second call reads no picture.

    Parameters
    ----------
    source : Source
    progress : callable, optional
        Called now and then with the number of files looked at, and then of files decoded.
    decode : bool
        Decode every picture that passes the quick look (`check_image`). What fails is remembered
        too, and left out from then on whatever `decode` is.

    Returns
    -------
    Index
    """
    remembered = _Remembered(source.root)
    paths = []
    for path, entry in sorted(picture_files(source.root)):
        if not remembered.knows(path, entry):
            remembered.add(path, *_look_at(entry))
        paths.append(path)
        if progress and len(paths) % 1000 == 0:
            progress(len(paths))
    if decode:
        _decode_all(source.root, paths, remembered, progress)
    remembered.save(paths)
    found = [remembered.files[path] for path in paths]
    unreadable = {
        path: reason for path, (_, _, reason, _) in zip(paths, found, strict=True) if reason
    }
    return Index(paths, [size for size, *_ in found], unreadable)


def _decode_all(root, paths, remembered, progress):
    from modnet_keras.data.decode_check import find_undecodable

    waiting = [path for path in paths if not remembered.is_decided(path)]
    absolute = [os.path.join(root, path) for path in waiting]  # noqa: PTH118 (speed)
    failed = set(find_undecodable(absolute, progress)) if waiting else set()
    for path, file in zip(waiting, absolute, strict=True):
        remembered.decide(path, "cannot be decoded" if file in failed else None)


def picture_files(root: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (relative path, absolute path) of every file below a folder that is named as a picture.

    Links to folders are followed, but never into a folder that is on the way down already.
    """
    waiting = [("", os.fspath(root), frozenset([_identity(root)]))]
    while waiting:
        prefix, folder, above = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise WorkError(f"folder '{folder}' cannot be listed: {error.strerror}.") from error
        for entry in entries:
            if _is_folder(entry):
                identity = _identity(entry.path)
                if identity not in above:
                    waiting.append((f"{prefix}{entry.name}/", entry.path, above | {identity}))
            elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122 (speed)
                yield f"{prefix}{entry.name}", entry.path


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def _identity(folder):
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _look_at(path):
    """Size in bytes, time of change in nanoseconds and the reason not to use a file, or None."""
    try:
        status = os.stat(path)
    except OSError as error:
        return 0, 0, f"cannot be opened: {error.strerror}"
    return status.st_size, status.st_mtime_ns, check_image(path)


class _Remembered:
    """What was found of each file of one folder the last time, kept in the user's cache.

    Of each path: size in bytes, time of change in nanoseconds, the reason not to use it or None,
    and whether it was decoded.
    """

    VERSION = 3

    def __init__(self, root):
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
        self.file = cache_folder() / "index" / f"{name}.json"
        self.files = self._read()
        self.has_news = False

    def _read(self):
        try:
            contents = read_json(self.file)
            return dict(contents["files"]) if contents["version"] == self.VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def knows(self, path, absolute):
        """Whether the file was looked at before and has not changed since."""
        found = self.files.get(path)
        if found is None:
            return False
        try:
            status = os.stat(absolute)
        except OSError:
            return False
        return found[0] == status.st_size and found[1] == status.st_mtime_ns

    def add(self, path, size, changed, reason):
        """Remember what a quick look found."""
        self.files[path] = [size, changed, reason, False]
        self.has_news = True

    def is_decided(self, path):
        """Whether there is nothing more to find out: it is no picture, or it was decoded."""
        *_, reason, decoded = self.files[path]
        return decoded or reason is not None

    def decide(self, path, reason):
        """Remember what decoding found."""
        self.files[path] = [*self.files[path][:2], reason, True]
        self.has_news = True

    def save(self, paths):
        if self.has_news or len(self.files) != len(paths):
            contents = {
                "version": self.VERSION,
                "files": {path: self.files[path] for path in paths},
            }
            # Without a cache that can be written, the next call looks at the files again.
            with contextlib.suppress(OSError):
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.file, json.dumps(contents))
