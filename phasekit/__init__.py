"""Phase and orientation maps one can trust, from STXM and 4D-STEM data of battery materials.

Submodules load when they are first used, so that ``import phasekit`` stays far below 0.3 s;
``__init__.pyi`` beside this file is the table of contents.
"""

from pathlib import Path as _Path

import lazy_loader as _lazy

from .code_cache import ensure_code_cache as _ensure_code_cache

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

_ensure_code_cache(_Path(__file__).parent)
