"""What `tools/benchmark.py` runs: our sides, their peers, and how the two are timed in turns."""

# First, as it sets up TensorFlow before that is loaded.
import modnet_keras  # noqa: F401
