"""Random mixture specimens with random nuisances, all of them from one seed."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from phasekit.errors import SchemaError

from ..vanadium import vanadium_references
from .fields import MixtureSettings
from .iron import iron_references
from .stack import KINDS, mixture_stack

#: Step of the scan in these specimens [nm].
_PIXEL_NM = 40.0


def sample_mixture(
    seed: int,
    *,
    kind: str | None = None,
    element: str = "iron",
    energies: ArrayLike | None = None,
    shape: tuple[int, int] = (64, 64),
    measured: bool = False,
    **nuisances: float,
) -> xr.Dataset:
    """Draw a mixture specimen and the instrument that sees it, for judging maps on what nothing was chosen on.

    The probe is 0 to 3 px wide, the energy offset within 0.4 eV, stray light up to 3 %, and the incident intensity
    drifts by up to 5 %. Nano-mixtures have grains of 0.3 to 0.7 px.

    Parameters
    ----------
    seed
        Same seed, same specimen and instrument.
    kind
        One of the kinds of :func:`mixture_stack`; ``None``: drawn as well.
    element
        "iron": two references. "vanadium": Na3, Na2 and Na1 of :func:`vanadium_references`.
    energies
        Photon energies [eV]. ``None``: 30 over the edge.
    shape
        Pixels (y, x).
    measured
        Whether to add what measured stacks have: frames interpolated by shifts of about 0.3 px, references wrong by
        1 to 4 %, a residual misalignment of up to 0.2 px, and a gain.
    nuisances
        Fields of ``MeasuredNuisances`` that are set and not drawn. They do not change what else is drawn.

    Returns
    -------
    xarray.Dataset
        As :func:`mixture_stack` returns it.

    Raises
    ------
    SchemaError
        ``element`` or a setting is unknown.

    See Also
    --------
    mixture_stack : The generator, with every setting free.

    Examples
    --------
    >>> stack = sample_mixture(3, kind="nano-mixture", shape=(32, 32))
    >>> bool(stack.attrs["truth_probe_fwhm_px"] <= 3), stack.sizes["reference"]
    (True, 2)
    """
    if element not in ("iron", "vanadium"):
        raise SchemaError(f"sample_mixture: got element {element!r}, needs 'iron' or 'vanadium'. Choose one of them.")
    rng = np.random.default_rng([seed, 1])
    # Everything is drawn whatever is set, so that a setting changes nothing else.
    drawn_kind = list(KINDS)[int(rng.integers(len(KINDS)))]
    mixing = MixtureSettings(grain_px=float(rng.uniform(0.3, 0.7)))
    settings: dict[str, Any] = _draw_instrument(rng, measured=measured)
    iron = element == "iron"
    # Neighbours of these three differ in shape by more than the others, so that fractions can be measured.
    refs = iron_references() if iron else vanadium_references().sel(reference=["Na3", "Na2", "Na1"])
    if energies is None:
        energies = None if iron else np.linspace(509.0, 529.0, 30)
    settings |= {"energies": energies, "references": refs, "shape": shape, "pixel_nm": _PIXEL_NM, "mixing": mixing}
    particles = max(2, shape[0] * shape[1] // 450)
    return mixture_stack(kind or drawn_kind, n_particles=particles, seed=seed, **{**settings, **nuisances})


def _draw_instrument(rng: np.random.Generator, *, measured: bool) -> dict[str, float]:
    """Nuisances of one instrument."""
    drawn = {
        "photons": float(np.exp(rng.uniform(np.log(500), np.log(10000)))),
        "probe_fwhm_nm": float(rng.uniform(0, 3)) * _PIXEL_NM,
        "energy_offset": float(rng.uniform(-0.4, 0.4)),
        "stray_light": float(rng.uniform(0, 0.03)),
        "i0_drift": float(rng.uniform(0, 0.05)),
        "frame_drift_px": 0.0,
        "hot_pixels": 0.0,
    }
    of_measured = {
        "interpolation_px": float(rng.uniform(0.2, 0.4)),
        "reference_error": float(rng.uniform(0.01, 0.04)),
        "frame_jitter_px": float(rng.uniform(0, 0.2)),
        "gain": float(np.exp(rng.uniform(np.log(0.02), np.log(2.0)))),
    }
    return drawn | (of_measured if measured else {})
