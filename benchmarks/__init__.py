"""Benchmarks that print ratios, each from one run with its floor and, where there is one, the naive peer.

Not part of the package: nothing in ``imps_multi`` may import from here. `make bench` runs all of it and writes
``RESULTS.md``. Absolute figures are those of one machine on one day; only the ratios and counts are held to targets.
"""
