"""A small field of known phases for the tests of phasekit.stxm, independent of phasekit.synthetic."""

import numpy as np
import xarray as xr
from scipy import ndimage

ENERGIES = np.array([509.0, 513.0, 514.5, 515.5, 516.5, 517.5, 518.5, 520.0, 522.0, 523.5, 525.0, 528.0])
COMPOSITION = np.array([3.0, 2.4, 2.0, 1.0])


def references(energies=None):
    """Four edges whose maximum moves up with the valence; on a fine grid unless told."""
    energy = np.arange(503.0, 536.0, 0.1) if energies is None else np.asarray(energies)

    def bump(centre, width):
        return np.exp(-((energy - centre) ** 2) / (2 * width**2))

    spectra = []
    for x in COMPOSITION:
        v = 3 - x
        l3 = (1 - 0.15 * v) * bump(516.6 + 0.75 * v, 0.9) + 0.30 * v * bump(515.0 + 0.3 * v, 0.5)
        l2 = (0.6 - 0.05 * v) * bump(523.4 + 0.7 * v, 1.3)
        jump = 0.35 / (1 + np.exp(-(energy - 517) / 0.6)) + 0.15 / (1 + np.exp(-(energy - 524) / 0.6))
        spectra.append(1.1 + 3.0 * (l3 + l2) + 2.5 * jump)
    return xr.Dataset(
        {
            "reference_spectrum": (("reference", "energy"), np.array(spectra), {"units": "1/um"}),
            "composition": ("reference", COMPOSITION, {"units": "1"}),
        },
        coords={"reference": ["Na3", "Na2.4", "Na2", "Na1"], "energy": ("energy", energy, {"units": "eV"})},
    )


def field(*, shape=(48, 60), photons=2000.0, offset=0.0, drift=0.0, seed=0, phases=(0, 1, 2, 3)):
    """STACK of vertical stripes of phases in one particle, with truth; counts are Poisson."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    margin = 12
    y, x = np.mgrid[-margin : ny + margin, -margin : nx + margin].astype(float)
    radius = np.hypot((y - ny / 2) / (0.40 * ny), (x - nx / 2) / (0.42 * nx))
    wobble = 1 + 0.12 * np.cos(5 * np.arctan2(y - ny / 2, x - nx / 2))
    thickness = 0.3 * np.clip(1.6 - radius / wobble, 0, 1) * (radius < wobble)
    column = np.clip(((x - 0.08 * nx) / (0.84 * nx) * len(phases)).astype(int), 0, len(phases) - 1)
    phase = np.where(thickness > 0.02, np.array(phases)[column], -1)
    spectra = references()["reference_spectrum"].interp(energy=ENERGIES + offset).values
    mu = np.where(phase[None] >= 0, spectra[np.maximum(phase, 0)].transpose(2, 0, 1), 0.0)
    transmission = ndimage.gaussian_filter(np.exp(-mu * thickness), (0, 0.6, 0.6))
    steps = rng.normal(0, drift, (ENERGIES.size, 2)) if drift else np.zeros((ENERGIES.size, 2))
    shift = np.clip(np.cumsum(steps, axis=0) - steps[0], -8, 8)
    i0 = photons * (1 + 0.05 * np.sin(np.arange(ENERGIES.size)))
    moved = np.stack([ndimage.shift(t, s, order=3, mode="nearest") for t, s in zip(transmission, shift, strict=True)])
    inside = (slice(None), slice(margin, ny + margin), slice(margin, nx + margin))
    counts = rng.poisson(np.clip(moved, 0, None)[inside] * i0[:, None, None]).astype(np.uint32)
    scan = ("scan_y", "scan_x")
    return xr.Dataset(
        {
            "intensity": (("energy", *scan), counts, {"units": "counts"}),
            "truth_phase": (scan, phase[inside[1:]]),
            "truth_thickness": (scan, thickness[inside[1:]]),
            "truth_shift_y": ("energy", shift[:, 0]),
            "truth_shift_x": ("energy", shift[:, 1]),
            "truth_i0": ("energy", i0),
        },
        coords={
            "energy": ("energy", ENERGIES, {"units": "eV"}),
            "scan_y": ("scan_y", np.arange(ny) * 25.0, {"units": "nm"}),
            "scan_x": ("scan_x", np.arange(nx) * 25.0, {"units": "nm"}),
        },
    )
