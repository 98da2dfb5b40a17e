"""Steps 1 and 2: the systematics of the stack and the unknown phases, which depend on each other."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from ..preprocessing.material import find_material
from ..preprocessing.stray_light import subtract_stray_light
from ..reference_spectra.library import MAX_OFFSET_EV, Library, compute_block_means, select_covered_energies
from ..reference_spectra.model_error import fit_model_error
from ..reference_spectra.systematics import SharedParameters, fit_shared_parameters
from .phase_model import PhaseModel, SamplerOptions, build_phase_model
from .sufficient_statistics import compute_sufficient_statistics
from .tiles import compute_membership
from .unknown_phases import confirm_unknown_phases, find_candidate_clusters, no_unknown_phases

#: pixels with at least this probability of belonging to an unknown phase are left out of the second fit
_MEMBER = 0.5


class FittedModel(NamedTuple):
    """Systematics, OD without stray light, and the phases that may occur in it."""

    systematics: SharedParameters
    od: xr.Dataset
    model: PhaseModel
    membership: xr.DataArray | None  # (scan_y, scan_x, group) of each candidate; None where there was none


def fit_phase_model(
    od: xr.Dataset,
    clusters: xr.Dataset | None,
    library: Library,
    settings: dict[str, float | str],
    options: SamplerOptions,
) -> FittedModel:
    """Fit the systematics and find the unknown phases; twice where there are some.

    The systematics are fitted with references only. Pixels of an unknown phase bias them, and biased systematics hide
    or imitate unknown phases. So once an unknown phase is confirmed, both are done again without its pixels.
    """
    material = find_material(od)
    first = _fit_once(od, clusters, library, settings, options, fitted_pixels=material)
    if first.membership is None or not len(first.model.unknown_phases.spectra):
        return first
    explained = material & (first.membership.sum("group") < _MEMBER)
    return _fit_once(od, clusters, library, settings, options, fitted_pixels=explained)


def _fit_once(
    od: xr.Dataset,
    clusters: xr.Dataset | None,
    library: Library,
    settings: dict[str, float | str],
    options: SamplerOptions,
    *,
    fitted_pixels: xr.DataArray,
) -> FittedModel:
    """Fit the systematics to ``fitted_pixels`` (scan_y, scan_x), then look for unknown phases in all pixels."""
    material = find_material(od)
    step = "label_phases"
    systematics, _ = fit_shared_parameters(
        od.assign(valid=fitted_pixels), library, settings, limit=MAX_OFFSET_EV, step=step
    )
    corrected = subtract_stray_light(od, float(systematics.value[1]))
    corrected = select_covered_energies(corrected, library, float(systematics.value[0]), step=step, n_terms=3)
    means, errors = compute_block_means(corrected, fitted_pixels)
    if len(means):  # an energy that no block has was lost in the whole field
        measured = np.isfinite(errors).any(axis=0)
        corrected = corrected.isel(energy=np.flatnonzero(measured))
        means, errors = means[:, measured], errors[:, measured]
    spectra = systematics.spectra(library, corrected["energy"].values.astype(np.float64))
    model_error = fit_model_error(spectra, means, errors)
    spectra = spectra + model_error.correction
    candidates = no_unknown_phases(spectra)
    if clusters is not None:
        candidates = find_candidate_clusters(corrected, clusters["responsibility"], material, spectra)
    model = build_phase_model(library, spectra, candidates, options, model_error)
    if not candidates.spectra.size:
        return FittedModel(systematics, corrected, model, None)
    # A candidate is confirmed by pixels that did not choose it: those whose neighbours belong to it.
    statistics = compute_sufficient_statistics(corrected, model.templates, model.n_references, model_error)
    membership = compute_membership(statistics, model)
    confirmed = confirm_unknown_phases(corrected, membership, material, spectra, candidates)
    model = build_phase_model(library, spectra, confirmed, options, model_error)
    return FittedModel(systematics, corrected, model, membership)
