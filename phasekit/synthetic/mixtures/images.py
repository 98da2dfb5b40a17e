"""What the detector sees of a specimen on the fine grid."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from ..stxm import Nuisances, draw_counts, make_images
from .fields import FINE, Mixture

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredNuisances(Nuisances):
    """Instrumental effects of :class:`~phasekit.synthetic.Nuisances`, and three of measured stacks.

    Attributes
    ----------
    interpolation_px
        Standard deviation [px] of a shift of every frame, undone on the counts by linear interpolation. So the noise
        of neighbours is correlated, as in a stack that was aligned elsewhere.
    reference_error
        Relative standard deviation between the specimen's spectra and the references: a smooth change along energy.
    gain
        Counts written per photon. The counts are Poisson distributed before it.
    """

    interpolation_px: float = 0.0
    reference_error: float = 0.0
    gain: float = 1.0


def average_pixels(fine: Array) -> Array:
    """Mean over the points of every pixel, for (..., y, x)."""
    *front, ny, nx = fine.shape
    return np.asarray(fine.reshape(*front, ny // FINE, FINE, nx // FINE, FINE).mean(axis=(-3, -1)))


def blur_by_probe(fine: Array, probe_px: float, outside: float) -> Array:
    """Blur (y, x) by a Gaussian of full width ``probe_px`` [px] at half maximum; ``outside`` continues the frame."""
    sigma = probe_px * FINE / np.sqrt(8 * np.log(2))
    return np.asarray(gaussian_filter(fine, sigma, mode="constant", cval=outside)) if sigma else fine


def compute_transmission(mixture: Mixture, spectra: Array, slope: Array, probe_px: float) -> Array:
    r"""Mean transmission (energy, y, x) under the probe and over each pixel.

    The detector adds intensities, so :math:`\exp(-\sum_k \mu_k w_k t)` is averaged, not the optical density. This is
    what flattens the lines of thick nano-mixtures.
    """
    inside = mixture.thickness > 0
    thickness, share = mixture.thickness[inside], mixture.share[:, inside]
    # The background grows with thickness, so that it has no effect where the specimen is empty.
    background = thickness / max(float(thickness.mean()), 1e-12) if thickness.size else thickness
    images = []
    for index, column in enumerate(spectra.T):
        fine = np.ones(inside.shape)
        fine[inside] = np.exp(-(column @ share) * 1e-3 * thickness - slope[index] * background)
        images.append(average_pixels(blur_by_probe(fine, probe_px, 1.0)))
    return np.stack(images)


def perturb_spectra(spectra: Array, energy: Array, error: float, rng: np.random.Generator) -> Array:
    """Change every spectrum (reference, energy) by ``error`` of its value, smoothly over 3 to 15 eV."""
    n_waves = 8
    shape = (len(spectra), n_waves, 1)
    wave = 2 * np.pi * energy / rng.uniform(3, 15, shape) + rng.uniform(0, 2 * np.pi, shape)
    return np.asarray(spectra * (1 + error * np.sqrt(2 / n_waves) * np.cos(wave).sum(axis=1)))


def draw_stack(
    transmission: Array,
    i0: Array,
    drift: Array,
    effects: MeasuredNuisances,
    rng: np.random.Generator,
) -> NDArray[np.generic]:
    """Counts (energy, y, x): Poisson, with hot pixels, gain, and interpolation where asked for."""
    moved = rng.standard_normal(drift.shape) * effects.interpolation_px
    without_probe = replace(effects, probe_fwhm_nm=0.0)  # the transmission is blurred already
    expected = make_images(transmission, i0 / effects.gain, drift + moved, without_probe, 1.0)
    counts = draw_counts(expected, effects, rng)
    if effects.gain == 1.0 and not effects.interpolation_px:
        return counts
    back = [
        shift(frame.astype(float), -step, order=1, mode="nearest") for frame, step in zip(counts, moved, strict=True)
    ]
    return np.stack(back) * effects.gain
