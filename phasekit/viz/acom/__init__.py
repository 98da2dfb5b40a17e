"""Figures of orientation mapping: peaks, virtual images, orientation maps with their key, grains, boundaries."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
