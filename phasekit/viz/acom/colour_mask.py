"""Colours of an orientation map without its unreliable pixels."""

import xarray as xr

from ..style import BACKGROUND_GREY


def mask_unreliable(orientations: xr.Dataset, colours: xr.DataArray, threshold: float) -> xr.DataArray:
    """Set colours (scan_y, scan_x, rgb) to grey where the reliability is below the threshold or unknown."""
    from matplotlib.colors import to_rgb

    # Both conditions: a pixel may have an orientation of low reliability, or a colour that is NaN.
    channel = str(colours.dims[-1])
    grey = xr.DataArray(list(to_rgb(BACKGROUND_GREY)), dims=channel)
    return colours.where((orientations.reliability >= threshold) & colours.notnull().all(channel), grey)
