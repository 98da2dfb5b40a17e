"""Visual information fidelity in the pixel domain (VIFp)."""

import numpy as np

from .filters import Images, Scores, compute_local_mean, make_gaussian

_NOISE = np.float32(2 / 255**2)  # variance of the visual noise, for grey levels 0..1
_WINDOWS = tuple(make_gaussian(width, width / 5) for width in (17, 9, 5, 3))
_TINY = np.float32(1e-13)  # variance that counts as none
_NOTHING = 1e-8  # information that counts as none


def prepare_vif_p(reference: Images) -> tuple[Images, ...]:
    """Reference, local mean and variance of each of the four scales, one scale after the other."""
    kept: list[Images] = []
    for scale, window in enumerate(_WINDOWS):
        reference = compute_local_mean(reference, window, 2) if scale else reference
        mean = compute_local_mean(reference, window)
        kept += [reference, mean, np.maximum(compute_local_mean(reference * reference, window) - mean * mean, 0)]
    return tuple(kept)


def compute_vif_p(reference: Images, kept: tuple[Images, ...], image: Images) -> Scores:
    r"""Visual information fidelity: 1 for equal images, 0 for unrelated ones.

    From reference x to image y, the local gain is :math:`g = \sigma_{xy} / \sigma_x^2`. The variance it leaves is
    :math:`\sigma_v^2 = \sigma_y^2 - g\, \sigma_{xy}`. Summed over pixels and four scales,

    .. math::

        \mathrm{VIF} = \frac{\sum \ln\left(1 + g^2 \sigma_x^2 / (\sigma_v^2 + \sigma_n^2)\right)}
        {\sum \ln\left(1 + \sigma_x^2 / \sigma_n^2\right)},\qquad \sigma_n^2 = 2 / 255^2.

    It is more than 1 for an image of higher contrast than the reference. Reference and image do not enter alike. H. R.
    Sheikh and A. C. Bovik, IEEE Trans. Image Process. 15 (2006) 430, eqs. 11 to 18, in the authors' form for pixels:
    windows of 17, 9, 5 and 3 px, halved from one scale to the next.
    """
    held, whole = np.zeros(len(image)), np.zeros(len(image))
    for scale, window in enumerate(_WINDOWS):
        image = compute_local_mean(image, window, 2) if scale else image
        scaled, mean_r, variance_r = kept[3 * scale : 3 * scale + 3]
        mean = compute_local_mean(image, window)
        variance = np.maximum(compute_local_mean(image * image, window) - mean * mean, 0)
        # The image is seen as gain x reference + noise at each pixel (a Gaussian channel).
        gain, lost = _fit_channel(variance_r, variance, compute_local_mean(scaled * image, window) - mean_r * mean)
        held += np.log1p(gain * gain * variance_r / (lost + _NOISE)).sum(axis=(1, 2), dtype=np.float64)
        whole += np.log1p(variance_r / _NOISE).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray((held + _NOTHING) / (whole + _NOTHING))


def _fit_channel(reference: Images, image: Images, covariance: Images) -> tuple[Images, Images]:
    """Gain from reference to image at each pixel and the image's variance it leaves; a negative gain is set to 0."""
    gain = np.maximum(covariance, 0) / (reference + _TINY)
    gain *= (reference >= _TINY) & (image >= _TINY)
    return gain, np.maximum(image - gain * covariance, _TINY)
