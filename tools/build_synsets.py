"""Build `modnet_keras/tasks/synsets.tsv.gz`, WordNet 3.0's nouns, from its own files.

    apt-get install wordnet-base
    python tools/build_synsets.py

A line a synset, sorted by id, three fields parted by tabs:

- the id: `n` and the synset's byte offset in `data.noun`, which is how ImageNet names it;
- the ids of its hypernyms, of classes (`@`) and of instances (`@i`), parted by spaces;
- its lemmas, parted by spaces; where a lemma has several noun senses, `|` and this sense's number,
  which is its place in `index.noun` (the most frequent sense first).

Every line's meaning is in WordNet's manual, wndb(5WN).
"""

import argparse
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from modnet_keras.files import write_whole

TARGET = Path(__file__).parents[1] / "modnet_keras" / "tasks" / "synsets.tsv.gz"


def read_sense_numbers(index_file: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """Map (lemma in lower case, byte offset) to (sense number from 1, number of senses)."""
    numbers = {}
    for fields in _entries(index_file):
        lemma, senses = fields[0], int(fields[2])
        for number, offset in enumerate(fields[-senses:], start=1):
            numbers[lemma, offset] = (number, senses)
    return numbers


def synset_lines(data_file: Path, index_file: Path) -> Iterator[str]:
    """Yield the lines of the data file, in the order of ids."""
    sense_numbers = read_sense_numbers(index_file)
    for fields in _entries(data_file):
        offset = fields[0]
        lemma_count = int(fields[3], base=16)
        lemmas = fields[4 : 4 + 2 * lemma_count : 2]
        pointers = fields[5 + 2 * lemma_count : fields.index("|")]
        hypernyms = [
            f"n{target}"
            for symbol, target in zip(pointers[::4], pointers[1::4], strict=True)
            if symbol in ("@", "@i")
        ]
        marked = []
        for lemma in lemmas:
            number, senses = sense_numbers[lemma.lower(), offset]
            marked.append(lemma if senses == 1 else f"{lemma}|{number}")
        yield f"n{offset}\t{' '.join(hypernyms)}\t{' '.join(marked)}"


def _entries(file: Path) -> Iterator[list[str]]:
    for line in file.read_text(encoding="ascii").splitlines():
        if re.match(r"\S", line):  # the licence at the head of each file is indented
            yield line.split()


def main() -> None:
    """Build the data file and say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    folder = parser.parse_args().wordnet
    lines = list(synset_lines(folder / "data.noun", folder / "index.noun"))
    # A fixed time stamp makes the same input give the same bytes.
    contents = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
    write_whole(TARGET, contents)
    print(f"{TARGET}: {len(lines):,} synsets, {len(contents):,} bytes")


if __name__ == "__main__":
    main()
