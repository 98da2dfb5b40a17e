"""End members of the data: spectra that stand for phases where references are few or missing."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import CLUSTERS, OD, REFERENCES, describe, require
from ..preprocessing.material import find_material
from ..reference_spectra.library import build_library, compute_block_means
from .clusters import check_same_stack
from .extreme_spectra import (
    MemberCounts,
    MixtureModel,
    compare_member_counts,
    refine_members,
    select_extreme_clusters,
)
from .member_limits import ScaledMembers, scale_members
from .tile_sums import ClusterMeans, TileSums, read_tile_sums

Array = NDArray[np.float64]
_MIN_PIXELS = 10.0  # in a cluster that may be an end member
_MAX_MEMBERS = 6  # references and end members together, as many as are fitted at once
#: CF attributes of the variable ``origin``
ORIGIN_FLAGS = {"flag_values": np.array([0, 1], dtype=np.int8), "flag_meanings": "reference data"}


class _Given(NamedTuple):
    """What is given: the references at the energies of the data, and what is free in every spectrum."""

    names: list[str]
    composition: Array
    fixed: MixtureModel
    units: str


def find_end_members(
    od: xr.Dataset,
    clusters: xr.Dataset,
    refs: xr.Dataset | None = None,
    *,
    n: int | str = "fit",
    method: str = "mcr",
    slope: bool = True,
    energy_offset: float = 0.0,
) -> xr.Dataset:
    r"""Find the spectra of phases that have no reference, and add them to the references there are.

    The mean spectra of the clusters are mixtures of end members with non-negative amounts :math:`a`, a constant
    :math:`b` and a slope :math:`s`. References are end members that are kept as they are:

    .. math:: x_c(E) = \sum_{r} a_{cr} R_r(E) + \sum_k a_{ck} S_k(E) + b_c + s_c E, \quad a \ge 0

    The others, S, start as the means of the clusters that lie farthest outside the mixtures of all others. Alternating
    least squares, weighted by the noise, then fits amounts and end members in turn (MCR-ALS).

    Parameters
    ----------
    od, clusters
        OD, and CLUSTERS made from it by :func:`phasekit.stxm.assign_clusters`.
    refs
        REFERENCES of the phases that are known, covering the energies of the data. None: there are none.
    n
        Number of end members to add. "fit" takes the most probable number by the Schwarz criterion on the means of
        blocks of 6 x 6 pixels. The scale of the misfit is taken as unknown. So a phase that changes the spectra no more
        than the errors of the references do is not counted.
    method
        "mcr" refines the means of the extreme clusters by MCR-ALS. "extreme" takes them as they are. With few photons
        clusters are partly chosen by noise, and "mcr" is nearer to the truth (Pearson 0.9995 against 0.9971 at 300
        photons, simulated). Where references and noise are inexact it may be farther: on the measured Fe L stack 0.977
        against 0.983 to the reduced reference, which had been left out.
    slope
        Let every spectrum have a straight background of its own, as other elements give. False where there is none, or
        where energies are few.
    energy_offset
        Energy [eV] to add to the scale of the data to reach that of ``refs``. It is not fitted, because a phase without
        a reference looks like an offset: -0.6 eV on the measured Fe L stack with one of two references.

    Returns
    -------
    xarray.Dataset
        REFERENCES at the energies of the data, the given ones first. Further ones are named "end member 1", ...

        - ``reference_spectrum(reference, energy)``. End members have the lowest value and the contrast of the given
          references, so that amounts can be compared. Without references amount 1 is the contrast of a typical cluster.
        - ``reference_error``, their standard error from noise, measured between the parts of the field; NaN for given
          ones. Stray light and the choice of clusters add to it: on simulated stacks of 1500 photons the distance to
          the truth was 2 to 7 times as large, with 5 % stray light 13 times.
        - ``origin(reference)``: 0 "reference" or 1 "data".
        - ``composition``, where ``refs`` has it; NaN for end members.
        - ``least_purity(reference)`` and ``reference_limit(reference, energy)``, see Notes.
        - ``count_probability(n_end_members)``, how sure the number is, and ``count_misfit``, the median misfit of the
          blocks beyond noise, relative to their contrast.

    Raises
    ------
    SchemaError
        ``clusters`` belongs to other data, too few clusters hold 10 pixels, or the energies are too few.

    See Also
    --------
    assign_clusters : The step before.
    label_phases : The next step; it takes the result as ``refs``.
    fit_mcr_als : Components of a stack that start from complete references.

    Notes
    -----
    An end member is the purest mean that the clusters show. What it stands for may be purer still. Let j be another end
    member. Then :math:`S_k + m (S_k - S_j)` explains the data as well, as long as it is not negative. The data cannot
    exclude it. ``reference_limit`` is the spectrum at the largest m, and ``least_purity`` is :math:`1 / (1 + m)`, the
    least share of the pure phase in what was found. Each other end member is tried alone, and the lowest share is
    given. Values are counted from the lowest of each spectrum, with two standard errors to spare. A phase that is pure
    nowhere in the field cannot be found.

    A straight background cannot be told from the end member. It stays in its spectrum.

    Reads the field block by block. Sums and block means stay in memory (1/36 of the stack).

    References
    ----------
    Araujo et al., Chemometr. Intell. Lab. Syst. 57, 65 (2001): successive projections. Tauler, J. Chemometr. 15, 627
    (2001): limits of feasible solutions. Schwarz, Ann. Stat. 6, 461 (1978).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> energy = ("energy", np.arange(512.0, 524.0), {"units": "eV"})
    >>> line = lambda centre: np.exp(-((energy[1] - centre) ** 2) / 3)
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), [line(516)])},
    ...                   coords={"reference": ["V3"], "energy": energy})
    >>> truth = np.arange(576).reshape(24, 24) % 24 // 12
    >>> cube = np.array([line(516), line(519)])[truth].transpose(2, 0, 1) + rng.normal(0, 0.05, (12, 24, 24))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.05)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((24, 24), bool))}, coords={"energy": energy})
    >>> from phasekit.stxm import Training, assign_clusters, fit_gmvae
    >>> clusters = assign_clusters(od, fit_gmvae(od, n_clusters=3, training=Training(n_steps=20), progress=False))
    >>> found = find_end_members(od, clusters, refs)
    >>> found["reference"].values.tolist(), found["origin"].values.tolist()
    (['V3', 'end member 1'], [0, 1])
    """
    _check_inputs(od, clusters, refs, n, method)
    given = _prepare_references(od, refs, slope, energy_offset)
    sums = read_tile_sums(od, clusters["responsibility"])
    means = sums.compute_means()
    usable = np.flatnonzero((means.n_pixels >= _MIN_PIXELS) & np.isfinite(means.spectra).all(axis=1))
    if not usable.size:
        raise SchemaError(
            f"find_end_members: no cluster has {_MIN_PIXELS:g} pixels and a mean at every energy, needs one. Leave out "
            "energies that were lost in the whole field, od.isel(energy=[...]), and make the clusters anew."
        )
    counts, n_own = _count_members(od, given, means.select_clusters(usable), n)
    found = scale_members(given.fixed.members, *_resolve_members(given, sums, usable, n_own, method))
    out = _assemble_references(od, given, found, has_composition=refs is not None and "composition" in refs)
    if counts is not None:
        out["count_probability"] = ("n_end_members", counts.probability)
        out["count_misfit"] = ("n_end_members", counts.misfit)
        out = out.assign_coords(n_end_members=counts.n)
    settings: dict[str, Any] = {"n": n, "method": method, "slope": slope, "energy_offset": energy_offset}
    return describe(out, REFERENCES, step="find_end_members", settings=settings, source=clusters)


def _check_inputs(od: xr.Dataset, clusters: xr.Dataset, refs: xr.Dataset | None, n: int | str, method: str) -> None:
    """Refuse datasets that do not belong together, and settings that are neither."""
    require(od, OD, step="find_end_members", argument="od")
    require(clusters, CLUSTERS, step="find_end_members", argument="clusters")
    if refs is not None:
        require(refs, REFERENCES, step="find_end_members", argument="refs")
    check_same_stack(clusters, od, step="find_end_members")
    if method not in ("extreme", "mcr"):
        raise SchemaError(f"find_end_members: method={method!r}, needs 'extreme' or 'mcr'.")
    is_count = isinstance(n, int | np.integer) and not isinstance(n, bool)
    if n != "fit" and not (is_count and int(n) >= (refs is None)):
        raise SchemaError(f"find_end_members: n={n!r}, needs 'fit' or an integer of at least {int(refs is None)}.")
    if refs is not None and refs.sizes["reference"] >= _MAX_MEMBERS:
        raise SchemaError(
            f"find_end_members: {refs.sizes['reference']} references; with end members there can be {_MAX_MEMBERS} at "
            "most. Select those that may occur, refs.sel(reference=[...])."
        )


def _prepare_references(od: xr.Dataset, refs: xr.Dataset | None, slope: bool, energy_offset: float) -> _Given:
    """References at the energies of the data, with the background that every spectrum may have."""
    energies = od["energy"].values.astype(np.float64)
    terms = [np.ones_like(energies)]
    if slope:
        terms.append((energies - energies.mean()) / max(float(np.ptp(energies)), 1e-9))
    background, nothing = np.array(terms), np.empty((0, energies.size))
    if refs is None:
        return _Given([], np.empty(0), MixtureModel(nothing, background), "1")
    # one energy more than the references and the background, so that something is left to find
    library = build_library(refs, od["energy"], step="find_end_members", n_nuisance=len(terms) + 1)
    units = str(refs["reference_spectrum"].attrs.get("units", "1"))
    fixed = MixtureModel(library.at(energies + energy_offset), background)
    return _Given(library.names, library.composition, fixed, units)


def _count_members(od: xr.Dataset, given: _Given, means: ClusterMeans, n: int | str) -> tuple[MemberCounts | None, int]:
    """Evidence for each number of end members (None where there is no block to test it), and the number to take."""
    n_fixed, lowest = len(given.names), int(not given.names)
    # a spectrum must leave a degree of freedom to every model
    most = min(
        len(means.spectra), _MAX_MEMBERS - n_fixed, od.sizes["energy"] - n_fixed - len(given.fixed.background) - 1
    )
    if most < (lowest if n == "fit" else max(int(n), lowest)):
        raise SchemaError(
            f"find_end_members: {most} end members can be found beside {n_fixed} references, from "
            f"{len(means.spectra)} clusters of at least {_MIN_PIXELS:.0f} pixels at {od.sizes['energy']} energies. "
            f"Lower n={n!r}, take more clusters in fit_gmvae, or slope=False where energies are few."
        )
    candidates = list(range(lowest, most + 1))
    spectra, noise = compute_block_means(od, find_material(od))
    if not len(spectra):
        return None, lowest if n == "fit" else int(n)
    # likelihoods are compared at their maxima, so every candidate is refined, whatever the method
    chosen = [means.spectra[select_extreme_clusters(given.fixed, means, count)] for count in candidates]
    models = [given.fixed.with_members(refine_members(given.fixed, one, means)) for one in chosen]
    counts = compare_member_counts(models, spectra, noise, candidates)
    return counts, counts.best if n == "fit" else int(n)


def _resolve_members(
    given: _Given, sums: TileSums, usable: NDArray[np.intp], n: int, method: str
) -> tuple[Array, list[Array], Array]:
    """End members (member, energy), the same with each tile left out, and their noise (member, energy)."""
    means = sums.compute_means().select_clusters(usable)
    chosen = select_extreme_clusters(given.fixed, means, n)

    found = means.spectra[chosen]
    found = refine_members(given.fixed, found, means) if method == "mcr" else found
    parts = [sums.compute_means(omit=tile).select_clusters(usable) for tile in range(sums.n_tiles)]
    # a cluster that lies in one tile only is gone without it, and says nothing of its spread
    complete = [part for part in parts if np.isfinite(part.spectra).all() and (part.noise > 0).all()]
    if method == "mcr":
        again = [refine_members(given.fixed, found, part) for part in complete]
    else:
        again = [part.spectra[chosen] for part in complete]
    return found, again, means.noise[chosen]


def _assemble_references(od: xr.Dataset, given: _Given, found: ScaledMembers, *, has_composition: bool) -> xr.Dataset:
    """References and end members as one dataset."""
    n_fixed, n_own = len(given.names), len(found.spectra)
    names = [*given.names, *_name_members(given.names, n_own)]
    unknown = np.full((n_fixed, od.sizes["energy"]), np.nan)
    by_energy = ("reference", "energy")
    origin = np.repeat(np.array([0, 1], dtype=np.int8), [n_fixed, n_own])
    out = xr.Dataset(
        {
            "reference_spectrum": (
                by_energy,
                np.concatenate([given.fixed.members, found.spectra]),
                {"units": given.units},
            ),
            "reference_error": (by_energy, np.concatenate([unknown, found.error]), {"units": given.units}),
            "reference_limit": (by_energy, np.concatenate([unknown, found.limit]), {"units": given.units}),
            "least_purity": ("reference", np.concatenate([np.full(n_fixed, np.nan), found.purity])),
            "origin": ("reference", origin, ORIGIN_FLAGS),
        },
        coords={"reference": names, "energy": od["energy"]},
    )
    if has_composition:
        out["composition"] = ("reference", np.concatenate([given.composition, np.full(n_own, np.nan)]))
    return out


def _name_members(taken: list[str], n: int) -> list[str]:
    """Names "end member 1", ..., those left out that a reference has."""
    names = (f"end member {index}" for index in range(1, n + len(taken) + 1))
    return [name for name in names if name not in taken][:n]
