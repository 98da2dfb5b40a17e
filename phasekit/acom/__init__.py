"""Phase and orientation maps from 4D-STEM scans (automated crystal orientation mapping), one folder per stage.

The stages are ``peaks``, ``calibration``, ``matching`` (with ``templates``), ``refinement`` and ``maps``.
"""

from ..deprecation import attach_stub as _attach_stub

_RENAMED = {
    "register_peaks": "calibrate_peaks",
    "resolve_half_turns": "resolve_180_ambiguity",
    "template_peaks": "simulate_peaks",
    "reconstruct": "reconstruct_patterns",
}
__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__, renamed=_RENAMED)
