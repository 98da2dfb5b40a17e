"""Stacks that hold optical densities already."""

import numpy as np
import xarray as xr

from ....errors import SchemaError
from ....schema import OD, STACK, describe, require
from ..density import optical_density
from ..frames import select_middle


def as_optical_density(
    stack: xr.Dataset, *, noise: float | xr.DataArray | None = None, max_od: float | None = None
) -> xr.Dataset:
    r"""Take a stack whose values are optical densities as OD, with the noise that counting gives them.

    Parameters
    ----------
    stack
        STACK: ``intensity`` holds optical densities [1], as other programs export them.
    noise
        Standard deviation of the optical density [1]: a number, or a DataArray on ``energy``, on the scan or on both.
        None measures it: the transmission :math:`e^{-\mathrm{OD}}` scatters as counts do, with one gain per frame.
    max_od
        As in :func:`phasekit.stxm.optical_density`.

    Returns
    -------
    xarray.Dataset
        OD as of :func:`phasekit.stxm.optical_density`, with ``i0`` 1 and ``gain`` in units of it.

    Raises
    ------
    SchemaError
        The values are too large for optical densities, or ``noise`` is not positive or does not fit the stack.

    See Also
    --------
    optical_density : For counts of the transmitted light, which is better: their noise is known.
    phasekit.io.open_stxm : The step before.
    fit_gmvae : The next step: group the spectra.

    Notes
    -----
    With the gain g of the transmission T and its 3 x 3 mean the variance is that of counted light,
    :math:`\sigma^2 = g / \langle T \rangle`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> density = rng.normal(0.5, 0.02, (3, 40, 40))
    >>> stack = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), density)},
    ...                    coords={"energy": ("energy", [510.0, 518.0, 525.0], {"units": "eV"})})
    >>> od = as_optical_density(stack)
    >>> round(float(od["optical_density"].mean()), 2), round(float(od["noise"].mean()), 2)
    (0.5, 0.02)
    """
    require(stack, STACK, step="as_optical_density", argument="stack")
    values = stack["intensity"].astype(np.float64)
    _refuse_counts(values)
    # Conditions of the exposure are part of the optical density already, and the gain of counts is not that of T.
    kept = [name for name in ("seen",) if name in stack]  # the noise is measured as it is, interpolated or not
    transmission = stack[kept].assign(intensity=np.exp(-values)).assign_attrs(stack.attrs)
    out = optical_density(transmission, i0=1.0, despike_sigma=None, max_od=max_od, check_kind=False)
    # The mean logarithm is not corrected for few photons: that was the task of the program that took it.
    out["optical_density"] = values.where(out["optical_density"].notnull()).astype(np.float32)
    if noise is not None:
        out["noise"] = _arrange_noise(noise, out)
    settings = {"noise": noise, "max_od": max_od}
    out = out.drop_vars("n_replaced")
    return describe(out, OD, step="as_optical_density", settings=settings, source=stack)


def _refuse_counts(values: xr.DataArray) -> None:
    """Refuse values that are no optical densities: light of OD 20 does not reach a detector."""
    first = select_middle(values).isel(energy=0).values
    largest = float(np.nanpercentile(first, 90)) if np.isfinite(first).any() else 0.0
    if largest > 20:
        raise SchemaError(
            f"as_optical_density: a tenth of the first frame is above {largest:g}, needs optical densities. "
            "Give counts of the transmitted light to optical_density; divide values that were scaled to integers."
        )


def _arrange_noise(noise: float | xr.DataArray, out: xr.Dataset) -> xr.DataArray:
    """Spread the given noise over all values."""
    cube = out["noise"]
    if isinstance(noise, xr.DataArray):
        dims = [d for d in cube.dims if d in noise.dims]
        if set(dims) != set(noise.dims) or any(noise.sizes[d] != cube.sizes[d] for d in dims):
            raise SchemaError(
                f"as_optical_density: noise has the sizes {dict(noise.sizes)}, needs some of {dict(cube.sizes)}. "
                "Select the same energies and pixels."
            )
        noise = noise.transpose(*dims).drop_vars(list(noise.coords))
    given = (xr.zeros_like(cube) + noise).astype(np.float32)
    # a lazy cube of noise is not read for this
    checked = given.isel(scan_y=0, scan_x=0) if given.chunks is not None else given
    if not bool((checked > 0).all()):
        raise SchemaError(
            "as_optical_density: noise holds values that are not positive, needs a standard deviation in optical "
            "density. Leave it out to have it measured."
        )
    return given
