"""What `tools/benchmark.py` runs: our sides, their peers, and how the two are timed in turns."""
