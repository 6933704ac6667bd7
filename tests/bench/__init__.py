"""Benchmarks: every figure of a part is measured in one run on one machine."""
