"""ACOM: phases and orientations from a 4D-STEM scan (automated crystal orientation mapping), one folder per stage.

In the order of the experiment:

1. ``peaks``: ``find_peaks`` finds the diffraction disks of every pattern. ``virtual_images`` and
   ``reconstruct_patterns`` show what they contain.
2. ``calibration``: ``calibrate_peaks`` makes scattering vectors of their positions; ``calibrate`` sets a known scale.
3. ``templates``: ``build_templates`` simulates the spots of the candidate phases.
4. ``matching``: ``match_orientations`` finds phase and orientation of every pixel. ``simulate_peaks`` gives its spots.
5. ``refinement``: ``refine_orientations`` refines the orientation. ``match_second_grain`` looks for overlapping grains.
6. ``maps``: ``resolve_180_ambiguity``, ``label_grains``, ``misorientation_maps``, ``ipf_colours``, ``pole_figure``,
   ``compare_maps`` and ``compare_with_truth``.
"""

from ..deprecation import attach_stub as _attach_stub

_RENAMED = {
    "register_peaks": "calibrate_peaks",
    "resolve_half_turns": "resolve_180_ambiguity",
    "template_peaks": "simulate_peaks",
    "reconstruct": "reconstruct_patterns",
}
__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__, renamed=_RENAMED)
