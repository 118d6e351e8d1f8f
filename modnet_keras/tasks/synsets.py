"""WordNet 3.0's nouns: which synset a name means, and what stands above a synset.

The data file is read on first use, and only then: a spec that names folders alone never needs it.
`tools/build_synsets.py` builds it and describes its format; `THIRD_PARTY_LICENSES/WordNet.txt` is
its licence.
"""

import difflib
import functools
import gzip
import re
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from modnet_keras.errors import CallError

DATA_FILE = Path(__file__).with_name("synsets.tsv.gz")

_SYNSET_ID = re.compile(r"n[0-9]{8}")
_NAMED_SENSE = re.compile(r"(?P<lemma>.+)\.n\.(?P<number>[0-9]{1,3})")


class _Synset(NamedTuple):
    hypernyms: tuple[str, ...]
    senses: dict[str, int]  # lemma as WordNet writes it -> number of this sense of it


def is_synset_id(name: str) -> bool:
    """Whether a name has the form of a WordNet noun id; reads no data.

    >>> is_synset_id("n02083346"), is_synset_id("canines")
    (True, False)
    """
    return _SYNSET_ID.fullmatch(name) is not None


def is_synset(name: str) -> bool:
    """Whether a name is the id of a synset that WordNet 3.0 has.

    >>> is_synset("n02083346"), is_synset("n00000000")
    (True, False)
    """
    return is_synset_id(name) and _data_line(name) is not None


def find_synset(entry: str) -> str:
    """Id of the synset that an entry of a task spec means.

    Parameters
    ----------
    entry
        An id (`n02083346`), a lemma with the number of its sense (`canine.n.02`), or a lemma that
        has one noun sense (`wild dog`). Upper case and spaces for underscores are forgiven.

    Raises
    ------
    CallError
        If WordNet has no such noun (the nearest are named), or the lemma has several senses (they
        are listed).

    Examples
    --------
    >>> find_synset("canine.n.02"), find_synset("Wild dog")
    ('n02083346', 'n02115335')
    """
    name = "_".join(entry.lower().split())
    if is_synset_id(name):
        if not is_synset(name):
            raise CallError(f"'{entry}' is not the id of a noun in WordNet 3.0.")
        return name
    named_sense = _NAMED_SENSE.fullmatch(name)
    lemma = named_sense["lemma"] if named_sense else name
    senses = _senses(lemma)
    if not senses:
        raise CallError(f"'{entry}' is not a noun in WordNet 3.0{_nearest_lemmas(lemma)}.")
    if named_sense:
        number = int(named_sense["number"])
        if number not in senses:
            raise CallError(f"'{entry}' is not a sense of that noun; {_listed(lemma, senses)}.")
        return senses[number]
    if len(senses) > 1:
        raise CallError(f"'{entry}' is ambiguous, name one of its ids; {_listed(lemma, senses)}.")
    return senses[1]


def means_synset(entry: str) -> bool:
    """Whether `find_synset` finds one.

    >>> means_synset("canine.n.02"), means_synset("canine"), means_synset("my_dogs")
    (True, False, False)
    """
    try:
        find_synset(entry)
    except CallError:
        return False
    return True


def synset_name(synset_id: str) -> str:
    """First lemma of a synset, in words.

    >>> synset_name("n02115335")
    'wild dog'
    """
    return next(iter(_synset(synset_id).senses)).replace("_", " ")


@functools.cache
def hypernym_distances(synset_id: str) -> Mapping[str, int]:
    """Number of steps on the shortest way up to a synset and to everything above it.

    >>> distances = hypernym_distances("n02084071")  # dog, a canine and a domestic animal
    >>> distances["n02084071"], distances["n02083346"], distances["n00015388"]
    (0, 1, 2)
    """
    distances = {synset_id: 0}
    frontier = [synset_id]
    while frontier:
        above = [hypernym for lower in frontier for hypernym in _synset(lower).hypernyms]
        steps = distances[frontier[0]] + 1
        frontier = [hypernym for hypernym in dict.fromkeys(above) if hypernym not in distances]
        distances.update(dict.fromkeys(frontier, steps))
    return MappingProxyType(distances)


@functools.cache
def _data_lines() -> list[str]:
    return gzip.decompress(DATA_FILE.read_bytes()).decode("ascii").splitlines()


def _data_line(synset_id: str) -> str | None:
    lines = _data_lines()
    place = bisect_left(lines, synset_id)
    found = place < len(lines) and lines[place].startswith(synset_id)
    return lines[place] if found else None


def _synset(synset_id: str) -> _Synset:
    line = _data_line(synset_id) if is_synset_id(synset_id) else None
    if line is None:
        raise CallError(f"'{synset_id}' is not the id of a noun in WordNet 3.0.")
    _, hypernyms, lemmas = line.split("\t")
    return _Synset(tuple(hypernyms.split()), dict(map(_split_sense, lemmas.split())))


def _split_sense(lemma: str) -> tuple[str, int]:
    word, _, number = lemma.partition("|")
    return word, int(number or 1)


@functools.cache
def _ids_by_marked_lemma() -> dict[str, str]:
    """Map lemmas in lower case, marked as in the data file, to the ids of their synsets."""
    ids = {}
    for line in _data_lines():
        synset_id, _, lemmas = line.lower().split("\t")
        for marked_lemma in lemmas.split():
            ids[marked_lemma] = synset_id
    return ids


def _senses(lemma: str) -> dict[int, str]:
    """Map the numbers of a lemma's senses to the ids of their synsets; empty for no such noun."""
    ids = _ids_by_marked_lemma()
    senses: dict[int, str] = {}
    if "|" in lemma:  # the data file's mark, which no lemma holds
        return senses
    if lemma in ids:
        return {1: ids[lemma]}
    number = 1
    while f"{lemma}|{number}" in ids:
        senses[number] = ids[f"{lemma}|{number}"]
        number += 1
    return senses


def _listed(lemma: str, senses: Mapping[int, str]) -> str:
    """Every sense of a lemma, told apart by what it is a kind of."""
    listed = [
        f"{synset_id} ({lemma}.n.{number:02d}, {_kind(synset_id)})"
        for number, synset_id in sorted(senses.items())
    ]
    return f"its senses: {', '.join(listed)}"


def _kind(synset_id: str) -> str:
    hypernyms = _synset(synset_id).hypernyms
    return f"a kind of {synset_name(hypernyms[0])}" if hypernyms else "the root of all nouns"


def _nearest_lemmas(lemma: str) -> str:
    # A slip of the keyboard seldom changes the length by more than two, and comparing with all
    # 117,000 lemmas takes seconds.
    known = {marked.partition("|")[0] for marked in _ids_by_marked_lemma()}
    candidates = sorted(word for word in known if abs(len(word) - len(lemma)) <= 2)
    nearest = difflib.get_close_matches(lemma, candidates, n=3, cutoff=0.7)
    return f" (did you mean {' or '.join(map(repr, nearest))}?)" if nearest else ""
