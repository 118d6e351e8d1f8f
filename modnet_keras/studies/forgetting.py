"""The forgetting test: what a parent's task loses when a child takes its stages over.

The parent's head is put on the child's tap and asked the parent's question, on the parent's own
validation and training images apart. (ModNet's Figure 4 mixed the two.)
"""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modnet_keras.data.input_pipeline import build_dataset
from modnet_keras.data.manifest import SPLITS
from modnet_keras.files import write_table, write_whole
from modnet_keras.models import KINDS
from modnet_keras.studies.attribution import differing_kinds, swapped_networks
from modnet_keras.studies.families import (
    Family,
    find_families,
    identical_parts,
    refuse_unequal_bits,
    tapped_model,
)
from modnet_keras.studies.networks import predict_all
from modnet_keras.studies.repair import estimate_statistics, fit_head, restore_statistics
from modnet_keras.studies.statistics import bootstrap_forgetting, holm, mcnemar_exact
from modnet_keras.studies.tables import (
    ALL_STAGES,
    ATTRIBUTION,
    DETAILS,
    FORGETTING,
    MEASURES,
    REPAIR,
)
from modnet_keras.tasks import Task
from modnet_keras.training.datasets import (
    EVALUATION_BATCH,
    evaluation_dataset,
    undecodable_named,
)
from modnet_keras.training.devices import configure_devices
from modnet_keras.training.run import Run

# No run's name: those are strings.
BASELINE = ("baseline",)


@dataclass(repr=False)
class Forgetting:
    """What was measured of one task.

    Attributes
    ----------
    folder : Path
        `<runs>/<task>`, where the files are.
    baselines : list of dict
        A row a parent's run and split: run, split, n, and accuracy, sensitivity, specificity as
        `Interval`.
    runs : list of dict
        A row a run and split: what `forgetting.json` holds, with `Interval` values.
    attribution : list of dict
        The rows of `forgetting_attribution.csv`.
    kinds : dict of str to list of str
        For each run the kinds of weights in which it differs from its parent at all.
    repairs : list of dict
        The rows of `forgetting_repair.csv`; empty where no repair was asked for, or nothing was
        forgotten.
    hashes : dict of str to dict
        The hashes of the weights that were measured, of parents and children, by the run's path
        from the runs folder.
    unfinished : list of Run
        Runs that were left out because their training has not ended.
    """

    folder: Path
    baselines: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    attribution: list[dict[str, Any]] = field(default_factory=list)
    kinds: dict[str, list[str]] = field(default_factory=dict)
    repairs: list[dict[str, Any]] = field(default_factory=list)
    hashes: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    unfinished: list[Run] = field(default_factory=list)

    def __repr__(self):
        return f"Forgetting('{self.folder}', {len(self.runs)} rows)"

    def _repr_html_(self):
        """What a notebook shows: the rows."""
        # IPython's name for it, which pandas's types leave out.
        return pd.DataFrame(self.rows)._repr_html_()  # type: ignore[operator]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of `forgetting.csv`, a dict a run and split."""
        baselines = {(row["run"], row["split"]): row for row in self.baselines}
        return [
            {
                "run": row["run"],
                "strategy": row["strategy"],
                "split": row["split"],
                "n": row["n"],
                **{measure: row[measure] and row[measure].value for measure in MEASURES},
                "baseline_accuracy": baselines[row["parent_run"], row["split"]]["accuracy"].value,
                "forgetting": row["forgetting"].value,
                "ci_low": row["forgetting"].low,
                "ci_high": row["forgetting"].high,
            }
            for row in self.runs
        ]


def measure_forgetting(
    task: Task,
    *,
    runs: str | Path = "runs",
    strategies: str | Sequence[str] | None = None,
    data: str | Path | None = None,
    repair: bool = False,
    on_families: Callable[[list[Family]], object] | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Forgetting:
    """Measure what every run of a task has forgotten of its parent's task; write the tables.

    `modnet_keras.measure_forgetting`, which draws the figures too, says what it takes and raises.
    """
    configure_devices()
    strategies = (strategies,) if isinstance(strategies, str) else strategies
    families, unfinished = find_families(task, runs, strategies, data)
    if on_families:
        on_families(families)
    result = Forgetting(Path(runs) / task.name, unfinished=unfinished)
    progress = _Progress(families, repair, on_progress)
    for family in families:
        _Measurement(family, result, progress).carry_out(repair)
    _correct_for_many(result.runs)
    _write(result, task)
    return result


class _Measurement:
    """The measuring of one family: its networks, and what they say about each image."""

    def __init__(self, family, result, progress):
        self.family = family
        self.result = result
        self.progress = progress
        self.parent = family.parent.model
        self.taps = {run.name: tapped_model(run, family.parent) for run in family.children}
        self.identical = {
            run.name: len(identical_parts(run, family.parent)) == len(self.parent.layers[1:-1])
            for run in family.children
        }
        self.labels = {split: family.manifest.labels(split) for split in SPLITS}

    def carry_out(self, repair):
        """Measure both splits, attribute, repair."""
        self.result.hashes[self.family.name] = self.family.parent.hashes["after"]
        for run in self.family.children:
            self.result.hashes[run.title] = run.hashes["after"]
        networks = {BASELINE: self.parent.layers[1:]}
        networks |= {name: tapped.layers[1:] for name, tapped in self.taps.items()}
        changed = [name for name, same in self.identical.items() if not same]
        swaps = {
            (name, *place): parts
            for name in changed
            for place, parts in swapped_networks(self.parent, self.taps[name]).items()
        }
        pooled = {}
        if repair:
            pooled = {("pooled", name): self._pooled(self.taps[name]) for name in changed}
        val = self._predict(networks | swaps | pooled, "val")
        train = self._predict(networks | pooled, "train")
        for split, outputs in (("val", val), ("train", train)):
            self._add_rows(split, outputs)
        self._attribute(changed, val)
        if repair:
            self._repair(val, train)

    def _pooled(self, tapped):
        *parts, head = tapped.layers[1:]
        return (*parts, head.get_layer("head_pool"))

    def _predict(self, networks, split):
        dataset = evaluation_dataset(self.family.manifest, split, self.family.parent.config)
        with undecodable_named(self.family.manifest):
            return predict_all(networks, dataset, self.progress.advance)

    def _add_rows(self, split, outputs):
        labels = self.labels[split]
        before = _taken(outputs[BASELINE])
        of_parent = {"run": self.family.name, "split": split, "n": len(labels)}
        baseline = bootstrap_forgetting(labels, before, before)["baseline"]
        self.result.baselines.append(of_parent | baseline)
        for run in self.family.children:
            if self.identical[run.name]:
                refuse_unequal_bits(run, outputs[run.name], outputs[BASELINE])
            after = _taken(outputs[run.name])
            estimates = bootstrap_forgetting(labels, before, after)
            self.result.runs.append(
                {
                    "run": run.name,
                    "strategy": run.config["strategy"],
                    "parent_run": self.family.name,
                    "split": split,
                    "n": len(labels),
                    **estimates["after"],
                    "forgetting": estimates["forgetting"],
                    **mcnemar_exact(labels, before, after)._asdict(),
                    "identical": self.identical[run.name],
                    "identical_parts": identical_parts(run, self.family.parent),
                    "identical_weights": identical_parts(run, self.family.parent, ["weights"]),
                }
            )

    def _attribute(self, changed, outputs):
        labels = self.labels["val"]
        whole = _share_right(labels, outputs[BASELINE])
        stages = [part.name for part in self.parent.layers[1:-1]]
        for run in self.family.children:
            self.result.kinds[run.name] = differing_kinds(self.parent, self.taps[run.name])
            for kind, stage in itertools.product(KINDS, (*stages, ALL_STAGES)):
                swap = (run.name, stage, kind) if run.name in changed else BASELINE
                accuracy = _share_right(labels, outputs[swap])
                self.result.attribution.append(
                    {
                        "run": run.name,
                        "strategy": run.config["strategy"],
                        "split": "val",
                        "stage": stage,
                        "kind": kind,
                        "accuracy": accuracy,
                        "cost": whole - accuracy,
                    }
                )

    def _repair(self, val, train):
        labels = self.labels["val"]
        whole = _share_right(labels, val[BASELINE])
        forgot = [
            run for run in self.family.children if _share_right(labels, val[run.name]) < whole
        ]
        if not forgot:
            return
        taps = {run.name: self.taps[run.name] for run in forgot}
        repaired = {
            (name, "parent-statistics"): restore_statistics(self.parent, tapped)
            for name, tapped in taps.items()
            if self.result.kinds[name] == ["statistics"]
        }
        repaired |= zip(
            ((name, "re-estimated-statistics") for name in taps),
            self._with_new_statistics(taps.values()),
            strict=True,
        )
        outputs = self._predict(repaired, "val")
        for name in taps:
            head = fit_head(train["pooled", name], self.labels["train"])
            outputs[name, "re-fitted-head"] = head(val["pooled", name])
        for run in forgot:
            for (name, way), logits in outputs.items():
                if name == run.name:
                    self._add_repair(run, way, val[name], logits)

    def _with_new_statistics(self, taps):
        stream = build_dataset(
            self.family.manifest,
            "train",
            augment="none",
            image_size=self.family.parent.config["image_size"],
            batch_size=EVALUATION_BATCH,
            seed=self.family.parent.config["seed"],
        )
        return estimate_statistics(
            [tapped.layers[1:] for tapped in taps], stream, self.progress.advance
        )

    def _add_repair(self, run, way, broken, repaired):
        labels = self.labels["val"]
        estimates = bootstrap_forgetting(labels, _taken(repaired), _taken(broken))
        given_back = estimates["forgetting"]
        self.result.repairs.append(
            {
                "run": run.name,
                "strategy": run.config["strategy"],
                "repair": way,
                "split": "val",
                "n": len(labels),
                "accuracy_before": estimates["after"]["accuracy"].value,
                "accuracy": estimates["baseline"]["accuracy"].value,
                "given_back": given_back.value,
                "ci_low": given_back.low,
                "ci_high": given_back.high,
            }
        )


class _Progress:
    """Counts the images of all passes of all families."""

    def __init__(self, families, repair, on_progress):
        self.on_progress = on_progress
        self.done = 0
        self.all = 0
        for family in families:
            train, val = (len(family.manifest.labels(split)) for split in SPLITS)
            self.all += (train + val) * (2 if repair else 1)

    def advance(self, images):
        """Count the images of a batch."""
        self.done += images
        if self.on_progress:
            self.on_progress(self.done, self.all)


def _taken(logits):
    return np.asarray(logits).reshape(-1) > 0


def _share_right(labels, logits):
    return float(np.mean(_taken(logits) == labels.astype(bool)))


def _correct_for_many(rows):
    """Add Holm's p-values: a split's runs are one family of tests."""
    for split in SPLITS:
        of_split = [row for row in rows if row["split"] == split]
        corrected = holm([row["p_value"] for row in of_split])
        for row, p_value in zip(of_split, corrected, strict=True):
            row["p_holm"] = p_value


def _write(result, task):
    write_table(result.folder / FORGETTING, result.rows)
    write_table(result.folder / ATTRIBUTION, result.attribution)
    (result.folder / REPAIR).unlink(missing_ok=True)
    if result.repairs:
        write_table(result.folder / REPAIR, result.repairs)
    details = {
        "task": task.name,
        "parent_task": task.parent.name,
        "baselines": [_plain(row) for row in result.baselines],
        "runs": [_plain(row) for row in result.runs],
        "hashes": result.hashes,
    }
    write_whole(result.folder / DETAILS, json.dumps(details, indent=2) + "\n")


def _plain(row):
    return {
        key: value._asdict() if hasattr(value, "_asdict") else value for key, value in row.items()
    }
