"""Statistics of the forgetting test: bootstrap intervals, McNemar's test, Holm's correction.

All of it is about the images of one split and the models as they were trained: it says how much a
figure would change with other images of the same kind, and nothing about another seed or training.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

# What the eight cells of a table label x before x after stand for, in the order of `_count_cells`.
LABEL, BEFORE, AFTER = np.indices((2, 2, 2)).reshape(3, 8).astype(bool)
# For each measure the cells whose images it is a share of.
SHARES = {"accuracy": np.ones(8, bool), "sensitivity": LABEL, "specificity": ~LABEL}
# Values that are the same but for rounding have a deviation of about 1e-17.
NO_SPREAD = 1e-12


class Interval(NamedTuple):
    """A value and the two ends of its interval."""

    value: float
    low: float
    high: float


class Flips(NamedTuple):
    """Images that only one of two models gets right, and the p-value of their difference."""

    lost: int
    gained: int
    p_value: float


def bootstrap_forgetting(
    labels: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = 10_000,
    level: float = 0.95,
) -> dict[str, Any]:
    """Measures of a parent's task before and after, and forgetting, with bootstrap intervals.

    The intervals are percentiles of the measures of resamples of the images (Efron & Tibshirani,
    An Introduction to the Bootstrap, 1993, chapter 13). An image keeps its two predictions, so
    that forgetting is paired.

    Parameters
    ----------
    labels : array of int [n]
        0 or 1.
    before, after : array of bool [n]
        Whether the baseline and the run take the image for the class.
    seed : int
        Fixes the resamples: the same arguments give the same intervals.
    resamples : int
        How many resamples of n images are drawn.
    level : float
        Share of the resamples that an interval spans, between 0 and 1.

    Returns
    -------
    dict
        `baseline` and `after`, each a dict of `accuracy`, `sensitivity` and `specificity`, and
        `forgetting`: accuracy before minus accuracy after, signed, counted over the images and
        divided once. Each is an `Interval`, in shares of 1, or None where there is no image to
        count. A resample without an image to count is left out of that measure's interval.

    Examples
    --------
    >>> labels = [1, 1, 1, 1, 0, 0, 0, 0]
    >>> before = [True, True, True, False, False, False, False, True]
    >>> after = [True, False, False, False, False, False, False, False]
    >>> found = bootstrap_forgetting(labels, before, after)
    >>> found["baseline"]["sensitivity"].value, found["after"]["sensitivity"].value
    (0.75, 0.25)
    >>> found["forgetting"]
    Interval(value=0.125, low=-0.25, high=0.5)
    """
    counts = _count_cells(labels, before, after)
    resampled = _resample(counts, np.random.default_rng(seed), resamples)

    def measures(right):
        return {
            name: _share_interval(counts, resampled, right & of, of, level)
            for name, of in SHARES.items()
        }

    right_before, right_after = BEFORE == LABEL, AFTER == LABEL
    change = right_before.astype(int) - right_after
    return {
        "baseline": measures(right_before),
        "after": measures(right_after),
        "forgetting": _share_interval(counts, resampled, change, SHARES["accuracy"], level),
    }


def mcnemar_exact(labels: ArrayLike, before: ArrayLike, after: ArrayLike) -> Flips:
    """McNemar's test of whether two models are right equally often, in its exact form.

    Of the images that only one model gets right, each model's share is one half if they are
    equally good, so that the binomial test answers (McNemar, Psychometrika 12, 1947, 153-157).
    It is two-sided; without such images the p-value is 1.

    Parameters
    ----------
    labels : array of int [n]
        0 or 1.
    before, after : array of bool [n]
        Whether the baseline and the run take the image for the class.

    Returns
    -------
    Flips
        `lost` (right before, wrong after), `gained` (wrong before, right after) and `p_value`.

    Examples
    --------
    >>> mcnemar_exact([1, 1, 1, 1, 0], [True, True, True, True, True], [False] * 5)
    Flips(lost=4, gained=1, p_value=0.375)
    """
    counts = _count_cells(labels, before, after)
    right_before, right_after = BEFORE == LABEL, AFTER == LABEL
    lost = int(counts @ (right_before & ~right_after))
    gained = int(counts @ (~right_before & right_after))
    if lost + gained == 0:
        return Flips(0, 0, 1.0)
    return Flips(lost, gained, float(stats.binomtest(lost, lost + gained).pvalue))


def corrected_t_test(
    values: ArrayLike, n_test: float, n_train: float, level: float = 0.95
) -> tuple[Interval, float]:
    """Mean of a figure over re-splits of the same images, its interval, and a test of zero.

    Trainings on re-splits share images, so that the variance of their mean is more than s^2 / J:
    Nadeau and Bengio (Machine Learning 52, 2003, 239-281) take s^2 (1 / J + n_test / n_train), with
    Student's t of J - 1 degrees of freedom. For two strategies, give their differences.

    Parameters
    ----------
    values : sequence of float [J]
        One a re-split, two or more.
    n_test, n_train : int
        Images of the split that is measured and of the one that is trained on.
    level : float
        Of the interval.

    Returns
    -------
    Interval, float
        Of the mean; and the two-sided p-value of a mean of zero. Values that are all the same leave
        no spread to test by: the interval is the mean alone, and the p-value 1.

    Examples
    --------
    >>> mean, p_value = corrected_t_test([0.01, 0.02, 0.03], n_test=100, n_train=400)
    >>> round(mean.value, 4), round(mean.low, 4), round(mean.high, 4), round(p_value, 4)
    (0.02, -0.0129, 0.0529, 0.1201)
    """
    values = np.asarray(values, dtype="float64")
    mean, deviation, freedom = values.mean(), values.std(ddof=1), len(values) - 1
    error = deviation * np.sqrt(1 / len(values) + n_test / n_train)
    half = stats.t.ppf((1 + level) / 2, freedom) * error
    if deviation <= NO_SPREAD:
        return Interval(float(mean), float(mean), float(mean)), 1.0
    p_value = 2 * stats.t.sf(abs(mean) / error, freedom)
    return Interval(float(mean), float(mean - half), float(mean + half)), float(p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted by Holm's step-down procedure, in the order given.

    Calling significant what is below 0.05 keeps the chance of one or more false calls among all
    of them at 0.05 or less, however they depend on each other (Holm, Scandinavian Journal of
    Statistics 6, 1979, 65-70). SciPy has no Holm; statsmodels, which has, is large for this alone.

    Parameters
    ----------
    p_values : sequence of float
        One of each test of the family; may be empty.

    Returns
    -------
    list of float
        Adjusted p-values: not below the raw ones, in the same order of size, at most 1.

    Examples
    --------
    >>> holm([0.25, 0.0625, 0.125])
    [0.25, 0.1875, 0.25]
    """
    raw = np.asarray(p_values, dtype="float64")
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()


def _count_cells(labels, before, after):
    """How many images lie in each of the eight cells."""
    labels, before, after = (
        np.asarray(x).reshape(-1).astype(bool) for x in (labels, before, after)
    )
    return np.bincount(4 * labels + 2 * before + after, minlength=8)


def _resample(counts, generator, resamples):
    """Counts of the cells in resamples of the images [resamples, 8].

    Images drawn with replacement fall into the cells by one multinomial draw, exactly;
    `scipy.stats.bootstrap` would draw n indices for every resample.
    """
    resampled = np.zeros((resamples, 8), dtype=counts.dtype)
    # NumPy gives the last cell what rounding leaves of the probability; no empty cell may get it.
    filled = np.flatnonzero(counts)
    if len(filled):
        total = counts.sum()
        resampled[:, filled] = generator.multinomial(total, counts[filled] / total, size=resamples)
    return resampled


def _share_interval(counts, resampled, weights, of, level):
    """Interval of the weighted count of cells over the count of the cells `of`, or None."""
    if not counts @ of:
        return None
    sizes = resampled @ of
    shares = (resampled @ weights)[sizes > 0] / sizes[sizes > 0]
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float((counts @ weights) / (counts @ of)), float(low), float(high))
