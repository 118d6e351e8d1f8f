"""The names of what is counted of a set of images, in the order in which they are shown.

Loads no TensorFlow: whoever writes tables, and whoever shows them, takes the names from here.
`metrics.compute_metrics` counts a whole split; while it trains, Keras counts `TRAINED`.
"""

SHARES = ("accuracy", "sensitivity", "specificity", "auc")
"""Shares of 1; of a set without an image to count, None."""

METRICS = ("loss", *SHARES, "n")
"""What `compute_metrics` gives; `loss` in nats, `n` images."""

TRAINED = ("loss", "accuracy", "sensitivity", "specificity")
"""What is counted batch by batch, as the area under a curve cannot be."""
