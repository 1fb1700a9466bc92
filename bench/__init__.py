"""Benchmarks: every figure is a ratio to the raw driver, taken in the same run."""
