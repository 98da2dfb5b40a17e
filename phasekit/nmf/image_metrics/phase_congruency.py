"""Feature similarity (FSIM) of grey images: features are where the phases of all scales agree."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .filters import SCHARR, Images, Scores, compute_gradient, compute_image_means, compute_similarity, shrink_images

_SCALES, _ORIENTATIONS = 4, 4
_SHORTEST, _RATIO = 6.0, 2.0  # [px] wavelength of the finest filter; ratio from one to the next
_BANDWIDTH = 0.55  # of a log-Gabor filter, relative to its centre frequency
_SPREAD = np.pi / _ORIENTATIONS / 1.2  # [rad] angular standard deviation
_NOISE_SIGMAS, _NOISE_RESCALE = 2.0, 1.7
_EDGES = 160 / 255**2  # T2, for grey levels 0..1
_PHASES = 0.85  # T1
_TINY = np.float32(1e-4 / 255)  # amplitude that counts as nothing


def prepare_fsim(reference: Images) -> tuple[Images, ...]:
    """Phase congruency and gradient of the reference, shrunk to about 256 px if larger."""
    small = shrink_images(reference)
    return compute_phase_congruency(small), compute_gradient(small, SCHARR)


def compute_fsim(reference: Images, kept: tuple[Images, ...], image: Images) -> Scores:
    r"""Feature similarity, 0..1, 1 for equal images.

    .. math::

        \mathrm{FSIM} = \frac{\sum S_{PC}\, S_G\, \max(PC_x, PC_y)}{\sum \max(PC_x, PC_y)},\qquad
        S_a = \frac{2 a_x a_y + T_a}{a_x^2 + a_y^2 + T_a},

    with phase congruency PC (:math:`T_{PC} = 0.85`) and Scharr gradients G (:math:`T_G = 160 / 255^2`). Images from 384
    px on are shrunk first. L. Zhang et al., IEEE Trans. Image Process. 20 (2011) 2378, eqs. 3 to 8 (not chromatic).
    """
    congruency, edges = kept
    small = shrink_images(image)
    other = compute_phase_congruency(small)
    agreement = compute_similarity(congruency, other, _PHASES) * compute_similarity(
        edges, compute_gradient(small, SCHARR), _EDGES
    )
    weight = np.maximum(congruency, other) + _TINY  # two images without any feature then get 1, not 0 / 0
    return compute_image_means(agreement * weight) / compute_image_means(weight)


def compute_phase_congruency(images: Images) -> Images:
    r"""Share of the local amplitude that is in phase over four octaves, summed over four directions; 0..1.

    .. math::

        PC = \frac{\sum_o \max(E_o - T_o,\, 0)}{\sum_o \sum_n A_{no}}

    with amplitude A of scale n and direction o, in-phase energy E and noise threshold T. P. Kovesi, Videre 1 (1999) no.
    3, eqs. 12 to 18, without the weight for the spread of frequencies, as in FSIM.
    """
    from scipy.fft import fft2, ifft2

    # The bank is kept between calls: it depends on the image size alone and costs more than the filtering.
    filters, noise_gain = _make_filter_bank(*images.shape[1:])
    spectrum = fft2(images)
    energy, amplitude = np.zeros_like(images), np.zeros_like(images)
    for bank, gain in zip(filters, noise_gain, strict=True):
        responses = [ifft2(spectrum * one, overwrite_x=True) for one in bank]
        # The finest scale is mostly noise; its median sets how much energy noise alone would give.
        finest = np.abs(responses[0])
        amplitude += finest + sum(np.abs(response) for response in responses[1:])
        in_phase = _compute_in_phase_energy(responses)
        in_phase -= gain * _compute_lower_median(finest)[:, None, None]
        energy += np.maximum(in_phase, 0)
    return np.asarray(energy / (amplitude + _TINY))


def _compute_in_phase_energy(responses: list[NDArray[np.complex64]]) -> Images:
    """Amplitude of the summed responses less what each of them has at right angles to the sum."""
    # The cosine of each phase deviation less its absolute sine: sharper than the cosine alone.
    total = sum(responses[1:], start=responses[0])
    length = np.abs(total)
    unit = 1 / (length + _TINY)
    cosine, sine = total.real * unit, total.imag * unit
    for response in responses:
        length -= np.abs(response.real * sine - response.imag * cosine)
    return np.asarray(length)


def _compute_lower_median(values: Images) -> Images:
    """Lower median of each image, (n,)."""
    flat = values.reshape(len(values), -1)
    middle = (flat.shape[1] - 1) // 2
    return np.asarray(np.partition(flat, middle, axis=1)[:, middle])


@lru_cache(maxsize=4)
def _make_filter_bank(rows: int, cols: int) -> tuple[Images, Images]:
    r"""Log-Gabor filters (orientation, scale, y, x) in the order of the FFT, and the noise threshold of each direction.

    .. math::

        H(\rho, \theta) = \exp\left(-\frac{\ln^2(\rho / \rho_n)}{2 \ln^2 0.55}\right)
        \exp\left(-\frac{(\theta - \theta_o)^2}{2 \sigma_\theta^2}\right)

    A low-pass at 0.45 cycles per px removes the corners of the spectrum. The threshold is in units of the median
    amplitude of the finest filter, which is taken as noise (Rayleigh distributed). It is the mean plus two standard
    deviations of the noise in the summed response, divided by 1.7. The sum over pairs of filters there is the square of
    the sum of all filters.
    """
    y, x = np.meshgrid(np.fft.fftfreq(rows), np.fft.fftfreq(cols), indexing="ij")
    radius = np.hypot(y, x)
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1.0  # any value: the logarithm of 0 is avoided, and the filters are set to 0 there below
    centres = 1 / (_SHORTEST * _RATIO ** np.arange(_SCALES))
    radial = np.exp(-(np.log(radius / centres[:, None, None]) ** 2) / (2 * np.log(_BANDWIDTH) ** 2)) * low_pass
    radial[:, 0, 0] = 0
    angles = np.arange(_ORIENTATIONS)[:, None, None] * np.pi / _ORIENTATIONS
    # The angle of a unit number keeps differences between -pi and pi.
    away = np.angle(np.exp(1j * (np.arctan2(-y, x) - angles)))
    bank = np.exp(-(away**2) / (2 * _SPREAD**2))[:, None] * radial
    summed = rows * cols * (np.fft.ifft2(bank.sum(axis=1)).real ** 2).sum(axis=(1, 2))
    spread = np.sqrt(summed / (bank[:, 0] ** 2).sum(axis=(1, 2)) / np.log(2))
    level = np.sqrt(np.pi / 2) + _NOISE_SIGMAS * np.sqrt(2 - np.pi / 2)
    return bank.astype(np.float32), (spread * level / _NOISE_RESCALE).astype(np.float32)
