"""How alike two diffraction images are: seven published image-quality metrics, on single images and on components."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
