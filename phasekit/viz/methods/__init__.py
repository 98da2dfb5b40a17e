"""Drawings of the methods, for the notebooks: how a measurement becomes the data, and the data a map."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
