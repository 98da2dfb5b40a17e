"""NMF: a scan of diffraction patterns becomes a few components, as many as the data support.

The folders are the stages, in the order of the experiment.

- ``features``: patterns become a matrix of features. Bad pixels and the direct beam are masked, patterns are centred,
  pixels grouped, and counts scaled (``find_detector_mask``, ``estimate_gain``, ``to_features``, ``to_detector``).
- ``fitting``: the factorisation into non-negative components, for one k or several (``factorise``,
  ``factorise_ranks``).
- ``rank_selection``: the evidence for each number of components k, the votes of all rules, and a probability over k
  (``scan_ranks``, ``rank_votes``, ``choose_rank``, ``published_knee``, ``published_window``).
- ``components``: background, overlap and its uncertainty, phases and orientations of components, comparison with a
  truth (``separate_background``, ``find_overlap``, ``fit_loadings``, ``overlap_probability``, ``component_patterns``,
  ``component_orientations``, ``group_crystals``, ``match_components``, ...).
- ``image_metrics``: image-quality metrics of patterns and of components (``image_quality``, ``component_quality``).
"""

from ..deprecation import attach_stub as _attach_stub

_RENAMED = {
    "component_crystals": "component_orientations",
    "map_crystals": "map_component_orientations",
    "compare_overlap": "overlap_pattern",
    "find_mask": "find_detector_mask",
}
__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__, renamed=_RENAMED)
