"""4D-STEM scan -> non-negative components: features, the number of components with its evidence, factors, overlap."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
