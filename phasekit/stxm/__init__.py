"""STXM: an image stack becomes a phase map in which every pixel says how far it can be trusted.

The folders are the stages, in the order of the experiment.

- ``planning``, before the beam time: which energies to measure, and for how long.
- ``preprocessing``: frames are aligned, counts become optical density with its noise.
- ``reference_spectra``: references at the energies of the data, and the systematics that all spectra share.
- ``clustering``: spectra are grouped without labels.
- ``phase_map``: every pixel gets the name of a phase, a confidence and a status.
- ``comparison``: the simpler methods in use, on the same pixels.
- ``particles``, after the map: particles and domains, profiles across boundaries, thickness, pictures.
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
