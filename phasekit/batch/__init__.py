"""Batch runs: one notebook on one dataset or a list of jobs, each with its results and record, and one index page."""

# Loaded on first use: papermill and nbconvert are only needed for a run.
import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
