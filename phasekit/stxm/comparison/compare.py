"""The phase map beside the simpler methods, on the same pixels with the same energy offset."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError, StxmStatus
from ...schema import COMPARISON, OD, PHASES, REFERENCES, describe, read_phase_names, renumber_phases, require
from ..preprocessing.material import find_material
from ..preprocessing.smoothing import smooth_od
from ..reference_spectra.library import build_library
from ..reference_spectra.systematics import find_energy_offset
from .kmeans_gmm import cluster_gaussian_mixture, cluster_kmeans
from .mcr import fit_mcr_als
from .reference_fit import fit_references
from .single_phase import MIN_ENERGIES_WITH_SLOPE, match_single_phase

Array = NDArray[np.float64]
#: row of the phase map that the methods are compared with
_MAP_ROW = "GMVAE + Pearson"
_WITH_SLOPE = "chi-square with slope"


class _MethodInput(NamedTuple):
    """What every method is given."""

    od: xr.Dataset  # smoothed as asked for
    refs: xr.Dataset
    offset: float  # of the energies [eV]
    n_clusters: int
    seed: int  # of the clusterings


def compare_methods(  # noqa: PLR0913
    od: xr.Dataset,
    refs: xr.Dataset,
    truth_phase: xr.DataArray | xr.Dataset | None = None,
    phases: xr.Dataset | None = None,
    *,
    methods: Sequence[str] | None = None,
    smoothing_px: float = 0.0,
    n_clusters: int = 8,
    energy_offset: float | str = "fit",
    seed: int = 0,
) -> xr.Dataset:
    """Name every material pixel by the simpler methods too, and count who is right.

    All methods are given the energy offset (the one of ``phases`` where there is one). The tools in use do not fit it,
    so the methods are shown at their best.

    Parameters
    ----------
    od, refs
        OD and REFERENCES.
    truth_phase
        Right phase ``(scan_y, scan_x)`` as index, -1 where there is none, or the stack that holds it as
        ``truth_phase``. It is an index into its own names (a stack's ``reference``, or ``attrs["phase_names"]``), which
        are matched with those of ``refs``; a phase that ``refs`` lacks counts as wrong for every method. A map without
        names is an index into ``refs``. None leaves the accuracies NaN.
    phases
        PHASES from :func:`phasekit.stxm.label_phases`. It adds the row "GMVAE + Pearson" with its status.
    methods
        Rows to make, of "k-means + Pearson", "PCA + GMM", "NNLS arg-max", "MCR-ALS", "Pearson per pixel", "chi-square
        per pixel" and "chi-square with slope". None makes all that can be made: MCR-ALS needs pyMCR, a slope needs 4
        energies.
    smoothing_px
        Standard deviation [px] of a Gaussian over the optical density before every method
        (:func:`phasekit.stxm.smooth_od`). It gives them the help of the neighbours that the phase map has.
    n_clusters
        Clusters of k-means and of the mixture.
    energy_offset
        Used if ``phases`` is None: a number [eV] or "fit".
    seed
        Of the clusterings.

    Returns
    -------
    xarray.Dataset
        COMPARISON by ``approach``:

        - ``accuracy`` over all pixels with a phase both in the truth and by the method.
        - ``accuracy_unflagged`` over those that the method does not flag, and their share ``share_unflagged``. The
          simple methods flag nothing.
        - ``n_pixels``, and ``seconds`` (NaN for the given map).
        - the maps ``phase(approach, scan_y, scan_x)``, -1 for none.

        The table is ``.drop_dims(["scan_y", "scan_x"]).to_dataframe()``.

    Raises
    ------
    SchemaError
        ``truth_phase`` or ``phases`` is on another grid, a method is unknown, or no pixel holds material.

    See Also
    --------
    label_phases : The map that the methods are compared with.
    fit_references, match_single_phase, cluster_kmeans, cluster_gaussian_mixture, fit_mcr_als : The methods.

    Notes
    -----
    Reads the material pixels into memory.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.array([[0.0, 0, 1, 3, 2, 1], [0, 1, 3, 2, 2, 1]])
    >>> energy = ("energy", np.arange(514.0, 520.0), {"units": "eV"})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), spectra)},
    ...                   coords={"reference": ["V3", "V4"], "energy": energy})
    >>> truth = np.arange(144).reshape(12, 12) % 2
    >>> cube = 0.3 * spectra[truth].transpose(2, 0, 1) + rng.normal(0, 0.03, (6, 12, 12))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.03)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((12, 12), bool))}, coords={"energy": energy})
    >>> table = compare_methods(od, refs, xr.DataArray(truth, dims=("scan_y", "scan_x")), energy_offset=0.0)
    >>> table["accuracy"].sel(approach="NNLS arg-max").item()
    1.0
    """
    truth = None if truth_phase is None else _number_like(truth_phase, refs)
    _check_inputs(od, refs, truth, phases)
    # the same offset and smoothing for all, so that only the methods differ
    rows = _select_methods(methods, od.sizes["energy"])
    offset = _select_energy_offset(od, refs, phases, energy_offset)
    request = _MethodInput(smooth_od(od, smoothing_px), refs, offset, n_clusters, seed)
    maps, seconds = {}, []
    for name in rows:
        started = perf_counter()
        maps[name] = np.asarray(_METHODS[name](request).transpose("scan_y", "scan_x"))
        seconds.append(perf_counter() - started)
    # the simple methods have no status, so nothing of theirs is flagged
    flagged = {name: np.zeros(image.shape, dtype=bool) for name, image in maps.items()}
    if phases is not None:
        maps[_MAP_ROW] = np.asarray(_number_like(phases, refs).transpose("scan_y", "scan_x"))
        flagged[_MAP_ROW] = np.asarray(phases["status"].transpose("scan_y", "scan_x")) != StxmStatus.OK
        seconds.append(np.nan)  # the map was made before
    right = None if truth is None else np.asarray(truth.transpose("scan_y", "scan_x"))
    scores = np.array([_score_method(maps[name], flagged[name], right) for name in maps]).reshape(-1, 4)
    names = ("accuracy", "accuracy_unflagged", "share_unflagged", "n_pixels")
    out = xr.Dataset({name: ("approach", scores[:, index]) for index, name in enumerate(names)})
    out["seconds"] = ("approach", np.array(seconds))
    out["phase"] = (("approach", "scan_y", "scan_x"), np.stack(list(maps.values())).astype(np.int16))
    grid = {dim: od[dim] for dim in ("scan_y", "scan_x") if dim in od.coords}
    out = out.assign_coords({"approach": list(maps), **grid})
    settings: dict[str, Any] = {"n_clusters": n_clusters, "energy_offset": offset, "seed": seed}
    settings |= {"smoothing_px": smoothing_px, "methods": rows}
    return describe(out, COMPARISON, step="compare_methods", settings=settings, source=od)


def _number_like(data: xr.DataArray | xr.Dataset, refs: xr.Dataset) -> xr.DataArray:
    """Phase map, or the one in a dataset, as index into the references; other phases get numbers behind them."""
    name = next((name for name in ("truth_phase", "phase") if isinstance(data, xr.Dataset) and name in data), "")
    map_ = data[name] if isinstance(data, xr.Dataset) and name else data
    if not isinstance(map_, xr.DataArray):
        raise SchemaError("compare_methods: 'truth_phase' has no variable 'truth_phase'. Give the map itself.")
    own = read_phase_names(map_) or read_phase_names(data)
    return renumber_phases(map_, own, read_phase_names(refs) or [], step="compare_methods")[0]


def _check_inputs(od: xr.Dataset, refs: xr.Dataset, truth: xr.DataArray | None, phases: xr.Dataset | None) -> None:
    """Refuse datasets of other kinds, and maps on another grid."""
    require(od, OD, step="compare_methods", argument="od")
    require(refs, REFERENCES, step="compare_methods", argument="refs")
    if phases is not None:
        require(phases, PHASES, step="compare_methods", argument="phases")
    for name, other in (("truth_phase", truth), ("phases", phases)):
        if other is not None and any(other.sizes.get(dim) != od.sizes[dim] for dim in ("scan_y", "scan_x")):
            raise SchemaError(
                f"compare_methods: {name} has {dict(other.sizes)}, the data {dict(od.sizes)}. Use one grid."
            )


def _select_methods(methods: Sequence[str] | None, n_energies: int) -> list[str]:
    """Methods as asked for, or all that can be made with the packages and energies there are."""
    from importlib.util import find_spec

    if methods is None:
        # a method that cannot be made is left out, unless it is asked for by name
        is_able = {"MCR-ALS": find_spec("pymcr") is not None, _WITH_SLOPE: n_energies >= MIN_ENERGIES_WITH_SLOPE}
        return [name for name in _METHODS if is_able.get(name, True)]
    if unknown := sorted(set(methods) - set(_METHODS)):
        raise SchemaError(f"compare_methods: unknown methods {unknown}, needs some of {list(_METHODS)}.")
    return list(methods)


def _apply_kmeans(request: _MethodInput) -> xr.DataArray:
    """Phase (scan_y, scan_x) by k-means clusters."""
    od, refs, offset, n, seed = request
    return cluster_kmeans(od, refs, n_clusters=n, energy_offset=offset, seed=seed)["phase"]


def _apply_gaussian_mixture(request: _MethodInput) -> xr.DataArray:
    """Phase (scan_y, scan_x) by a mixture of Gaussians."""
    od, refs, offset, n, seed = request
    return cluster_gaussian_mixture(od, refs, n_clusters=n, energy_offset=offset, seed=seed)["phase"]


def _apply_nnls(request: _MethodInput) -> xr.DataArray:
    """Phase (scan_y, scan_x) of the reference whose amount gives the most contrast, amount times standard deviation."""
    od, refs, offset, *_ = request
    amount = fit_references(od, refs, energy_offset=offset, weighted=True)["amount"]
    library = build_library(refs, od["energy"], step="compare_methods", n_nuisance=1, energy_offset=offset)
    energies = od["energy"].values + offset
    spectra = library.at(energies[library.covers(energies)])
    # amounts of flat spectra hardly change what is seen, so they are weighed by the contrast
    contrast = (amount * xr.DataArray(spectra.std(axis=1), dims="reference")).compute()
    material = find_material(od)
    known = material & contrast.notnull().all("reference")
    return contrast.fillna(-1.0).argmax("reference").where(known, -1)


def _apply_mcr(request: _MethodInput) -> xr.DataArray:
    """Phase (scan_y, scan_x) by multivariate curve resolution."""
    return fit_mcr_als(request.od, request.refs, energy_offset=request.offset, seed=request.seed)["phase"]


def _apply_pearson(request: _MethodInput) -> xr.DataArray:
    """Phase (scan_y, scan_x) by the highest Pearson correlation."""
    return match_single_phase(request.od, request.refs, energy_offset=request.offset)["pearson_phase"]


def _apply_chi_square(request: _MethodInput) -> xr.DataArray:
    """Phase (scan_y, scan_x) by the least chi-square of one reference."""
    return match_single_phase(request.od, request.refs, energy_offset=request.offset)["phase"]


def _apply_chi_square_with_slope(request: _MethodInput) -> xr.DataArray:
    """Phase (scan_y, scan_x) by the least chi-square of one reference with a slope."""
    return match_single_phase(request.od, request.refs, slope=True, energy_offset=request.offset)["phase"]


_METHODS: dict[str, Callable[[_MethodInput], xr.DataArray]] = {
    "k-means + Pearson": _apply_kmeans,
    "PCA + GMM": _apply_gaussian_mixture,
    "NNLS arg-max": _apply_nnls,
    "MCR-ALS": _apply_mcr,
    "Pearson per pixel": _apply_pearson,
    "chi-square per pixel": _apply_chi_square,
    _WITH_SLOPE: _apply_chi_square_with_slope,
}


def _select_energy_offset(
    od: xr.Dataset, refs: xr.Dataset, phases: xr.Dataset | None, energy_offset: float | str
) -> float:
    """Energy offset [eV] of the phase map where there is one, else as asked for."""
    if phases is not None and "energy_offset" in phases:
        return float(phases["energy_offset"])
    library = build_library(refs, od["energy"], step="compare_methods", n_nuisance=1, energy_offset=energy_offset)
    return float(find_energy_offset(od, library, energy_offset, step="compare_methods").value[0])


def _score_method(
    phase: NDArray[np.integer], flagged: NDArray[np.bool_], truth: NDArray[np.integer] | None
) -> tuple[float, float, float, float]:
    """Accuracy, accuracy of the unflagged, their share, and number of pixels, of one map of phases (scan_y, scan_x)."""
    # a pixel counts where both the method and the truth have a phase
    named = phase >= 0
    counted = named if truth is None else named & (truth >= 0)
    n = int(counted.sum())
    unflagged = counted & ~flagged
    share = float(unflagged.sum() / n) if n else np.nan
    if truth is None or n == 0:
        return np.nan, np.nan, share, float(n)
    right = phase == truth
    return float(right[counted].mean()), float(right[unflagged].mean()) if unflagged.any() else np.nan, share, float(n)
