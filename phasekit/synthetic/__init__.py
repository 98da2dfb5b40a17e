"""Simulated data with their truth, for tests, samples and benchmarks.

Every generator takes a seed and returns one dataset: the data, and what they were made from as ``truth_...``.
"""

# Loaded on first use, so that `import phasekit` stays light.
import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
