"""Measured comparisons of phasekit with other packages, one folder per workflow; not part of the installed package.

Every script is a module, started from the top of the checkout: ``python -m benchmarks.nmf.bench``.
"""
