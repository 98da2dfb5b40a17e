"""Batch runs of the notebooks: one dataset or a list of jobs.

Each run keeps its results and a record; one index page shows them all.
"""

# Loaded on first use: papermill and nbconvert are only needed for a run.
import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
