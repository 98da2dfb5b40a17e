"""Similarity of gradients: GMSD, and MDSI for grey images."""

import numpy as np

from .filters import (
    PREWITT,
    Images,
    Scores,
    compute_gradient,
    compute_image_means,
    compute_similarity,
    halve_images,
    shrink_images,
)

# The papers' constants are for grey levels 0..255; here images run from 0 to 1.
_GMSD = 170 / 255**2
_MDSI_SAME, _MDSI_FUSED, _MDSI_COLOUR = 140 / 255**2, 55 / 255**2, 550 / 255**2
_GREY = 0.2989 + 0.5870 + 0.1140  # luminance of a grey image of value 1
_CHROMA = (0.30 + 0.04 - 0.35) ** 2 + (0.34 - 0.60 + 0.17) ** 2  # its two opponent colours, squared: not quite 0
_ALPHA = np.float32(0.6)  # share of the gradient term


def prepare_gmsd(reference: Images) -> tuple[Images, ...]:
    """Gradient of the halved reference."""
    return (compute_gradient(halve_images(reference, "constant"), PREWITT),)


def compute_gmsd(reference: Images, kept: tuple[Images, ...], image: Images) -> Scores:
    r"""Gradient magnitude similarity deviation; 0 for equal images, larger is worse.

    .. math::

        \mathrm{GMSD} = \mathrm{std}\left(\frac{2 G_x G_y + c}{G_x^2 + G_y^2 + c}\right),\qquad c = 170 / 255^2,

    over the halved images, with Prewitt gradients G. W. Xue et al., IEEE Trans. Image Process. 23 (2014) 684, eqs. 4 to
    6.
    """
    same = compute_similarity(kept[0], compute_gradient(halve_images(image, "constant"), PREWITT), _GMSD)
    return np.asarray(same.std(axis=(1, 2), dtype=np.float64))


def prepare_mdsi(reference: Images) -> tuple[Images, ...]:
    """Reference and its gradient, shrunk to about 256 px if larger."""
    small = shrink_images(reference)
    return small, compute_gradient(small, PREWITT) * np.float32(_GREY)


def compute_mdsi(reference: Images, kept: tuple[Images, ...], image: Images) -> Scores:
    r"""Mean deviation similarity index, with grey copied to red, green and blue; 0 for equal images, larger is worse.

    With gradient similarity :math:`\widehat{GS}`, chromaticity similarity :math:`CS` and :math:`\alpha = 0.6`,

    .. math::

        GCS = \alpha\, \widehat{GS} + (1 - \alpha)\, CS,\qquad
        \mathrm{MDSI} = \left\langle \left| GCS^{1/4} - \langle GCS^{1/4}\rangle \right| \right\rangle^{1/4}.

    Images from 384 px on are shrunk first. Reference and image do not enter alike. The gradient of their mean is
    compared with that of the image and of the reference. H. Z. Nafchi et al., IEEE Access 4 (2016) 5579, eqs. 4 to 14.
    The mean of fourth roots is complex where the joint similarity is negative.
    """
    small, edges_r = kept
    image = shrink_images(image)
    edges_i = compute_gradient(image, PREWITT) * np.float32(_GREY)
    edges_f = compute_gradient((small + image) * np.float32(0.5), PREWITT) * np.float32(_GREY)
    # The similarity is raised where the fused gradient is closer to the image's than to the reference's, else lowered.
    closer = compute_similarity(edges_i, edges_f, _MDSI_FUSED) - compute_similarity(edges_r, edges_f, _MDSI_FUSED)
    edges = compute_similarity(edges_r, edges_i, _MDSI_SAME) + closer
    colour = compute_similarity(small, image, _MDSI_COLOUR / _CHROMA)
    # Summed in this order equal images give exactly 1: the last fourth root would make 0.01 of a rounding of 1e-8.
    return _compute_deviation(colour + _ALPHA * (edges - colour))


def _compute_deviation(joint: Images) -> Scores:
    """Fourth root of the mean distance of the fourth roots from their mean."""
    root = np.sqrt(np.sqrt(np.abs(joint)))
    turned = root * np.float32(np.sqrt(0.5)) * (joint < 0)  # (-a)^(1/4) = a^(1/4) (1 + i) / sqrt(2)
    real = root * (joint >= 0) + turned
    away = [part - compute_image_means(part)[:, None, None].astype(np.float32) for part in (real, turned)]
    return np.asarray(compute_image_means(np.sqrt(away[0] ** 2 + away[1] ** 2)) ** 0.25)
