"""Peak signal-to-noise ratio."""

import numpy as np

from .filters import Images, Scores, compute_image_means

_SMALLEST = 1e-8  # mean square of a difference below which it counts as none: 80 dB


def prepare_psnr(reference: Images) -> tuple[Images, ...]:
    """Nothing depends on the reference alone."""
    return ()


def compute_psnr(reference: Images, kept: tuple[Images, ...], image: Images) -> Scores:
    r"""Peak signal-to-noise ratio [dB] of images with data range 1; identical images get 80 dB, not infinity.

    .. math::

        \mathrm{PSNR} = -10 \log_{10} \max\left(\langle (x - y)^2\rangle,\, 10^{-8}\right)
    """
    difference = image - reference
    return np.asarray(-10 * np.log10(np.maximum(compute_image_means(difference * difference), _SMALLEST)))
