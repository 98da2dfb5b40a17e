"""The GMVAE beside the simple baselines, on the same pixels with the same energy offset."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..correlation import _pearson
from ..errors import SchemaError, StxmStatus
from ..schema import COMPARISON, OD, PHASES, REFERENCES, describe, require
from .evidence import _Evidence, _evidence_block, _pairs_of
from .library import _library, _offset_of
from .linear import fit_references

Array = NDArray[np.float64]


def compare_methods(
    od: xr.Dataset,
    refs: xr.Dataset,
    truth_phase: xr.DataArray | None = None,
    phases: xr.Dataset | None = None,
    *,
    n_clusters: int = 8,
    energy_offset: float | str = "fit",
    seed: int = 0,
) -> xr.Dataset:
    """Name every material pixel by the simple methods too, and count who is right.

    The baselines are told the energy offset (the one of ``phases`` when given), which the tools in use do not fit:
    they are shown at their best.

    Parameters
    ----------
    od, refs
        OD and REFERENCES.
    truth_phase
        Right phase ``(scan_y, scan_x)`` as index into ``reference``, -1 where there is none; None leaves accuracies
        NaN.
    phases
        PHASES from :func:`phasekit.stxm.label_phases`; adds the row "GMVAE + Pearson" with its status.
    n_clusters
        Clusters of the k-means row.
    energy_offset
        Used when ``phases`` is None: a number [eV] or "fit".
    seed
        Of k-means.

    Returns
    -------
    xarray.Dataset
        COMPARISON by ``approach``: ``accuracy`` over all pixels that are material both in truth and to the method,
        ``accuracy_unflagged`` over those it does not flag, ``share_unflagged``, ``n_pixels``; and the maps
        ``phase(approach, scan_y, scan_x)`` (-1: none). Baselines flag nothing. The table is
        ``.drop_dims(["scan_y", "scan_x"]).to_dataframe()``. Rows: "k-means + Pearson", "NNLS arg-max",
        "Pearson per pixel", "chi-square per pixel", "GMVAE +
        Pearson".

    Raises
    ------
    SchemaError
        ``truth_phase`` or ``phases`` is on another grid, or no pixel holds material.

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
    require(od, OD, step="compare_methods")
    require(refs, REFERENCES, step="compare_methods")
    if phases is not None:
        require(phases, PHASES, step="compare_methods")
    for name, other in (("truth_phase", truth_phase), ("phases", phases)):
        if other is not None and any(other.sizes.get(dim) != od.sizes[dim] for dim in ("scan_y", "scan_x")):
            raise SchemaError(
                f"compare_methods: {name} has {dict(other.sizes)}, the data {dict(od.sizes)}. Use one grid."
            )
    offset = _given_offset(od, refs, phases, energy_offset)
    maps = _baselines(od, refs, offset, n_clusters, seed)
    flagged = {name: np.zeros(image.shape, dtype=bool) for name, image in maps.items()}
    if phases is not None:
        maps["GMVAE + Pearson"] = np.asarray(phases["phase"].transpose("scan_y", "scan_x"))
        flagged["GMVAE + Pearson"] = np.asarray(phases["status"].transpose("scan_y", "scan_x")) != StxmStatus.OK
    truth = None if truth_phase is None else np.asarray(truth_phase.transpose("scan_y", "scan_x"))
    scores = np.array([_score(maps[name], flagged[name], truth) for name in maps])
    names = ("accuracy", "accuracy_unflagged", "share_unflagged", "n_pixels")
    out = xr.Dataset({name: ("approach", scores[:, index]) for index, name in enumerate(names)})
    out["phase"] = (("approach", "scan_y", "scan_x"), np.stack(list(maps.values())).astype(np.int16))
    grid = {dim: od[dim] for dim in ("scan_y", "scan_x") if dim in od.coords}
    out = out.assign_coords({"approach": list(maps), **grid})
    settings = {"n_clusters": n_clusters, "energy_offset": offset, "seed": seed}
    return describe(out, COMPARISON, step="compare_methods", settings=settings, source=od)


def _given_offset(od: xr.Dataset, refs: xr.Dataset, phases: xr.Dataset | None, energy_offset: float | str) -> float:
    if phases is not None and "energy_offset" in phases:
        return float(phases["energy_offset"])
    library = _library(refs, od["energy"], step="compare_methods", n_nuisance=1)
    return _offset_of(od, library, energy_offset, limit=1.5, step="compare_methods").value


def _baselines(
    od: xr.Dataset, refs: xr.Dataset, offset: float, n_clusters: int, seed: int
) -> dict[str, NDArray[np.integer]]:
    """Phase map of each baseline."""
    library = _library(refs, od["energy"], step="compare_methods", n_nuisance=1)
    spectra = library.at(od["energy"].values.astype(np.float64) + offset)
    material = od["valid"] & ~od["empty"] if "empty" in od else od["valid"]
    use = np.asarray(material.transpose("scan_y", "scan_x"), dtype=bool)
    order = ("scan_y", "scan_x", "energy")
    density, noise = (np.asarray(od[name].transpose(*order), dtype=np.float64) for name in ("optical_density", "noise"))
    use &= np.isfinite(density).all(axis=-1)
    if not use.any():
        raise SchemaError("compare_methods: no pixel holds material. See od['valid'] and od['empty'] for why.")
    evidence = _Evidence(
        *_evidence_block(density[use], noise[use], use[use], spectra=spectra, pairs=_pairs_of(library))
    )
    fraction = fit_references(od, refs, energy_offset=offset, weighted=True)["amount"].transpose(
        "scan_y", "scan_x", "reference"
    )
    weighted = np.asarray(fraction)[use] * spectra.std(axis=1)
    named = {
        "k-means + Pearson": _kmeans(density[use], spectra, n_clusters, seed),
        "NNLS arg-max": weighted.argmax(axis=1),
        "Pearson per pixel": evidence.pearson.argmax(axis=1),
        "chi-square per pixel": evidence.single.argmin(axis=1),
    }
    maps = {}
    for name, values in named.items():
        maps[name] = np.full(use.shape, -1)
        maps[name][use] = values
    return maps


def _kmeans(density: Array, spectra: Array, n_clusters: int, seed: int) -> NDArray[np.integer]:
    """k-means on spectra of zero mean and unit norm (as on all PCA scores), clusters named by Pearson."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    shape = density - density.mean(axis=1, keepdims=True)
    shape /= np.maximum(np.linalg.norm(shape, axis=1, keepdims=True), 1e-9)
    with threadpool_limits(1):
        label = KMeans(min(n_clusters, len(shape)), n_init=5, random_state=seed).fit_predict(shape)
    means = np.stack([density[label == index].mean(axis=0) for index in range(label.max() + 1)])
    return np.nan_to_num(_pearson(means[:, None], spectra[None]), nan=-2.0).argmax(axis=1)[label]


def _score(
    phase: NDArray[np.integer], flagged: NDArray[np.bool_], truth: NDArray[np.integer] | None
) -> tuple[float, float, float, float]:
    named = phase >= 0
    counted = named if truth is None else named & (truth >= 0)
    n = int(counted.sum())
    clear = counted & ~flagged
    share = float(clear.sum() / n) if n else np.nan
    if truth is None or n == 0:
        return np.nan, np.nan, share, float(n)
    right = phase == truth
    return float(right[counted].mean()), float(right[clear].mean()) if clear.any() else np.nan, share, float(n)
