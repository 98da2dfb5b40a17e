"""Selection of energies after a coarse scan, which shows how the specimen differs from the references."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import OD, REFERENCES, require
from ..reference_spectra.library import build_library, design_matrix, select_covered_energies
from ..reference_spectra.non_negative import solve_non_negative
from ..reference_spectra.systematics import find_energy_offset
from .candidates import check_room, select_candidates
from .design import PixelBackground, build_designs, compute_score, find_peak_absorption
from .selection import choose_energies, label_energies

Array = NDArray[np.float64]

#: What is left of the uncertainty of the scale once the offset is fitted: 0.06 eV.
_FITTED_SCALE = ((-0.1, 1 / 6), (0.0, 2 / 3), (0.1, 1 / 6))
#: Least share of the richest pixels' amounts for a pixel to be used.
_LEAST_AMOUNT = 0.25
_LEAST_PIXELS = 12
_MOST_COMPONENTS = 10


class _ScanStatistics(NamedTuple):
    """Statistics of a coarse scan."""

    variance: Array  # (energy,) of the noise
    spectra: Array  # (component, energy): what the references leave, one standard deviation each
    total: float  # amount of all references in a typical pixel
    n_pixels: int


def select_energies_from_scan(  # noqa: PLR0913  settings, keyword-only
    coarse: xr.Dataset,
    refs: xr.Dataset,
    n: int = 8,
    *,
    energy_offset: float | str = "fit",
    min_spacing_ev: float = 0.5,
    slope: bool = False,
    energy_range: tuple[float, float] | None = None,
    include: Sequence[float] = (),
    weighted: bool = False,
) -> xr.DataArray:
    r"""Select the energies of a fine scan after a coarse one, of every fifth pixel or fewer, at many energies.

    The coarse scan gives the energy offset, the noise at every energy and the thickness, which the references cannot.
    It also gives the deviation of real spectra from mixtures of the references. The deviation is described by the
    principal components of the residuals that exceed noise. They enter the model as further spectra of known variance.
    Energies where a deviation would pass for a share are then avoided.

    Parameters
    ----------
    coarse
        OD of the coarse scan; its energies are the candidates. It is read into memory. Pixels that are ``empty``, where
        this variable exists, are left out.
    refs
        REFERENCES that cover its energies.
    n
        Number of energies, at least references + 1, + 1 with ``slope``. The offset is known and takes none.
    energy_offset
        Energy [eV] to add to the data's scale to reach that of the references, or "fit".
    min_spacing_ev, slope, energy_range, include
        As for :func:`select_energies`; energies on the data's scale.
    weighted
        Whether the fine scan will be fitted with weights by noise, as in :func:`fit_references`.

    Returns
    -------
    xarray.DataArray
        Energies [eV] on ``energy``, ascending, on the data's own scale. Its attributes are

        - ``share_error``: standard error of a share in a mixture of two in a typical pixel, from noise and specimen
          together. Absent with one reference;
        - ``n_components``: number of components of the specimen beyond noise;
        - ``n_pixels``: number of pixels they were estimated from;
        - ``energy_offset`` [eV] and ``provenance``.

    Raises
    ------
    SchemaError
        Fewer than 12 pixels hold material, the references do not cover the energies, or as :func:`select_energies`.

    See Also
    --------
    select_energies : Choose from the references alone.
    optical_density : Make the optical density of the coarse scan.
    allocate_dwell : The next step: divide the dwell time.
    fit_references : The fit that the choice is made for.

    Notes
    -----
    The model has columns X, weights W, noise variance :math:`\Sigma` and components m of unit variance. The
    fitted terms have the covariance

    .. math:: V S V, \quad V = (X^T W X)^{-1}, \quad S = X^T W \Big(\Sigma + \sum_m m m^T\Big) W X.

    The choice minimises the mean variance of a share under this covariance.

    The aim is the share that a fit of all energies would give. On two public Fe 2p stacks every fifth pixel was used to
    plan, and the others to judge. On one, r = 0.97, 0.97, 0.98 with 4, 6, 8 energies, as from the references alone. On
    the noisier one r = 0.94, 0.96, 0.97, against 0.95, 0.95, 0.96 from the references alone. Little is to be gained
    where noise dominates.

    A third spectrum of half the thickness under the lines was simulated too. There the difference to the full scan
    falls by up to half (5 energies: 0.126 to 0.065). Where the scan adds no information the choice is up to 5 % worse.

    Examples
    --------
    >>> import phasekit as pk
    >>> refs = pk.synthetic.vanadium_references(below_one=False).isel(reference=[0, 3])
    >>> stack = pk.synthetic.stxm_stack(energies=np.arange(510.0, 528, 0.5), references=refs, frame_drift_px=0.0)
    >>> every_fifth = stack.isel(scan_y=slice(None, None, 5), scan_x=slice(None, None, 5))
    >>> coarse = pk.stxm.optical_density(every_fifth, i0=1500.0)
    >>> select_energies_from_scan(coarse, refs, 5).sizes["energy"]
    5
    """
    require(coarse, OD, step="select_energies_from_scan", argument="coarse")
    require(refs, REFERENCES, step="select_energies_from_scan", argument="refs")
    step = "select_energies_from_scan"
    library = build_library(refs, coarse["energy"], step=step, n_nuisance=1 + slope, energy_offset=energy_offset)
    # An offset between the two scales would pass for a deviation of the specimen.
    offset = float(find_energy_offset(coarse, library, energy_offset, step=step).value[0])
    coarse = select_covered_energies(coarse, library, offset, step=step, n_terms=len(library.names) + 1 + slope)
    order = np.argsort(coarse["energy"].values)
    energies = coarse["energy"].values[order].astype(np.float64)
    candidates = select_candidates(energies, energy_range, include, min_spacing_ev, step=step)
    check_room(candidates, n, len(library.names), 1 + slope, step=step)
    learned = _estimate_statistics(
        coarse.isel(energy=order), design_matrix(library, energies, offset, slope=slope), len(library.names)
    )
    inside = np.isin(energies, candidates.energies)
    designs = build_designs(
        # The references are moved to the data's scale, on which the energies are to be set.
        library._replace(energies=library.energies - offset),
        candidates.energies,
        _FITTED_SCALE,
        background=PixelBackground(slope, learned.spectra[:, inside], weighted),
        criterion="shares",
        peak_od=learned.total * find_peak_absorption(library, candidates.energies + offset),
        variance=learned.variance[inside],
    )
    chosen = choose_energies(designs, candidates, n, step=step)
    attrs = {"n_components": len(learned.spectra), "n_pixels": learned.n_pixels, "energy_offset": offset}
    if len(library.names) > 1:
        attrs["share_error"] = float(np.sqrt(compute_score(designs, chosen)))
    settings: dict[str, Any] = {
        "n": n,
        "energy_offset": energy_offset,
        "min_spacing_ev": min_spacing_ev,
        "slope": slope,
    }
    settings |= {"energy_range": energy_range, "include": list(include), "weighted": weighted}
    return label_energies(candidates.energies[chosen], attrs, step=step, settings=settings, source=refs)


def _estimate_statistics(coarse: xr.Dataset, design: Array, n_references: int) -> _ScanStatistics:
    """Estimate noise, thickness and the specimen's own variation from pixels with enough material."""
    spectra, noise = _read_material(coarse)
    if len(spectra) < _LEAST_PIXELS:
        raise SchemaError(_describe_shortage(len(spectra)))
    # Equal weights at all energies of a pixel, as in the fit without bounds below.
    weights = np.broadcast_to(1 / (noise**2).mean(axis=1, keepdims=True), noise.shape)
    fit = solve_non_negative(design, spectra, weights, n_references)
    total = fit.coefficient[:, :n_references].sum(axis=1)
    # Scaled to the typical thickness, thin pixels would bring mostly noise.
    rich = total > _LEAST_AMOUNT * np.quantile(total, 0.95)
    if rich.sum() < _LEAST_PIXELS:
        raise SchemaError(_describe_shortage(int(rich.sum())))
    # The error of a share is that of the amounts over their sum, so every pixel is scaled to the typical sum.
    typical = float(np.median(total[rich]))
    scale = (typical / total[rich])[:, None]
    # The fit without bounds: what a bound keeps out of the amounts would pass for the specimen's own variation.
    residual = (spectra[rich] - (spectra[rich] @ np.linalg.pinv(design)) @ design) * scale
    variance = ((noise[rich] * scale) ** 2).mean(axis=0)
    return _ScanStatistics(variance, _find_excess_components(residual, variance), typical, int(rich.sum()))


def _describe_shortage(found: int) -> str:
    """Describe a lack of pixels and its cure."""
    return (
        f"select_energies_from_scan: {found} pixels with material in the coarse scan, needs at least {_LEAST_PIXELS}. "
        "Scan more pixels, or plan from the references with select_energies."
    )


def _read_material(coarse: xr.Dataset) -> tuple[Array, Array]:
    """Read spectra (pixel, energy) of material and their noise."""
    # Empty pixels would add their noise to the residuals.
    use = coarse["valid"] & ~coarse["empty"] if "empty" in coarse else coarse["valid"]
    order = ("scan_y", "scan_x", "energy")
    inside = np.asarray(use.transpose("scan_y", "scan_x"), dtype=bool)
    spectra = np.asarray(coarse["optical_density"].transpose(*order), dtype=np.float64)[inside]
    noise = np.asarray(coarse["noise"].transpose(*order), dtype=np.float64)[inside]
    # Pixels with a lost energy have no complete residual.
    known = np.isfinite(spectra).all(axis=1) & (noise > 0).all(axis=1) & np.isfinite(noise).all(axis=1)
    return spectra[known], noise[known]


def _find_excess_components(residual: Array, variance: Array) -> Array:
    r"""Find the principal components (component, energy) of the residuals, scaled by their variance beyond the noise.

    In units of noise, noise alone spreads the eigenvalues up to the edge of Marchenko and Pastur. With E energies and N
    pixels it is

    .. math:: \lambda_+ = \left(1 + \sqrt{E / N}\right)^2.
    """
    sigma = np.sqrt(variance)
    white = residual / sigma
    values, vectors = np.linalg.eigh(white.T @ white / len(white))
    kept = np.flatnonzero(values > (1 + np.sqrt(residual.shape[1] / len(residual))) ** 2)[::-1][:_MOST_COMPONENTS]
    # An eigenvalue contains the noise variance 1, which is subtracted.
    return np.asarray(np.sqrt(values[kept] - 1)[:, None] * vectors[:, kept].T * sigma)
