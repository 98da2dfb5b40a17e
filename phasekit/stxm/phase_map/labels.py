"""The public step of the stage: names for all material pixels, their confidence and their status."""

from typing import Any

import numpy as np
import xarray as xr

from ...errors import SchemaError
from ...schema import CLUSTERS, OD, PHASES, REFERENCES, describe, require
from ..clustering.cluster_names import compute_cluster_vote, name_clusters
from ..clustering.clusters import check_same_stack
from ..reference_spectra.library import Library, build_library
from ..reference_spectra.systematics import shared_variables
from .ambiguity import AmbiguityLimits
from .model_fit import FittedModel, fit_phase_model
from .phase_model import SamplerOptions
from .sufficient_statistics import compute_sufficient_statistics
from .tiles import label_tiles

_MOST_REFERENCES = 60  # a pixel keeps the product of every pair in memory


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
    r"""Name the phase of every material pixel, and say how far the name can be trusted.

    1. Fit what all spectra share: energy offset, stray light, background slope, and how inexact the references are.
    2. Name each cluster by the reference with the highest Pearson correlation. A cluster that no mixture of two
       references explains is an unknown phase.
    3. Reduce every spectrum :math:`x_j` to its chi-square for any mixture of phases.
    4. Draw maps of labels :math:`z` from their posterior. A label is a phase, or a mixture whose share varies smoothly.
       The likelihood sees :math:`z` through the blur of the probe. The prior is a Potts model, in which unlike
       neighbours cost :math:`\beta`; a mixture costs :math:`c_j` for its free share:

       .. math:: P(z \mid x) \propto \exp\Bigl(-\tfrac12 \sum_j \chi^2_j(z) - \sum_{(i,j)} \beta\,[z_i \ne z_j]
           - \sum_j c_j\,[z_j = \mathrm{mixture}]\Bigr)

    5. Take the most probable phase as the name. The larger part of a mixture counts as its phase. Compare each spectrum
       with the maps, which gives its status.

    Parameters
    ----------
    od, clusters, refs
        OD, CLUSTERS made from it, and REFERENCES that cover its energies. With ``clusters=None`` no unknown phases are
        looked for.
    margin
        A pixel is ``ambiguous`` if its two best Pearson correlations differ by less. 0 leaves it to the confidence. For
        NVPF 0.002 is mild and 0.01 severe, because neighbouring references differ by 0.007 to 0.04.
    min_confidence
        A pixel below this confidence is ``ambiguous``.
    neighbours
        Cost of an unlike neighbour [nat]; a diagonal one costs 0.7 of it. "fit" learns one cost for phases adjacent in
        composition and one for others; 0.7 and 1.4 are usual. 0 treats every pixel alone. Large costs smooth away
        grains thinner than about 2 pixels.
    blur_px
        Full width of the probe at half maximum [px]. "fit" takes the width (0.6 to 3.2 px) that explains the spectra
        best.
    energy_offset, stray_light, background_slope, broadening
        As in :func:`phasekit.stxm.fit_systematics`.
    seed
        Of the draws: the same seed gives the same map.

    Returns
    -------
    xarray.Dataset
        PHASES on ``scan_y, scan_x``, NaN where there is no material:

        - ``phase``, index into ``reference``, and ``runner_up``; -1 where there is none.
        - ``confidence`` that the phase is right, ``unknown_probability`` that it is no reference, both 0..1.
        - ``pearson`` of the spectrum with each reference; ``margin``, best minus second best.
        - ``chi_square`` of the named phase, per degree of freedom.
        - ``reference_fraction``, share of each reference under the probe, of sum 1. It comes from the spectra of the
          pixel and of as many neighbours as they support. ``reference_fraction_error`` contains the misfit of the
          references.
        - ``mixture``, the share of all references but the largest, 0..1.
        - ``composition`` of the pixel itself, mean over the draws. NaN where over 15 % of it is of references without
          one.
        - ``n_missing``, the energies that were not measured in the pixel, though in others.
        - ``cluster_phase``, ``cluster_pearson``; ``cluster_contradicted``, where the spectrum contradicts its cluster.
        - ``fitted_reference``, the references as the stack shows them, and ``reference_misfit``, what they lack
          relative to the contrast of a spectrum. Chi-square and confidence contain it.
        - the systematics with ``.._error``, and the learned ``cost_adjacent``, ``cost_other`` [nat],
          ``fitted_blur_px``.
        - ``status``, the first that holds:

          - ``too_thick`` for light to pass; ``background``, empty or not measured.
          - ``no_reference``: an unknown phase, or a large misfit. Its chi-square is over twice the limit that noise
            exceeds with probability 1e-4.
          - ``transition``: a mixture with over 15 % of the lesser phase, wider than the probe.
          - ``false_assignment``: another phase lowers chi-square by 12.
          - ``boundary_transition``: a visible mixture, as the blur of the domains around predicts.
          - ``ambiguous``: below ``margin`` or ``min_confidence``.
          - ``incomplete``: some energies were not measured in this pixel. Else ``ok``.

    Raises
    ------
    SchemaError
        The references do not cover the energies, or there are too many of them. ``clusters`` belongs to other data. A
        setting is neither a number nor "fit".

    See Also
    --------
    assign_clusters : The clusters that step 2 names.
    flag_ambiguous : Other thresholds for ``ambiguous`` without a new map.
    compare_methods : The same pixels named by simpler methods.
    label_particles : Particles and phase domains of the map.

    Notes
    -----
    "fit" reads block means into memory (1/36 of the stack). The rest is lazy where ``od`` is. Maps over 512 pixels a
    side are drawn in overlapping tiles.

    The references are adapted to the data's own means where a correction found in one half of the field explains more
    than half of the misfit in the other. Corrections along the references themselves cannot be told from amounts. So a
    reference that is wrong and fits well cannot be noticed.

    References
    ----------
    Geman and Geman, IEEE PAMI 6, 721 (1984): Gibbs sampling of a Potts field from blurred data. Besag, JRSS B 48, 259
    (1986): its costs by pseudo-likelihood.

    Examples
    --------
    >>> import numpy as np
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
    given = _check_inputs(od, clusters, refs, energy_offset)
    library = given.in_units_of(given.unit)
    systematics = {"energy_offset": energy_offset, "stray_light": stray_light}
    systematics |= {"background_slope": background_slope, "broadening": broadening}
    options = SamplerOptions(_check_cost(neighbours), _check_width(blur_px), seed)
    # 1, 2a: systematics and unknown phases, which depend on each other
    fit = fit_phase_model(od, clusters, library, systematics, options)
    # 2b: names of the clusters
    covered = np.isin(od["energy"].values, fit.od["energy"].values)
    names = name_clusters(clusters, covered, fit.model.reference_spectra, library)
    vote = compute_cluster_vote(clusters, names, library)
    # 3: every spectrum as a few numbers
    statistics = compute_sufficient_statistics(
        fit.od, fit.model.templates, fit.model.n_references, fit.model.model_error
    )
    # 4, 5: maps drawn from their posterior; names, confidence and the one status of every pixel
    limits = AmbiguityLimits(margin, min_confidence)
    out = label_tiles(statistics, _select_too_thick(od), vote, fit.model, limits)
    out = out.assign_coords(reference=library.names)
    parts = [out, names, shared_variables(fit.systematics), _describe_references(fit, given.unit)]
    out = xr.merge(parts, compat="no_conflicts", join="exact")
    if "composition" in refs:
        out = out.assign_coords(reference_composition=("reference", library.composition))
    out = out.assign(reference_origin=refs["origin"].variable) if "origin" in refs else out
    settings: dict[str, Any] = {"margin": margin, "min_confidence": min_confidence, "neighbours": neighbours}
    settings |= {"blur_px": blur_px, "seed": seed, **systematics}
    return describe(out, PHASES, step="label_phases", settings=settings, source=od if clusters is None else clusters)


def _check_inputs(od: xr.Dataset, clusters: xr.Dataset | None, refs: xr.Dataset, energy_offset: float | str) -> Library:
    """Refuse datasets that do not belong together; return the references as a library."""
    require(od, OD, step="label_phases", argument="od")
    require(refs, REFERENCES, step="label_phases", argument="refs")
    if clusters is not None:
        require(clusters, CLUSTERS, step="label_phases", argument="clusters")
        check_same_stack(clusters, od, step="label_phases")
    if refs.sizes["reference"] > _MOST_REFERENCES:
        raise SchemaError(
            f"label_phases: {refs.sizes['reference']} references, a map can hold {_MOST_REFERENCES} at most. "
            "Select those that may occur, refs.sel(reference=[...])."
        )
    return build_library(refs, od["energy"], step="label_phases", n_nuisance=1, energy_offset=energy_offset)


def _describe_references(fit: FittedModel, unit: float) -> xr.Dataset:
    """The references as the stack shows them, at the energies they cover and in their own unit, and their misfit."""
    at = {"energy": fit.od["energy"]}
    spectra = xr.DataArray(unit * fit.model.reference_spectra, dims=("reference", "energy"), coords=at)
    return xr.Dataset({"fitted_reference": spectra, "reference_misfit": ((), fit.model.model_error.relative)})


def _check_cost(neighbours: float | str) -> float | None:
    """Cost of unlike neighbours [nat]; None: to be learned."""
    if neighbours == "fit":
        return None
    if isinstance(neighbours, str) or not 0 <= neighbours <= 10:
        raise SchemaError(f"label_phases: neighbours={neighbours!r}, needs 'fit' or a cost of 0 to 10 nat.")
    return float(neighbours)


def _check_width(blur_px: float | str) -> float | None:
    """Full width of the probe at half maximum [px]; None: to be learned."""
    if blur_px == "fit":
        return None
    if isinstance(blur_px, str) or not 0 <= blur_px <= 5:
        raise SchemaError(f"label_phases: blur_px={blur_px!r}, needs 'fit' or a full width of 0 to 5 px.")
    return float(blur_px)


def _select_too_thick(od: xr.Dataset) -> xr.DataArray:
    """Pixels (scan_y, scan_x) through which too little light passes; none where OD does not say."""
    return od["too_thick"] if "too_thick" in od else xr.zeros_like(od["valid"], dtype=bool)
