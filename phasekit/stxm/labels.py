"""Names for the clusters, a second opinion from every pixel's own spectrum, and a status that says what to trust."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..correlation import _pearson
from ..errors import SchemaError, StxmStatus, status_attributes
from ..schema import CLUSTERS, OD, PHASES, REFERENCES, describe, require
from .library import _Library, _library, _Offset, _offset_of
from .verdict import _judge

Array = NDArray[np.float64]
_SCAN = ["scan_y", "scan_x"]


def label_phases(
    od: xr.Dataset,
    clusters: xr.Dataset,
    refs: xr.Dataset,
    *,
    margin: float = 0.0,
    min_confidence: float = 0.8,
    neighbours: float = 0.8,
    energy_offset: float | str = "fit",
    blur_px: float = 2.0,
) -> xr.Dataset:
    """Name the phase of every material pixel, and say where the name is not to be trusted.

    A common energy offset between data and references is found first. Each cluster's mean spectrum is named by its
    highest Pearson correlation. Every pixel then gathers three opinions: its own spectrum's chi-square with each
    reference (a constant is free); the vote of its clusters, where a cluster votes as its members' spectra do on
    average; and its neighbours'. Where the phases around a pixel differ, the probe mixes them, so a last step weighs
    pure phases against mixtures of any two of them, with the share and its error, and the most probable name wins.

    Parameters
    ----------
    od, clusters, refs
        OD, CLUSTERS made from it, and REFERENCES that cover its energies.
    margin
        A pixel whose best and second-best Pearson differ by less is ``ambiguous``: 0 leaves it to the confidence;
        neighbours among NVPF references differ by 0.007 to 0.04, so 0.002 is a mild and 0.01 a severe demand.
    min_confidence
        A pixel below this confidence is ``ambiguous``. Every pixel left is right with at least this probability; on
        average they are right far more often (0.97 or more on simulated specimens with 700 to 1500 photons).
    neighbours
        Weight of each of the four nearest pixels' opinion (the diagonal ones count 0.7 of it), in nat: at 0.8 an
        undecided pixel among 8 of one phase takes it with odds of 230 to 1; 0 lets every pixel stand alone. It smooths
        single-pixel errors and grains thinner than about 2 pixels alike.
    energy_offset
        As in :func:`phasekit.stxm.fit_references`.
    blur_px
        Full width of the probe at half maximum [px], frame interpolation included: phases within about this distance
        mix, and a mixture with two different phases that near is a ``boundary_transition``, which blur alone explains.

    Returns
    -------
    xarray.Dataset
        PHASES: ``phase`` (index into ``reference``, -1 without material), ``runner_up`` (the best other one, -1 when
        there is none), ``pearson`` of the pixel's own spectrum with each reference, ``margin`` (best minus second best
        of them), ``confidence`` (probability that the phase is nearest in composition, mixing included, 0..1),
        ``composition`` (by place between the two neighbouring references of the best mixture: the path through all
        references, not the straight line between its ends), ``mixture`` (share of the lesser one there, 0..0.5),
        ``chi_square`` (of the named phase, per degree of freedom), ``status``, ``cluster_pearson``, ``cluster_phase``,
        ``energy_offset`` and ``energy_offset_error`` [eV].
        Status, the first that holds: ``background`` (empty or not measured), ``too_thick``, ``no_reference`` (even the
        best mixture's chi-square is twice what noise alone exceeds in one pixel of 10 000), ``transition`` /
        ``boundary_transition`` (more probably than not a mixture with over 15 % of the lesser phase, or one lowers
        chi-square by 12), ``false_assignment`` (the pixel's own spectrum speaks against the phase: another one lowers
        chi-square by 12), ``ambiguous``, ``ok``.
        NaN where there is no material; ``composition`` also where references carry none.

    Raises
    ------
    SchemaError
        The references do not cover the energies, there are too many of them, or ``clusters`` belongs to other data.

    Notes
    -----
    "fit" reads block means into memory (1/36 of the stack); the rest is lazy where ``od`` is. The confidence holds for
    references that are right: each pixel's misfit above the common one widens its noise, but a wrong reference that
    fits well cannot be noticed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.array([[0.0, 0, 1, 3, 2, 1], [0, 1, 3, 2, 2, 1]])
    >>> energy = ("energy", np.arange(514.0, 520.0), {"units": "eV"})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), spectra)},
    ...                   coords={"reference": ["V3", "V4"], "energy": energy})
    >>> cube = 0.3 * spectra[np.arange(144) % 2].T.reshape(6, 12, 12) + rng.normal(0, 0.03, (6, 12, 12))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.03)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((12, 12), bool))}, coords={"energy": energy})
    >>> from phasekit.stxm import Training, assign_clusters, fit_gmvae
    >>> clusters = assign_clusters(od, fit_gmvae(od, n_clusters=2, training=Training(n_steps=5), progress=False))
    >>> label_phases(od, clusters, refs, energy_offset=0.0)["phase"].values[0]
    array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], dtype=int16)
    """
    require(od, OD, step="label_phases")
    require(clusters, CLUSTERS, step="label_phases")
    require(refs, REFERENCES, step="label_phases")
    if any(clusters.sizes[dim] != od.sizes[dim] for dim in ("energy", *_SCAN)):
        raise SchemaError(
            f"label_phases: clusters have {dict(clusters.sizes)}, the optical density {dict(od.sizes)}. "
            "Make them from this OD with assign_clusters."
        )
    library = _library(refs, od["energy"], step="label_phases", n_nuisance=1)
    offset = _offset_of(od, library, energy_offset, limit=1.5, step="label_phases")
    spectra = library.at(od["energy"].values.astype(np.float64) + offset.value)
    named = _name_clusters(clusters, spectra, library)
    out = _judge(od, clusters["responsibility"], library, spectra, neighbours=neighbours, blur_px=blur_px)
    out = xr.merge([out, named, _offset_variables(offset)], compat="no_conflicts", join="exact")
    if "composition" in refs:
        out = out.assign_coords(reference_composition=("reference", library.composition))
    settings: dict[str, Any] = {"margin": margin, "min_confidence": min_confidence, "energy_offset": energy_offset}
    settings |= {"blur_px": blur_px, "neighbours": neighbours}
    out["status"].attrs = status_attributes(StxmStatus)
    out["status"] = _ambiguity(out, margin, min_confidence)
    return describe(out, PHASES, step="label_phases", settings=settings, source=clusters)


def flag_ambiguous(phases: xr.Dataset, margin: float, *, min_confidence: float = 0.8) -> xr.Dataset:
    """Draw the ambiguity again with another margin; every other status stays.

    Parameters
    ----------
    phases
        PHASES from :func:`label_phases`.
    margin, min_confidence
        A pixel that is ``ok`` or ``ambiguous`` becomes ``ambiguous`` when its margin or its confidence is below, else
        ``ok``.

    Returns
    -------
    xarray.Dataset
        PHASES with a new ``status``.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES, or ``margin`` is NaN or negative.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 3), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> flag_ambiguous(phases, 0.05)["status"].values
    array([[3, 3, 0]], dtype=int8)
    """
    require(phases, PHASES, step="flag_ambiguous")
    if not margin >= 0:
        raise SchemaError(f"flag_ambiguous: margin={margin}, needs a number >= 0: 0 flags nothing, 0.01 is severe.")
    out = phases.copy()
    out["status"] = _ambiguity(phases, margin, min_confidence)
    settings = {"margin": margin, "min_confidence": min_confidence}
    return describe(out, PHASES, step="flag_ambiguous", settings=settings, source=phases)


def ambiguous_fraction(phases: xr.Dataset, margin: float, *, min_confidence: float = 0.8) -> float:
    """Share of the material pixels that :func:`flag_ambiguous` calls ambiguous at this margin, 0..1.

    Parameters
    ----------
    phases
        PHASES from :func:`label_phases`.
    margin, min_confidence
        As in :func:`flag_ambiguous`.

    Returns
    -------
    float
        Ambiguous pixels over pixels with a phase; NaN when no pixel has one. Grows with ``margin``, never above the
        share of pixels that carry no stronger flag.

    Raises
    ------
    SchemaError
        As :func:`flag_ambiguous`.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 4), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2, 0.3]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> ambiguous_fraction(phases, 0.05)
    0.5
    """
    status = flag_ambiguous(phases, margin, min_confidence=min_confidence)["status"]
    named = phases["phase"] >= 0
    total = int(named.sum())
    return float(((status == StxmStatus.AMBIGUOUS) & named).sum()) / total if total else float("nan")


def _ambiguity(phases: xr.Dataset, margin: float, min_confidence: float) -> xr.DataArray:
    doubtful = (phases["margin"] < margin) | (phases["confidence"] < min_confidence)
    free = phases["status"].isin([StxmStatus.OK, StxmStatus.AMBIGUOUS])
    fresh = doubtful * StxmStatus.AMBIGUOUS.value
    status = phases["status"].where(~free, fresh).astype(np.int8)
    return status.assign_attrs(phases["status"].attrs)


def _offset_variables(offset: _Offset) -> xr.Dataset:
    return xr.Dataset({"energy_offset": ((), offset.value), "energy_offset_error": ((), offset.error)})


def _name_clusters(clusters: xr.Dataset, spectra: Array, library: _Library) -> xr.Dataset:
    """Pearson of each cluster's mean spectrum with each reference, and the best; -1 for an empty cluster."""
    pearson = xr.apply_ufunc(
        lambda mean: _pearson(mean[..., None, :], spectra),
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
