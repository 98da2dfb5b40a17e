"""Similarity of the images of two labelled arrays, pair by pair."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import IMAGE_QUALITY, describe
from .filters import Images, Scores
from .reference import Reference, check_metrics, split_batches

_DETECTOR = ("qy", "qx")


def image_quality(
    reference: xr.DataArray,
    image: xr.DataArray,
    *,
    metrics: Sequence[str] | None = None,
    data_range: float | None = None,
) -> xr.Dataset:
    r"""Score each image against its reference by published image-quality metrics.

    With images scaled to the data range, x the reference and y the image, four of the metrics are

    .. math::

        \mathrm{PSNR} = -10 \log_{10} \langle (x - y)^2\rangle,\qquad
        \mathrm{SSIM} = \left\langle \frac{(2\mu_x\mu_y + C_1)(2\sigma_{xy} + C_2)}
        {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)} \right\rangle,

    .. math::

        \mathrm{GMSD} = \mathrm{std}\left(\frac{2 G_x G_y + c}{G_x^2 + G_y^2 + c}\right),\qquad
        \mathrm{VIF} = \frac{\sum \ln\left(1 + g^2 \sigma_x^2 / (\sigma_v^2 + \sigma_n^2)\right)}
        {\sum \ln\left(1 + \sigma_x^2 / \sigma_n^2\right)}.

    All equations and constants are in the modules of ``phasekit/nmf/image_metrics``.

    Parameters
    ----------
    reference, image
        ``(..., qy, qx)``, same dimensions and shape, same unit. Pixels that are NaN (masked) on either side are set to
        0 on both, which makes them equal. Lazy arrays stay lazy.
    metrics
        Some of ``psnr``, ``ssim``, ``ms_ssim``, ``fsim``, ``vif_p``, ``gmsd`` and ``mdsi``. Identical images get 80 dB
        in ``psnr``, 0 in ``gmsd`` and ``mdsi``, where higher is worse, and 1 in the others. ``None``: all for which the
        images are large enough. ``ssim`` needs 11 px, ``fsim`` 12 px, ``vif_p`` 41 px. ``ms_ssim`` uses five scales
        from 97 px on, four from 49, three from 25, two from 13, one from 7. As in its paper, ``mdsi`` takes grey images
        as grey in all colours. ``fsim`` and ``mdsi`` shrink images of 384 px and more to about 256 px.
    data_range
        Value that counts as full scale. Twice the value raises ``psnr`` by 6 dB and makes the same difference look
        smaller to all others. ``None`` takes the largest value of all references where both sides were measured, which
        reads both arrays once more.

    Returns
    -------
    xarray.Dataset
        IMAGE_QUALITY: one variable ``(...)`` by metric. NaN where the two images share no measured pixel, and
        everywhere when the references hold nothing above 0.

    Raises
    ------
    SchemaError
        No detector axes, dimensions, shapes or coordinates that differ, no real numbers, an unknown metric, images too
        small for one, ``data_range`` not positive.

    See Also
    --------
    component_quality : The same for the components of a fit.
    scan_ranks : Uses these metrics on held-out patterns.

    References
    ----------
    SSIM: Z. Wang et al., IEEE Trans. Image Process. 13 (2004) 600. MS-SSIM: Z. Wang et al., Asilomar Conf. (2003) 1398.
    GMSD: W. Xue et al., IEEE Trans. Image Process. 23 (2014) 684. MDSI: H. Z. Nafchi et al., IEEE Access 4 (2016) 5579.
    FSIM: L. Zhang et al., IEEE Trans. Image Process. 20 (2011) 2378. VIF: H. R. Sheikh and A. C. Bovik, IEEE Trans.
    Image Process. 15 (2006) 430. Use on patterns: Cao et al., Digital Discovery (2025), doi 10.1039/D5DD00071H.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(4, 4), detector=(48, 48))
    >>> clean = scan.intensity.mean("scan_x")
    >>> found = image_quality(clean, 0.5 * clean, metrics=["psnr", "gmsd"])
    >>> dict(found.sizes), bool((found.psnr < 80).all())
    ({'scan_y': 4}, True)
    """
    # Everything is checked here; what follows is lazy and would fail late.
    names = _check_images(reference, image, metrics)
    if data_range is not None and not (np.isfinite(data_range) and data_range > 0):
        raise SchemaError(f"image_quality: data_range = {data_range}, needs a positive number or None.")
    out = score_images(reference, image, names, data_range)
    settings = {"metrics": names, "data_range": data_range}
    return describe(out, IMAGE_QUALITY, step="image_quality", settings=settings)


def score_images(
    reference: xr.DataArray, image: xr.DataArray, names: tuple[str, ...], data_range: float | xr.DataArray | None
) -> xr.Dataset:
    """One variable by metric over the leading dimensions, without a check; lazy when one side is."""
    reference, image = (array.drop_vars(_DETECTOR, errors="ignore") for array in (reference, image))
    # One full scale for all references: scores of different images can then be compared.
    span = reference.where(image.notnull()).max() if data_range is None else data_range
    scores = xr.apply_ufunc(
        _score_block,
        reference,
        image,
        span,
        kwargs={"names": names},
        input_core_dims=[[*_DETECTOR], [*_DETECTOR], []],
        output_core_dims=[["metric"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"metric": len(names)}, "allow_rechunk": True},
    )
    return xr.Dataset({name: scores.isel(metric=i) for i, name in enumerate(names)})


def _check_images(reference: xr.DataArray, image: xr.DataArray, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the metrics, when both arrays can be compared; else an error."""
    for array, name in ((reference, "reference"), (image, "image")):
        if not isinstance(array, xr.DataArray) or not set(_DETECTOR) <= set(array.dims):
            got = getattr(array, "dims", type(array).__name__)
            raise SchemaError(
                f"image_quality: '{name}' is {got}, needs an xarray.DataArray (..., 'qy', 'qx'). Take the variable out "
                "of its dataset (patterns.intensity) and name its axes with .rename(...)."
            )
        if array.dtype.kind not in "iufb":
            raise SchemaError(
                f"image_quality: '{name}' holds values of type {array.dtype}, needs real numbers. Convert them with "
                ".astype(float)."
            )
    if dict(reference.sizes) != dict(image.sizes):
        raise SchemaError(
            f"image_quality: reference and image are {dict(reference.sizes)} and {dict(image.sizes)}, need the same. "
            "Crop, bin or broadcast them alike (xr.broadcast)."
        )
    # Arithmetic would silently drop points whose coordinates differ: exact alignment refuses them instead.
    try:
        xr.align(reference, image, join="exact", exclude=_DETECTOR)
    except ValueError as error:
        raise SchemaError(
            "image_quality: the coordinates of reference and image differ. Select the same scan points, or drop the "
            "coordinates with .drop_vars(...)."
        ) from error
    return check_metrics(metrics, (reference.sizes["qy"], reference.sizes["qx"]), "image_quality")


def _score_block(
    reference: NDArray[np.generic], image: NDArray[np.generic], span: float, names: tuple[str, ...]
) -> Scores:
    """Scores ``(..., metric)`` of images ``(..., y, x)``; NaN where there is nothing to compare."""
    lead, size = reference.shape[:-2], reference.shape[-2:]
    rows = [np.reshape(array, (-1, *size)) for array in (reference, image)]
    # References that hold nothing above 0 have no full scale: their scores stay NaN.
    out = np.full((len(rows[0]), len(names)), np.nan)
    if np.isfinite(span) and span > 0:
        for part in split_batches(rows[0].shape):
            first, second, has_pixels = mask_unmeasured(rows[0][part], rows[1][part])
            found = Reference(first, data_range=float(span)).scores(second, names)
            out[part] = np.where(has_pixels[:, None], np.stack([found[name] for name in names], axis=1), np.nan)
    return out.reshape(*lead, len(names))


def mask_unmeasured(
    first: NDArray[np.generic], second: NDArray[np.generic]
) -> tuple[Images, Images, NDArray[np.bool_]]:
    """Both with 0 where one of them is not finite, and which images keep a pixel."""
    a, b = (np.asarray(array, dtype=np.float32) for array in (first, second))
    measured = np.asarray(np.isfinite(a) & np.isfinite(b))
    a, b = (np.where(measured, array, np.float32(0)) for array in (a, b))
    return a, b, np.asarray(measured.any(axis=(1, 2)))
