"""What is counted: metrics of a whole split, from counts that are divided once at the end."""

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score


def compute_metrics(labels: ArrayLike, logits: ArrayLike) -> dict[str, Any]:
    """Metrics of a set of images, exact over the whole of it.

    Parameters
    ----------
    labels : array of int [n]
        0 or 1.
    logits : array of float [n]
        An image is taken for the class where its logit is over 0.

    Returns
    -------
    dict
        `loss` (mean binary cross-entropy in nats, no label smoothing), `accuracy`, `sensitivity`
        (of the images of the class, those taken for it), `specificity` (of the others, those not),
        `auc` (area under the ROC curve), `n`. What has no image to count is None.

    Examples
    --------
    >>> metrics = compute_metrics([1, 1, 0, 0], [2.0, -1.0, -3.0, -0.5])
    >>> metrics["accuracy"], metrics["sensitivity"], metrics["specificity"], metrics["auc"]
    (0.75, 0.5, 1.0, 0.75)
    """
    labels = np.asarray(labels).reshape(-1).astype(bool)
    logits = np.asarray(logits, dtype="float64").reshape(-1)
    taken = logits > 0
    positives, negatives = int(labels.sum()), int((~labels).sum())
    both = positives > 0 and negatives > 0
    return {
        "loss": _ratio(np.logaddexp(0.0, np.where(labels, -logits, logits)).sum(), len(labels)),
        "accuracy": _ratio((taken == labels).sum(), len(labels)),
        "sensitivity": _ratio((taken & labels).sum(), positives),
        "specificity": _ratio((~taken & ~labels).sum(), negatives),
        "auc": float(roc_auc_score(labels, logits)) if both else None,
        "n": len(labels),
    }


def _ratio(count, of):
    return float(count) / of if of else None


class _Share(keras.metrics.Metric):
    """Share of the images of one label that the model gets right, counted over an epoch."""

    label: int | None = None

    def __init__(self, name=None, dtype="float32"):
        super().__init__(name=name or type(self).__name__.lower(), dtype=dtype)
        self.right = self.add_variable((), "zeros", name="right")
        self.all = self.add_variable((), "zeros", name="all")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: labels 0 or 1 [b, 1] and logits [b, 1]."""
        of_label = keras.ops.cast(keras.ops.equal(y_true, self.label), "float32")
        taken_so = keras.ops.cast(
            keras.ops.equal(keras.ops.cast(y_pred > 0, y_true.dtype), self.label), "float32"
        )
        self.right.assign_add(keras.ops.sum(of_label * taken_so))
        self.all.assign_add(keras.ops.sum(of_label))

    def result(self):
        """The share so far; 0 before the first image of the label."""
        return keras.ops.divide_no_nan(self.right, self.all)


@keras.saving.register_keras_serializable(package="modnet_keras")
class Sensitivity(_Share):
    """Share of the images of the class that are taken for it, from labels and logits."""

    label = 1


@keras.saving.register_keras_serializable(package="modnet_keras")
class Specificity(_Share):
    """Share of the other images that are not taken for the class, from labels and logits."""

    label = 0
