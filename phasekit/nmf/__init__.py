"""NMF: a scan of diffraction patterns becomes a few components, as many as the data say.

Read the files as the experiment goes.

- ``features`` with ``used_pixels``, ``masks`` (``outliers``, ``scan_images``), ``gain``, ``centring``, ``redrawing``,
  ``polar`` and ``weighting``: patterns to a matrix that least squares may look at, and the way back.
- ``fitting``: the factorisation, for one k or all of them.
- ``choosing``: the evidence for k, every rule's vote, and how sure the choice is; ``quality``: image-quality metrics.
- ``after_fit``: background, overlap, mixtures, crystals.
"""

from ..deprecation import attach_stub as _attach_stub

_RENAMED = {
    "component_crystals": "component_orientations",
    "map_crystals": "map_component_orientations",
    "compare_overlap": "overlap_pattern",
    "find_mask": "find_detector_mask",
}
__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__, renamed=_RENAMED)
