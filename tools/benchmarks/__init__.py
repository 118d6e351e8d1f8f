"""What `tools/benchmark.py` runs: our sides, their peers, and how the two are timed in turns."""

# Before TensorFlow, which reads once what this sets.
import modnet_keras  # noqa: F401
