"""Multivariate curve resolution by alternating least squares (pyMCR)."""

import logging
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...correlation import pearson_coefficient
from ...errors import SchemaError
from ...schema import BASELINE, describe
from ..reference_spectra.non_negative import solve_non_negative
from .kmeans_gmm import MaterialPixels, make_maps, read_material_pixels

Array = NDArray[np.float64]
_MAX_PIXELS = 5000  # that are resolved, because pyMCR solves non-negative least squares pixel by pixel


def fit_mcr_als(
    od: xr.Dataset,
    refs: xr.Dataset,
    *,
    max_iter: int = 30,
    energy_offset: float | str = "fit",
    seed: int = 0,
) -> xr.Dataset:
    r"""Resolve the stack into non-negative amounts and spectra (MCR-ALS), starting from the references.

    The optical density :math:`D` (pixel, energy) becomes a product of amounts :math:`C` and spectra :math:`S`. Each is
    fitted in turn with the other fixed:

    .. math:: D \approx C S, \quad C \leftarrow \arg\min_{C \ge 0} \|D - C S\|^2, \quad
              S \leftarrow \arg\min_{S \ge 0} \|D - C S\|^2

    Parameters
    ----------
    od, refs
        OD and REFERENCES. There is one component per reference, and one that starts as a constant.
    max_iter
        Largest number of alternations. Where the references are right, each leads away from them, because other
        non-negative spectra explain the noise a little better. On simulated NVPF (10 energies, noise 0.05, smoothed)
        0.79 of the names are right after 1, 0.73 after 3 and 0.59 after 30.
    energy_offset
        As in :func:`phasekit.stxm.fit_references`.
    seed
        Chooses the pixels that are resolved where there are more than 5000. Amounts of the others are then fitted.

    Returns
    -------
    xarray.Dataset
        BASELINE:

        - ``amount(.., component)``, NaN without material, and ``spectrum(component, energy)``.
        - ``component_phase(component)``, its name by Pearson correlation, -1 for the constant.
        - ``phase``, the name of the component with the most contrast in the pixel.
        - ``energy_offset`` [eV].

        Only pixels that have all energies are resolved. Amounts of the others are fitted with the energies they have.

    Raises
    ------
    SchemaError
        pyMCR is not installed, no pixel holds material, or the references do not fit the energies.

    See Also
    --------
    fit_references : Amounts with the spectra fixed.
    compare_methods : All methods side by side.

    References
    ----------
    Camp, J. Res. NIST 124, 124018 (2019), https://doi.org/10.6028/jres.124.018 (pyMCR).

    Examples
    --------
    >>> import phasekit as pk
    >>> stack = pk.synthetic.stxm_stack(shape=(32, 48), n_particles=3, frame_drift_px=0.0)
    >>> refs = pk.synthetic.vanadium_references()
    >>> fit_mcr_als(pk.stxm.optical_density(stack), refs)["spectrum"].sizes["component"]
    6
    """
    task = read_material_pixels(od, refs, energy_offset, "fit_mcr_als")
    if max_iter < 1:
        raise SchemaError(f"fit_mcr_als: max_iter={max_iter}, needs at least 1.")
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(task.complete)[:_MAX_PIXELS])
    # the last component starts flat and takes what no reference explains, such as a background
    start = np.vstack([task.spectra, np.full((1, task.spectra.shape[1]), task.spectra.mean())])
    spectra = _fit_als(np.maximum(task.density[some], 0.0), start, max_iter)
    amount = _fit_amounts(task.density, spectra)
    # components drift, so each gets the name of the reference it resembles now
    pearson = np.nan_to_num(pearson_coefficient(spectra[:-1, None], task.spectra[None]), nan=-2.0)
    names = np.append(pearson.argmax(axis=1), -1)
    contrast = amount[:, :-1] * spectra[:-1].std(axis=1)
    out = make_maps(od, task, names[contrast.argmax(axis=1)]).assign(
        amount=(("scan_y", "scan_x", "component"), _place_on_map(task, amount)),
        spectrum=(("component", "energy"), spectra),
        component_phase=("component", names.astype(np.int16)),
    )
    settings = {"max_iter": max_iter, "energy_offset": energy_offset, "seed": seed}
    return describe(out, BASELINE, step="fit_mcr_als", settings=settings, source=od)


def _fit_als(density: Array, start: Array, max_iter: int) -> Array:
    """Spectra (component, energy) after alternating least squares with both sides held at 0 or above."""
    try:
        from pymcr.constraints import ConstraintNonneg
        from pymcr.mcr import McrAR
    except ImportError as error:
        raise SchemaError("fit_mcr_als: needs the package pyMCR, which is not installed. pip install pymcr") from error
    bound: Any = ConstraintNonneg  # untyped
    model = McrAR(
        max_iter=max_iter,
        c_regr="NNLS",
        st_regr="NNLS",
        c_constraints=[bound()],
        st_constraints=[bound()],
        tol_increase=np.inf,  # an alternation may lead away for a while
        tol_err_change=1e-8,
    )
    log = logging.getLogger("pymcr.mcr")
    log.addFilter(_reject_record)  # pyMCR reports every stop on standard output
    try:
        model.fit(density, ST=start)
    finally:
        log.removeFilter(_reject_record)
    return np.asarray(model.ST_opt_, dtype=np.float64)


def _reject_record(_: logging.LogRecord) -> bool:
    """Filter that lets no log record pass."""
    return False


def _fit_amounts(density: Array, spectra: Array) -> Array:
    """Non-negative amounts (pixel, component) of all pixels for given spectra (component, energy)."""
    return solve_non_negative(spectra, density, np.ones_like(density), len(spectra)).coefficient


def _place_on_map(task: MaterialPixels, values: Array) -> Array:
    """Values (pixel, component) of the material pixels on the scan, NaN elsewhere."""
    out = np.full((*task.use.shape, values.shape[1]), np.nan)
    out[task.use] = values
    return out
