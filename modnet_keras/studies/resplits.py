"""The ways in which an estimate splits the same images anew: k folds, or repeated re-splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modnet_keras.data.splits import Fold
from modnet_keras.errors import CallError

DEFAULT_FOLDS = 5
DEFAULT_REPEATS = 5


@dataclass(frozen=True)
class Resplit:
    """One split of the images, for the task and all its ancestors.

    Attributes
    ----------
    name : str
        Of its folder, as `fold-1` or `val-0.2-repeat-1`.
    val_fraction : float
        Share of the images that are for validation.
    repeat : int
        From 1.
    fold : int or None
        From 1; None for a re-split at a fraction.
    settings : dict
        `seed`, and `fold` or `val_fraction`: options of `train`, and of `build_manifest`.
    """

    name: str
    val_fraction: float
    repeat: int
    fold: int | None
    settings: dict[str, Any]


def plan_resplits(
    folds: int | None = None,
    repeats: int | None = None,
    val_fraction: Sequence[float] | None = None,
    seed: int = 0,
) -> list[Resplit]:
    """The splits of an estimate, in the order in which they are trained.

    No two at one fraction have the same seed, so that a deviation over them is of the initial
    weights, the order and the crops too (Bouthillier et al., MLSys 2021); all strategies of a split
    share its seed.

    Parameters
    ----------
    folds : int, optional
        Parts of a k-fold split, 2 or more; 5 where neither it nor `val_fraction` is given.
    repeats : int, optional
        How often the whole is done: for folds 1 where absent, for fractions 5, and at least 2.
    val_fraction : sequence of float, optional
        Shares for re-splits at random, each between 0 and 1. A re-split is that of
        `train --seed=... --val_fraction=...`.
    seed : int
        Of the first split; the others follow it.

    Returns
    -------
    list of Resplit

    Raises
    ------
    CallError

    Examples
    --------
    >>> [split.name for split in plan_resplits(folds=3)]
    ['fold-1', 'fold-2', 'fold-3']
    >>> [(split.name, split.settings) for split in plan_resplits(repeats=2, val_fraction=[0.1])]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('val-0.1-repeat-1', {'seed': 0, 'val_fraction': 0.1}),
     ('val-0.1-repeat-2', {'seed': 1, 'val_fraction': 0.1})]
    """
    if val_fraction is None:
        return _plan_folds(
            DEFAULT_FOLDS if folds is None else folds, 1 if repeats is None else repeats, seed
        )
    if folds is not None:
        raise CallError(
            f"--folds={folds} holds out a part at a time and --val_fraction a share at random; "
            "give one of them."
        )
    return _plan_shares(val_fraction, DEFAULT_REPEATS if repeats is None else repeats, seed)


def _plan_folds(folds, repeats, seed):
    if folds < 2:
        raise CallError(f"--folds={folds}: there must be 2 folds or more.")
    if repeats < 1:
        raise CallError(f"--repeats={repeats}: there must be 1 or more.")
    return [
        Resplit(
            f"fold-{fold}" + (f"-repeat-{repeat}" if repeat > 1 else ""),
            1 / folds,
            repeat,
            fold,
            {
                "seed": seed + (repeat - 1) * folds + fold - 1,
                "fold": Fold(fold, folds, seed + repeat - 1),
            },
        )
        for repeat in range(1, repeats + 1)
        for fold in range(1, folds + 1)
    ]


def _plan_shares(shares, repeats, seed):
    if repeats < 2:
        raise CallError(
            f"--repeats={repeats}: re-splits at a fraction take 2 repeats or more, for one alone "
            "has no deviation."
        )
    for share in shares:
        if not 0 < share < 1:
            raise CallError(f"--val_fraction={share!r} must lie between 0 and 1, as 0.2.")
    if not shares or len(set(shares)) < len(shares):
        raise CallError("--val_fraction must be one fraction or several different ones.")
    return [
        Resplit(
            f"val-{share!r}-repeat-{repeat}",
            share,
            repeat,
            None,
            {"seed": seed + repeat - 1, "val_fraction": share},
        )
        for share in shares
        for repeat in range(1, repeats + 1)
    ]
