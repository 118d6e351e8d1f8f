"""Pictures to nodes that do not see them, and the runs of a fold back, as tar archives."""

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modnet_keras.data.sources import find_source, index_source
from modnet_keras.files import UNFINISHED, cache_folder, write_whole
from modnet_keras.studies.tables import FOLD_RESULT
from modnet_keras.training.run import CONFIG, METRICS, SNAPSHOT

CHUNK_BYTES = 2**26


def ship_pictures(data: str, put: Callable[[bytes], Any]) -> list[Any]:
    """Put the pictures of a data source into an object store, in pieces.

    Parameters
    ----------
    data : str
        As `config.json` names it.
    put : callable
        Takes bytes, gives a reference to them: `ray.put`.

    Returns
    -------
    list
        The references, in order.
    """
    source = find_source(data)
    index = index_source(source)
    chunks = _ChunkWriter(put)
    # A stream is only written to, and its type asks for a whole file's methods.
    with tarfile.open(fileobj=chunks, mode="w|", dereference=True) as archive:  # type: ignore[call-overload]
        for path, size in zip(index.paths, index.sizes, strict=True):
            if path in index.unreadable:
                # As large, so that the fingerprint is the same, and as unreadable.
                placeholder = tarfile.TarInfo(path)
                placeholder.size = size
                archive.addfile(placeholder, io.BytesIO(bytes(size)))
            else:
                archive.add(source.root / path, path, recursive=False)
    return chunks.close()


def unship_pictures(
    references: Sequence[Any], get: Callable[[Any], bytes], fingerprint: str
) -> Path:
    """The folder of pictures that were shipped, written in the node's cache if they are not there.

    Parameters
    ----------
    references : list
        From `ship_pictures`.
    get : callable
        Gives the bytes of a reference: `ray.get`.
    fingerprint : str
        Of the pictures.
    """
    folder = cache_folder() / "shipped" / fingerprint
    if folder.is_dir():
        if index_source(find_source(folder)).fingerprint() == fingerprint:
            return folder
        # Someone has cleared a part of the cache.
        shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unpacked = Path(tempfile.mkdtemp(dir=folder.parent, prefix=UNFINISHED))
    try:
        chunks = _ChunkReader(references, get)
        # As above: it is only read from.
        with tarfile.open(fileobj=chunks, mode="r|") as archive:  # type: ignore[call-overload]
            archive.extractall(unpacked, filter="data")
        unpacked.rename(folder)
    except OSError:
        # Another worker of this node may have been faster.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return folder


def pack(folder: str | Path, sent: dict[Path, tuple[int, int]] | None = None) -> bytes:
    """The files below a fold's folder as a tar archive, bytes, without snapshots.

    With `sent`, a dict that is kept from call to call, only those that are new or changed.
    """
    packed = io.BytesIO()
    sent = {} if sent is None else sent
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file in sorted(Path(folder).rglob("*"), key=_order_of_packing):
            status = file.stat()
            state = status.st_size, status.st_mtime_ns
            is_whole = file.is_file() and not file.name.startswith(UNFINISHED)
            if is_whole and file.name != SNAPSHOT and sent.get(file) != state:
                sent[file] = state
                archive.add(file, file.relative_to(folder), recursive=False)
    return packed.getvalue()


def unpack(archive: bytes, folder: Path, data: str) -> None:
    """Write what `pack` packed below a folder, each file whole; the pictures are in `data` here."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            # Refuses what would leave the folder.
            member = tarfile.data_filter(member, str(folder))
            packed = files.extractfile(member)
            if packed is None:
                # No file, and so nothing that `pack` packs.
                continue
            contents: bytes | str = packed.read()
            if Path(member.name).name == CONFIG:
                config = json.loads(contents) | {"data": data}
                contents = json.dumps(config, indent=2) + "\n"
            file = folder / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, contents)


def _order_of_packing(file):
    """What says that others are whole comes after them."""
    return (file.name == FOLD_RESULT, file.name == METRICS, str(file))


class _ChunkWriter:
    """A file to write to that puts what it gets into a store, a piece at a time."""

    def __init__(self, put):
        self.put = put
        self.waiting = io.BytesIO()
        self.references = []

    def write(self, data):
        self.waiting.write(data)
        if self.waiting.tell() >= CHUNK_BYTES:
            self._flush()

    def close(self):
        self._flush()
        return self.references

    def _flush(self):
        self.references.append(self.put(self.waiting.getvalue()))
        self.waiting = io.BytesIO()


class _ChunkReader:
    """A file to read from whose pieces are fetched from a store as they are needed."""

    def __init__(self, references, get):
        self.references = list(reversed(references))
        self.get = get
        self.waiting = io.BytesIO()

    def read(self, size):
        data = self.waiting.read(size)
        while len(data) < size and self.references:
            self.waiting = io.BytesIO(self.get(self.references.pop()))
            data += self.waiting.read(size - len(data))
        return data
