"""What the rows of an estimate say: of each strategy alone, and of every two of them.

All intervals and tests are Nadeau and Bengio's (`statistics.corrected_t_test`); figures at
different validation fractions are never put together.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modnet_keras.studies.statistics import corrected_t_test, holm
from modnet_keras.training.measures import SHARES

ESTIMATED = (*SHARES, "forgetting")
COMPARED = ("accuracy", "forgetting")
SIGNIFICANT = 0.05
# For each compared measure what more of it means.
_MORE = {"accuracy": "is more accurate than", "forgetting": "forgets more than"}


def summarise(rows: Sequence[Mapping[str, Any]], strategies: Sequence[str]) -> list[dict[str, Any]]:
    """Mean, standard deviation and 95 % interval of every strategy, fraction and measure.

    Parameters
    ----------
    rows : list of dict
        Of `estimate.csv`, with `n_train`, `parent_n` and `parent_n_train`.
    strategies : sequence of str
        Those of the rows, in the order in which they are to be shown.

    Returns
    -------
    list of dict
        `val_fraction`, `strategy`, `measure`, `splits`, `mean`, `deviation`, `low`, `high`, in
        shares of 1. The last three are None where there is one split alone. A root has no
        `forgetting`.
    """
    found = []
    for (fraction, strategy), of_strategy in _groups(rows, strategies).items():
        for measure in ESTIMATED:
            measured = [row for row in of_strategy.values() if row[measure] is not None]
            if not measured:
                continue
            values = [row[measure] for row in measured]
            mean = {"mean": float(np.mean(values)), "deviation": None, "low": None, "high": None}
            if len(values) > 1:
                interval, _ = corrected_t_test(values, *_images(measured, measure))
                mean["deviation"] = float(np.std(values, ddof=1))
                mean |= {"low": interval.low, "high": interval.high}
            about = {"val_fraction": fraction, "strategy": strategy, "measure": measure}
            found.append(about | {"splits": len(values)} | mean)
    return found


def compare(rows: Sequence[Mapping[str, Any]], strategies: Sequence[str]) -> list[dict[str, Any]]:
    """The difference of every two strategies, paired by split, and whether they are told apart.

    Holm's correction is over the pairs of a fraction and measure.

    Parameters
    ----------
    rows : list of dict
        As for `summarise`.
    strategies : sequence of str
        As for `summarise`; of a pair the one that comes first is the first.

    Returns
    -------
    list of dict
        `val_fraction`, `measure`, `strategy`, `other`, `splits`, `difference` (strategy less
        other), `low`, `high` (95 %, not corrected for the number of pairs), `p_value`, `p_holm`,
        `told_apart` (`p_holm` below 0.05) and `statement`, a sentence. Two strategies that have
        fewer than two splits in common are left out.
    """
    groups, found = _groups(rows, strategies), []
    for fraction in dict.fromkeys(fraction for fraction, _ in groups):
        present = [strategy for at, strategy in groups if at == fraction]
        for measure in COMPARED:
            family = []
            for one, other in itertools.combinations(present, 2):
                pair = _pair(groups[fraction, one], groups[fraction, other], measure)
                if pair:
                    about = {"val_fraction": fraction, "measure": measure}
                    family.append(about | {"strategy": one, "other": other} | pair)
            corrected = holm([pair["p_value"] for pair in family])
            for pair, p_holm in zip(family, corrected, strict=True):
                pair |= {"p_holm": p_holm, "told_apart": p_holm < SIGNIFICANT}
                found.append(pair | {"statement": _statement(pair, len(family))})
    return found


def _groups(rows, strategies):
    """By fraction and strategy, in the order of these: from each split to its row."""
    fractions = dict.fromkeys(row["val_fraction"] for row in rows)
    groups: dict[tuple[float, str], dict[tuple[int, int | None], Any]]
    groups = {group: {} for group in itertools.product(fractions, strategies)}
    for row in rows:
        of_strategy = groups[row["val_fraction"], row["strategy"]]
        of_strategy[row["repeat"], row["fold"]] = row
    return {group: of_strategy for group, of_strategy in groups.items() if of_strategy}


def _images(rows, measure):
    """Images that a measure is of, and that were trained on: means over the splits."""
    keys = ("parent_n", "parent_n_train") if measure == "forgetting" else ("n", "n_train")
    return [float(np.mean([row[key] for row in rows])) for key in keys]


def _pair(of_one, of_other, measure):
    common = [
        split
        for split, row in of_one.items()
        if split in of_other and None not in (row[measure], of_other[split][measure])
    ]
    if len(common) < 2:
        return None
    differences = [of_one[split][measure] - of_other[split][measure] for split in common]
    images = _images([of_one[split] for split in common], measure)
    mean, p_value = corrected_t_test(differences, *images)
    return {
        "splits": len(common),
        "difference": mean.value,
        "low": mean.low,
        "high": mean.high,
        "p_value": p_value,
    }


def _statement(pair, tests):
    one, other, sign = pair["strategy"], pair["other"], 1
    if pair["told_apart"] and pair["difference"] < 0:
        one, other, sign = other, one, -1
    low, high = sorted((sign * pair["low"], sign * pair["high"]))
    p_value = "p < 0.001" if pair["p_holm"] < 0.001 else f"p = {pair['p_holm']:.3f}"
    after = f" after Holm's correction for {tests} comparisons" if tests > 1 else ""
    figures = (
        f"{sign * pair['difference']:+.3f} (95 %: {low:+.3f} to {high:+.3f}; {p_value}{after})"
    )
    if pair["low"] == pair["high"] and pair["difference"]:
        return (
            f"The {pair['measure']} of {one} less that of {other} is {pair['difference']:+.3f} in "
            "every split: without any spread there is nothing to test it by."
        )
    if pair["told_apart"]:
        return f"{one} {_MORE[pair['measure']]} {other}: {figures}."
    return f"The data do not tell the {pair['measure']} of {one} and {other} apart: {figures}."
