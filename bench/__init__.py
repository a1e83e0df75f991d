"""Benchmarks: ratios against peers, in interleaved runs."""
