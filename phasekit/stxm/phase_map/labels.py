"""Names for the clusters, a second opinion from every pixel's own spectrum, and a status that says what to trust."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...correlation import pearson_coefficient
from ...errors import SchemaError, StxmStatus, status_attributes
from ...schema import CLUSTERS, OD, PHASES, REFERENCES, describe, require
from ..preprocessing.material import find_material
from ..preprocessing.stray_light import subtract_stray_light
from ..reference_spectra.library import Library, build_library
from ..reference_spectra.systematics import SharedParameters, fit_shared_parameters, shared_variables
from .ambiguity import mark_ambiguous
from .pixel_status import PhaseModel, SamplerOptions, build_phase_model, classify_pixels, compute_membership
from .sufficient_statistics import compute_sufficient_statistics
from .unknown_phases import confirm_unknown_phases, find_candidate_clusters, no_unknown_phases

Array = NDArray[np.float64]
_SCAN = ["scan_y", "scan_x"]


def label_phases(  # noqa: PLR0913
    od: xr.Dataset,
    clusters: xr.Dataset | None,
    refs: xr.Dataset,
    *,
    margin: float = 0.0,
    min_confidence: float = 0.75,
    neighbours: float | str = "fit",
    blur_px: float | str = "fit",
    energy_offset: float | str = "fit",
    stray_light: float | str = "fit",
    background_slope: float | str = "fit",
    broadening: float | str = 0.0,
    seed: int = 0,
) -> xr.Dataset:
    """Name the phase of every material pixel, and say where the name is not to be trusted.

    1. What bends all spectra alike is found first: energy offset, stray light, background slope
       (:func:`phasekit.stxm.fit_systematics`).
    2. Each cluster's mean spectrum is named by its highest Pearson correlation. A cluster that no mixture of references
       explains, and whose surrounded pixels confirm it, is an unknown phase; one that only a mixture explains is a
       transition phase.
    3. Maps of phases are drawn from their posterior: every pixel's own spectrum counts, seen through the blur of the
       probe over its neighbours, and domains hold together as strongly as the map itself shows. A pixel's confidence
       is the share of the draws with its name.
    4. The pixel's own spectrum is then held against the map, which gives its ``status``.

    Parameters
    ----------
    od, clusters, refs
        OD, CLUSTERS made from it, and REFERENCES that cover its energies. ``clusters=None`` leaves step 2 out: no
        unknown phases are looked for beyond single pixels that fit nothing.
    margin
        A pixel whose best and second-best Pearson differ by less is ``ambiguous``: 0 leaves it to the confidence;
        neighbours among NVPF references differ by 0.007 to 0.04, so 0.002 is a mild and 0.01 a severe demand.
    min_confidence
        A pixel below this confidence is ``ambiguous``. Every pixel left is right with at least this probability; on
        average they are right far more often.
    neighbours
        What an unlike neighbour costs [nat] (a diagonal one 0.7 of it), or "fit": learned from the map, for phases next
        to each other on the composition path and for others apart; 0.7 and 1.4 are usual. 0 lets every pixel stand
        alone. Grains thinner than about 2 pixels are smoothed away with large costs.
    blur_px
        Full width of the probe at half maximum [px], or "fit": the width (0.6 to 3.2 px) that explains the spectra
        best; it comes out wider where compositions change gradually.
    energy_offset, stray_light, background_slope, broadening
        As in :func:`phasekit.stxm.fit_systematics`.
    seed
        Of the draws: same seed, same map.

    Returns
    -------
    xarray.Dataset
        PHASES: ``phase`` (index into ``reference``, -1 without material), ``runner_up`` (the best other one, -1 when
        there is none: the two an ambiguous pixel lies between), ``pearson`` of the pixel's own spectrum with each
        reference, ``margin`` (best minus second best of them), ``confidence`` (probability that the phase is right,
        0..1), ``unknown_probability`` (that it is none of the references), ``composition`` (mean over the draws; for a
        ``transition`` by place between the two neighbouring references of the best mixture: along the path through all
        references, not the straight line between its ends), ``mixture`` (share of the lesser phases under the probe,
        0..1; for a ``transition`` of the pixel's own fit), ``chi_square`` (of the named phase, per degree of freedom),
        ``status``, ``cluster_contradicted`` (the pixel's own spectrum speaks against its cluster's name),
        ``cluster_pearson``, ``cluster_phase``, the shared numbers with ``.._error``, and what was learned:
        ``cost_adjacent``, ``cost_other`` [nat], ``fitted_blur_px``.
        Status, the first that holds: ``background`` (empty or not measured), ``too_thick``, ``no_reference`` (an
        unknown phase, or even the best mixture's chi-square is twice what noise alone exceeds in one pixel of 10 000),
        ``transition`` (a mixture with over 15 % of the lesser phase lowers chi-square by 12 against everything that
        one phase or the blur of the map explains, or the pixel belongs to a transition phase), ``false_assignment``
        (the pixel's own spectrum speaks against the map: another phase lowers chi-square by 12),
        ``boundary_transition`` (visibly a mixture, as the blur over the domains around predicts), ``ambiguous``,
        ``ok``.
        NaN where there is no material; ``composition`` also where references carry none or the phase is unknown.

    Raises
    ------
    SchemaError
        The references do not cover the energies, there are too many of them, ``clusters`` belongs to other data, or a
        setting is neither a number nor "fit".

    Notes
    -----
    "fit" reads block means into memory (1/36 of the stack), ``clusters`` their mean spectra, block by block; where a
    cluster is suspect the stack is read twice more. The rest is lazy where ``od`` is; maps of more than 512 pixels a
    side are drawn in tiles that overlap by 16, with 4 (n^2 + 5 n) bytes per pixel of a tile for n references and
    unknown phases.
    The confidence holds for references that are right: each pixel's misfit above the common one widens its noise, but a
    wrong reference that fits well cannot be noticed.

    References
    ----------
    Geman and Geman, IEEE PAMI 6, 721 (1984): Gibbs sampling of a Potts field from blurred data; Besag, JRSS B 48, 259
    (1986): its costs by pseudo-likelihood.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.array([[0.0, 0, 1, 3, 2, 1], [0, 1, 3, 2, 2, 1]])
    >>> energy = ("energy", np.arange(514.0, 520.0), {"units": "eV"})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), spectra)},
    ...                   coords={"reference": ["V3", "V4"], "energy": energy})
    >>> truth = np.arange(144).reshape(12, 12) % 12 // 6
    >>> cube = 0.3 * spectra[truth].transpose(2, 0, 1) + rng.normal(0, 0.03, (6, 12, 12))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.03)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((12, 12), bool))}, coords={"energy": energy})
    >>> from phasekit.stxm import Training, assign_clusters, fit_gmvae
    >>> clusters = assign_clusters(od, fit_gmvae(od, n_clusters=2, training=Training(n_steps=5), progress=False))
    >>> label_phases(od, clusters, refs, energy_offset=0.0)["phase"].values[0]
    array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], dtype=int16)
    """
    library = _checked(od, clusters, refs)
    wanted = {"energy_offset": energy_offset, "stray_light": stray_light}
    wanted |= {"background_slope": background_slope, "broadening": broadening}
    options = SamplerOptions(_cost(neighbours), _width(blur_px), seed)
    shared, clear, model = _prepare(od, clusters, library, wanted, options)
    sums = compute_sufficient_statistics(clear, model.templates, model.n_references)
    named, opinion = xr.Dataset(), None
    if clusters is not None:
        named = _name_clusters(clusters, model.templates[: model.n_references], library)
        opinion = _cluster_opinion(clusters, named["cluster_phase"], library)
    out = classify_pixels(sums, model, opinion).rename(blur_px="fitted_blur_px")
    out = out.assign_coords(reference=library.names)
    out = xr.merge([out, named, shared_variables(shared)], compat="no_conflicts", join="exact")
    if "composition" in refs:
        out = out.assign_coords(reference_composition=("reference", library.composition))
    thick = od["too_thick"] if "too_thick" in od else xr.zeros_like(od["valid"], dtype=bool)
    out["status"] = out["status"].where(~thick, StxmStatus.TOO_THICK.value).astype(np.int8)
    out["status"].attrs = status_attributes(StxmStatus)
    out["status"] = mark_ambiguous(out, margin, min_confidence)
    settings: dict[str, Any] = {"margin": margin, "min_confidence": min_confidence, "neighbours": neighbours}
    settings |= {"blur_px": blur_px, "seed": seed, **wanted}
    return describe(out, PHASES, step="label_phases", settings=settings, source=od if clusters is None else clusters)


def _checked(od: xr.Dataset, clusters: xr.Dataset | None, refs: xr.Dataset) -> Library:
    require(od, OD, step="label_phases")
    require(refs, REFERENCES, step="label_phases")
    if clusters is not None:
        require(clusters, CLUSTERS, step="label_phases")
        if any(clusters.sizes[dim] != od.sizes[dim] for dim in ("energy", *_SCAN)):
            raise SchemaError(
                f"label_phases: clusters have {dict(clusters.sizes)}, the optical density {dict(od.sizes)}. "
                "Make them from this OD with assign_clusters."
            )
    return build_library(refs, od["energy"], step="label_phases", n_nuisance=1)


def _cost(neighbours: float | str) -> float | None:
    if neighbours == "fit":
        return None
    if isinstance(neighbours, str) or not 0 <= neighbours <= 10:
        raise SchemaError(f"label_phases: neighbours={neighbours!r}, needs 'fit' or a cost of 0 to 10 nat.")
    return float(neighbours)


def _width(blur_px: float | str) -> float | None:
    if blur_px == "fit":
        return None
    if isinstance(blur_px, str) or not 0 <= blur_px <= 5:
        raise SchemaError(f"label_phases: blur_px={blur_px!r}, needs 'fit' or a full width of 0 to 5 px.")
    return float(blur_px)


def _prepare(
    od: xr.Dataset,
    clusters: xr.Dataset | None,
    library: Library,
    wanted: dict[str, float | str],
    options: SamplerOptions,
) -> tuple[SharedParameters, xr.Dataset, PhaseModel]:
    """Shared numbers, the data without stray light, and the templates: references and believed strangers.

    Pixels of an unknown phase pull at the shared numbers, so once one is believed they are fitted again without it.
    """
    material = find_material(od)
    counted, energies = material, od["energy"].values.astype(np.float64)
    for last in (False, True):
        shared, _ = fit_shared_parameters(od.assign(valid=counted), library, wanted, limit=1.5, step="label_phases")
        clear, spectra = subtract_stray_light(od, float(shared.value[1])), shared.spectra(library, energies)
        strangers = no_unknown_phases(spectra)
        if clusters is not None:
            strangers = find_candidate_clusters(clear, clusters["responsibility"], material, spectra)
        model = build_phase_model(library, spectra, strangers, options)
        if not strangers.spectra.size:
            break
        belonging = compute_membership(compute_sufficient_statistics(clear, model.templates, model.n_references), model)
        strangers = confirm_unknown_phases(clear, belonging, material, spectra, strangers)
        model = build_phase_model(library, spectra, strangers, options)
        if last or not strangers.unknown.any():
            break
        counted = material & (belonging.sum("group") < 0.5)
    return shared, clear, model


def _cluster_opinion(clusters: xr.Dataset, cluster_phase: xr.DataArray, library: Library) -> xr.DataArray:
    """Probability (scan_y, scan_x, reference) of each name by the pixel's clusters."""
    names = cluster_phase == xr.DataArray(np.arange(len(library.names)), dims="reference")
    return xr.dot(clusters["responsibility"].fillna(0.0), names.astype(np.float32), dim="cluster")


def _name_clusters(clusters: xr.Dataset, spectra: NDArray[np.floating], library: Library) -> xr.Dataset:
    """Pearson of each cluster's mean spectrum with each reference, and the best; -1 for an empty cluster."""
    pearson = xr.apply_ufunc(
        lambda mean: pearson_coefficient(mean[..., None, :], spectra),
        clusters["spectrum"],
        input_core_dims=[["energy"]],
        output_core_dims=[["reference"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"reference": len(library.names)}},
    )
    alive = np.isfinite(pearson).all("reference")
    phase = pearson.fillna(-2.0).argmax("reference").where(alive, -1).astype(np.int16)
    named = xr.Dataset({"cluster_pearson": pearson, "cluster_phase": phase})
    return named.assign_coords(reference=library.names)
