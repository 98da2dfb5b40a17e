"""The recipe of the NMF sample, which gives the same file bit for bit."""

import xarray as xr

from .overlap import overlapping_grains


def nmf_grains() -> dict[str, xr.Dataset]:
    """NMF sample: 32 x 40 patterns of 64 x 64 pixels, six overlapping grains on a background, six hot pixels.

    4000 electrons per pattern, a third of them in the direct beam, a quarter diffuse. Seven components in all.

    Returns
    -------
    dict
        ``nmf_grains``: PATTERNS with its truth.

    Examples
    --------
    >>> scan = nmf_grains()["nmf_grains"]
    >>> scan.attrs["truth_n_components"], scan.intensity.shape
    (7, (32, 40, 64, 64))
    """
    # Hot pixels are added, so that the workflow must mask them.
    scan = overlapping_grains(
        n_components=6, dose=4000, background=0.25, boundary_width=2.0, seed=503, direct_beam=0.3, hot_pixels=6
    )
    return {"nmf_grains": scan}
