"""Reference images that keep what depends on them alone, and the table of metrics."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SchemaError
from . import gradients, information, phase_congruency, psnr, structure
from .filters import Images, Scores

_BATCH_PIXELS = 16 * 128 * 128  # float32 images of 1 MB together: what a metric makes of them stays in the cache


class Metric(NamedTuple):
    """A metric: what to keep of the reference, the score, which way is better, and the least image size [px]."""

    prepare: Callable[[Images], tuple[Images, ...]]
    kernel: Callable[[Images, tuple[Images, ...], Images], Scores]
    higher_is_better: bool
    minimum_size: int


METRICS: dict[str, Metric] = {
    "psnr": Metric(psnr.prepare_psnr, psnr.compute_psnr, True, 1),
    "ssim": Metric(structure.prepare_ssim, structure.compute_ssim, True, 11),
    "ms_ssim": Metric(structure.prepare_ms_ssim, structure.compute_ms_ssim, True, 7),
    "gmsd": Metric(gradients.prepare_gmsd, gradients.compute_gmsd, False, 4),
    "mdsi": Metric(gradients.prepare_mdsi, gradients.compute_mdsi, False, 3),
    "fsim": Metric(phase_congruency.prepare_fsim, phase_congruency.compute_fsim, True, 12),
    "vif_p": Metric(information.prepare_vif_p, information.compute_vif_p, True, 41),
}
ALL = tuple(METRICS)


class Reference:
    """Reference images to score other images against, again and again.

    What a metric needs of the reference alone is computed at its first use and kept: gradients, phase congruency, local
    means and variances. For all seven metrics these are about 13 float32 images for each reference.

    Parameters
    ----------
    images
        ``(n, y, x)``, finite. Set masked pixels to 0 here and in the images to be scored.
    data_range
        Value that counts as full scale (1 in the metrics' constants), in the images' unit.

    Raises
    ------
    SchemaError
        ``images`` have not three axes, or ``data_range`` is not positive.

    See Also
    --------
    image_quality : The same for labelled arrays.
    component_quality : Scores of the components of a fit.

    Examples
    --------
    >>> images = np.random.default_rng(0).random((3, 48, 48))
    >>> found = Reference(images).scores(images, ("psnr", "ssim"))
    >>> found["psnr"].round(1), found["ssim"].round(3)
    (array([80., 80., 80.]), array([1., 1., 1.]))
    """

    def __init__(self, images: NDArray[np.floating], *, data_range: float = 1.0) -> None:
        if np.ndim(images) != 3:
            raise SchemaError(
                f"Reference: the images have shape {np.shape(images)}, needs (n, y, x). One image is image[None]."
            )
        if not (np.isfinite(data_range) and data_range > 0):
            raise SchemaError(f"Reference: data_range = {data_range}, needs a positive number, e.g. the largest value.")
        self.data_range = float(data_range)
        self.images = self._scale_images(images)
        self._kept: dict[tuple[str, int], tuple[Images, ...]] = {}

    def scores(self, images: NDArray[np.floating], metrics: Iterable[str] = ALL) -> dict[str, Scores]:
        """Scores ``(n,)`` of image i against reference i, by metric.

        Parameters
        ----------
        images
            ``(n, y, x)``, as many and as large as the references, same unit, finite.
        metrics
            Names from ``METRICS``.

        Raises
        ------
        SchemaError
            Another shape, an unknown metric, or images too small for one.
        """
        names = check_metrics(metrics, self.images.shape[1:], "Reference.scores")
        if np.shape(images) != self.images.shape:
            raise SchemaError(
                f"Reference.scores: the images have shape {np.shape(images)}, needs {self.images.shape}, one for each "
                "reference. Crop or repeat them."
            )
        out = {name: np.empty(len(self.images)) for name in names}
        # Batch by batch through all metrics: the images of a batch stay in the cache.
        for part in split_batches(self.images.shape):
            scaled = self._scale_images(images[part])
            for name in names:
                out[name][part] = METRICS[name].kernel(self.images[part], self._get_prepared(name, part), scaled)
        return out

    def _get_prepared(self, name: str, part: slice) -> tuple[Images, ...]:
        """What a metric keeps of one batch of references, computed at its first use."""
        key = (name, part.start)
        if key not in self._kept:
            self._kept[key] = METRICS[name].prepare(self.images[part])
        return self._kept[key]

    def _scale_images(self, images: NDArray[np.floating]) -> Images:
        """Images in units of the data range, float32."""
        return np.asarray(images, dtype=np.float32) / np.float32(self.data_range)


def split_batches(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of ``n`` images (n, y, x) that are worked on together."""
    size = max(1, _BATCH_PIXELS // (shape[1] * shape[2]))
    for start in range(0, shape[0], size):
        yield slice(start, start + size)


def check_metrics(metrics: Iterable[str] | None, shape: tuple[int, ...], step: str) -> tuple[str, ...]:
    """Names of known metrics for which images of this shape (y, x) are large enough; ``None``: all of them."""
    smallest = min(shape)
    if metrics is None:
        return tuple(name for name in ALL if METRICS[name].minimum_size <= smallest)
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        cure = f"Leave out {unknown}" if unknown else "Name at least one, or give metrics=None for all"
        raise SchemaError(f"{step}: metrics = {names}, needs some of {ALL}. {cure}.")
    small = [name for name in names if METRICS[name].minimum_size > smallest]
    if small:
        raise SchemaError(
            f"{step}: the images are {shape[0]} x {shape[1]} px, needs at least {METRICS[small[0]].minimum_size} px "
            f"for '{small[0]}'. Leave out {small}, or bin the detector less."
        )
    return names
