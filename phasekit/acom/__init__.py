"""4D-STEM scan -> phases and orientations (automated crystal orientation mapping), one file per stage.

peaks -> registration -> (reconstruct, virtual) ; templates -> matching -> refinement -> grains -> colours, comparison.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
