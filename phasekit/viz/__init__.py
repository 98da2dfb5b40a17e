"""Figures and explorers of every workflow: they take datasets and return matplotlib figures or Panel objects.

Nothing is computed here; numbers come from the workflows.
"""

# `setup` is imported at once because its module has the same name; everything else loads when it is first used.
import lazy_loader as _lazy

from .setup import is_interactive, setup

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ += ["is_interactive", "setup"]
