r"""Structural similarity: on one scale (SSIM) and on five (MS-SSIM).

With local means :math:`\mu`, variances :math:`\sigma^2` and covariance :math:`\sigma_{xy}` in a Gaussian window, the
luminance and the contrast-structure term are

.. math::

    l = \frac{2 \mu_x \mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1},\qquad
    cs = \frac{2 \sigma_{xy} + C_2}{\sigma_x^2 + \sigma_y^2 + C_2},\qquad C_1 = 0.01^2,\; C_2 = 0.03^2.
"""

import numpy as np

from .filters import Images, Scores, compute_image_means, compute_local_mean, halve_images, make_gaussian

_C1, _C2 = np.float32(0.01**2), np.float32(0.03**2)  # the papers' K1 = 0.01, K2 = 0.03
_SIGMA = 1.5
_ONE_SCALE, _EACH_SCALE = make_gaussian(11, _SIGMA), make_gaussian(7, _SIGMA)
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first: Wang 2003, sec. 3.2


def prepare_ssim(reference: Images) -> tuple[Images, ...]:
    """Local mean and variance of the reference."""
    return _compute_moments(reference, _ONE_SCALE)


def compute_ssim(reference: Images, kept: tuple[Images, ...], image: Images) -> Scores:
    r"""Mean structural similarity, -1..1, 1 for equal images.

    .. math::

        \mathrm{SSIM} = \langle l \cdot cs\rangle

    over the pixels whose 11 x 11 Gaussian window (sigma 1.5 px) is inside the image. Images are taken as they are; some
    programs shrink those of 384 px and more first. Z. Wang et al., IEEE Trans. Image Process. 13 (2004) 600, eqs. 13 to
    17, with population variances.
    """
    luminance, contrast = _compute_terms(reference, kept, image, _ONE_SCALE)
    return compute_image_means(luminance * contrast)


def prepare_ms_ssim(reference: Images) -> tuple[Images, ...]:
    """Reference, local mean and variance of every scale, one scale after the other."""
    kept: list[Images] = []
    for scale in range(_count_scales(reference)):
        reference = halve_images(reference, "edge") if scale else reference
        kept += [reference, *_compute_moments(reference, _EACH_SCALE)]
    return tuple(kept)


def compute_ms_ssim(reference: Images, kept: tuple[Images, ...], image: Images) -> Scores:
    r"""Multi-scale structural similarity, 0..1, 1 for equal images.

    .. math::

        \text{MS-SSIM} = \langle l_M\, cs_M\rangle^{w_M} \prod_{j=1}^{M-1} \langle cs_j\rangle^{w_j}

    with scale M the coarsest and :math:`w` = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333. The window is 7 x 7 (sigma 1.5
    px). Five scales need 97 px; 49 px give four, 25 px three, 13 px two and 7 px one. Their weights are then scaled to
    sum 1. A negative term counts as 0. An odd axis is halved with its last row repeated. Z. Wang, E. P. Simoncelli and
    Bovik, Asilomar Conf. Signals, Systems and Computers (2003) 1398, eq. 7.
    """
    n = len(kept) // 3
    weights = np.array(_WEIGHTS[:n]) / sum(_WEIGHTS[:n])
    score = np.ones(len(image))
    # ``kept`` holds three arrays for each scale: the reference at that scale, its local mean and variance.
    for scale in range(n):
        image = halve_images(image, "edge") if scale else image
        scaled, *moments = kept[3 * scale : 3 * scale + 3]
        luminance, contrast = _compute_terms(scaled, tuple(moments), image, _EACH_SCALE)
        term = compute_image_means(luminance * contrast if scale == n - 1 else contrast)
        # A negative mean has no real power; it means no similarity on this scale.
        score *= np.maximum(term, 0) ** weights[scale]
    return score


def _count_scales(images: Images) -> int:
    """Scales, at most five, on which the window still fits into the halved image."""
    room = min(images.shape[1:]) - 1
    return sum(room >> scale >= len(_EACH_SCALE) - 1 for scale in range(len(_WEIGHTS)))


def _compute_moments(images: Images, window: tuple[float, ...]) -> tuple[Images, Images]:
    """Local mean and population variance in the window."""
    mean = compute_local_mean(images, window)
    return mean, np.asarray(compute_local_mean(images * images, window) - mean * mean)


def _compute_terms(
    reference: Images, moments: tuple[Images, ...], image: Images, window: tuple[float, ...]
) -> tuple[Images, Images]:
    """Luminance term and contrast-structure term at each pixel."""
    mean_r, variance_r = moments
    mean_i, variance_i = _compute_moments(image, window)
    product = mean_r * mean_i
    covariance = compute_local_mean(reference * image, window) - product
    luminance = (2 * product + _C1) / (mean_r * mean_r + mean_i * mean_i + _C1)
    contrast = (2 * covariance + _C2) / (variance_r + variance_i + _C2)
    return np.asarray(luminance), np.asarray(contrast)
