"""The only folder that opens a file: stacks, scans, crystals, references in; results and exchange formats out."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
