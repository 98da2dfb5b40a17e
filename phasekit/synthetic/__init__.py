"""Ground truth: seeded, fast generators that return data and what they were made from in one dataset."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
