"""STXM: an image stack becomes a phase map that says where it is not to be trusted.

Read the files as the experiment goes.

- ``planning``: which energies to measure, for how long.
- ``alignment`` (with ``registration``): frame drift. ``density`` (with ``incident``, ``counting``, ``frames``,
  ``material``): counts to optical density and its noise; ``stray_light``, ``background``,
  ``smoothing``.
- ``gmvae`` (with ``network``, ``starts``, ``training``) and ``clusters``: spectra without labels.
- ``labels``: the map. ``nuisances`` (what bends all spectra alike), ``strangers`` (clusters no reference explains),
  ``sums`` (what a pixel's spectrum says), ``domains`` and ``domain_kernels`` (maps drawn from their posterior, in
  ``tiles``), ``verdict`` (names and status), ``flags`` (thresholds moved).
- ``linear`` (with ``library``, ``nonnegative``, ``unexplained``), ``baselines``, ``resolution``, ``comparison``: the
  methods in use, side by side.
- ``after_map``: particles, profiles, thickness, pictures.
"""

from ..deprecation import attach_stub as _attach_stub

_RENAMED = {
    "fit_nuisances": "fit_systematics",
    "forecast_error": "predict_errors",
    "share_dwell": "allocate_dwell",
    "plan_from_scan": "select_energies_from_scan",
    "resolve_mcr": "fit_mcr_als",
    "fit_step": "fit_boundary_width",
}
__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__, renamed=_RENAMED)
