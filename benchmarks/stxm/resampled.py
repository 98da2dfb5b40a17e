"""Stacks made of the measured one, so that spectra, misfit and noise are real and the truth is known.

    PHASEKIT_REAL_DATA=... python -m benchmarks.stxm.resampled OUT.json [--seeds 0 1] [--numbers 123 30 10 6 4]

The independent fit (``measured.fit_nnls``) takes the measured optical density apart: amounts of the two references, a
constant, and what is left. The rest is split into a misfit of low rank, from means over 3 x 3 pixels, and noise. A new
stack is put together from them. Its amounts are the truth:

- ``smooth``: amounts of the measured stack, smoothed: mixtures as they are.
- ``turned``: the same total, with the fractions of the frame turned by 90 degrees, one or three times.
- ``sharp``: the same, and every pixel pure: the one phase where the fraction is above its median. The probe is 1.5 px.

The misfit grows with the amount, as references that are wrong everywhere make it. The noise is the measured one,
shifted as a whole over the frame: it keeps its correlations between neighbours and along energy.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.optimize import nnls

import phasekit as pk

from ..harness import write_json
from .common import find_code_state
from .maps import compute_lone_share, correlate_fractions, count_statuses, select_fraction
from .measured import RICH_SHARE, Measured, find_folder, open_measured, plan_energies
from .mixture_scores import CLEAR_LEAD, CLEAR_MIXTURE, CLEAR_PHASE

Array = NDArray[np.float64]
KINDS = ("smooth", "turned", "sharp")
NUMBERS = (123, 30, 10, 6, 4)
#: Components of the misfit: two references leave one or two more, and the thickest pixels one of saturation.
MISFIT_RANK = 3
PROBE_PX = 1.5
_SMOOTHING_PX = 1.0
_FWHM = np.sqrt(8 * np.log(2))


class Parts(NamedTuple):
    """The measured optical density taken apart; arrays begin with (y, x)."""

    amounts: Array  # (y, x, reference)
    constant: Array
    misfit: Array  # (y, x, energy), per unit of the total amount
    noise: Array  # (y, x, energy), in units of exp(OD / 2)
    material: NDArray[np.bool_]


class Resampled(NamedTuple):
    """A stack and its truth."""

    od: xr.Dataset
    fraction: Array  # (y, x) of the first reference, under the probe
    rich: NDArray[np.bool_]
    offset: float


def take_apart(measured: Measured) -> Parts:
    """Split the measured optical density into amounts, constant, misfit and noise."""
    density = measured.od["optical_density"].transpose("scan_y", "scan_x", "energy").values.astype(float)
    density = np.nan_to_num(density)
    design = _make_design(measured, measured.od["energy"].values)
    flat = density.reshape(-1, density.shape[-1])
    terms = np.array([nnls(design, spectrum)[0] for spectrum in flat])
    rest = (flat - terms @ design.T).reshape(density.shape)
    terms = terms.reshape(*density.shape[:2], -1)
    total = terms[..., :2].sum(axis=-1)
    material = (measured.od["valid"] & ~measured.od["empty"]).values
    rich = material & (total > RICH_SHARE * np.nanquantile(total[material], 0.95))
    # Nine pixels together: what stays is misfit, and a third of the noise that the low rank removes.
    mean = uniform_filter(rest, (3, 3, 1))
    _, _, axes = np.linalg.svd(mean[rich], full_matrices=False)
    axes = axes[:MISFIT_RANK]
    scores = mean @ axes.T
    noise = rest - (rest @ axes.T) @ axes
    per_amount = np.where(rich[..., None], scores / np.maximum(total, 1e-9)[..., None], 0.0)
    weight = np.maximum(gaussian_filter(rich.astype(float), 3.0), 1e-9)
    # Outside the rich pixels, where misfit is not seen behind the noise: as in the rich ones nearby.
    spread = np.stack([gaussian_filter(one, 3.0) / weight for one in np.moveaxis(per_amount, -1, 0)], axis=-1)
    per_amount = np.where(rich[..., None], per_amount, spread)
    return Parts(
        terms[..., :2], terms[..., 2] - terms[..., 3], per_amount @ axes, noise / np.exp(density / 2), material
    )


def _make_design(measured: Measured, energies: Array) -> Array:
    """References and a constant of either sign, (energy, 4)."""
    columns = [np.interp(energies, table[:, 0], table[:, 1]) for table in measured.tables]
    flat = np.ones(energies.size)
    return np.stack([*columns, flat, -flat], axis=1)


def make_stack(measured: Measured, parts: Parts, kind: str, seed: int) -> Resampled:
    """Put a new stack together: another energy offset, another place of the noise, amounts by ``kind``."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    offset = float(rng.uniform(-0.3, 0.3))
    amounts = np.stack([gaussian_filter(one, _SMOOTHING_PX) for one in np.moveaxis(parts.amounts, -1, 0)])
    total = amounts.sum(axis=0)
    fraction = amounts[0] / np.maximum(total, 1e-9)
    rich = parts.material & (total > RICH_SHARE * np.quantile(total[parts.material], 0.95))
    if kind != "smooth":
        fraction = np.rot90(fraction, int(rng.choice([1, 3])))
    if kind == "sharp":  # the median makes both phases large
        fraction = (fraction > np.median(fraction[rich])).astype(float)
    energies = measured.od["energy"].values
    spectra = _make_design(measured, energies + offset)[:, :2]
    iron = (fraction[..., None] * spectra[:, 0] + (1 - fraction)[..., None] * spectra[:, 1] + parts.misfit) * total[
        ..., None
    ]
    sigma = PROBE_PX / _FWHM if kind == "sharp" else 0.0
    if sigma:
        iron = -np.log(gaussian_filter(np.exp(-iron), (sigma, sigma, 0)))
        mass = gaussian_filter(total, sigma)
        fraction = gaussian_filter(fraction * total, sigma) / np.maximum(mass, 1e-9)
    density = iron + gaussian_filter(parts.constant, _SMOOTHING_PX)[..., None]
    place = tuple(int(step) for step in rng.integers(20, 100, 2))
    density = density + np.roll(parts.noise, place, axis=(0, 1)) * np.exp(density / 2)
    i0 = measured.od["i0"]
    counts = i0.values[:, None, None] * np.exp(-np.moveaxis(density, -1, 0))
    data = {"intensity": (("energy", "scan_y", "scan_x"), counts, {"units": "counts"})}
    coordinates = {name: measured.od[name] for name in ("energy", "scan_y", "scan_x")}
    od = pk.stxm.optical_density(xr.Dataset(data, coords=coordinates), i0=i0.drop_attrs()).compute()
    return Resampled(od, fraction, rich, offset)


def score_resampled(measured: Measured, made: Resampled, n: int) -> dict[str, float]:
    """Score the map of ``n`` planned energies, and the independent fit at the true offset, against the truth."""
    energy = made.od["energy"].values
    chosen = energy if n >= energy.size else plan_energies(measured, n)
    od = made.od.sel(energy=chosen)
    phases = pk.stxm.label_phases(od, None, measured.refs).compute()
    design = _make_design(measured, chosen + made.offset)
    spectra = od["optical_density"].transpose("scan_y", "scan_x", "energy").values.astype(float)
    use = made.rich & np.isfinite(spectra).all(axis=-1)
    linear = np.full(use.shape, np.nan)
    fitted = np.array([nnls(design, spectrum)[0][:2] for spectrum in spectra[use]])
    linear[use] = fitted[:, 0] / np.maximum(fitted.sum(axis=1), 1e-9)
    offset = float(phases["energy_offset"])
    out = {"pixels": float(use.sum()), "offset_error": abs(offset - made.offset)}
    out["offset_in_errors"] = out["offset_error"] / max(float(phases["energy_offset_error"]), 1e-9)
    own = _score_fraction(phases["phase"].values, select_fraction(phases)[..., 0], made.fraction, use)
    rival = _score_fraction(np.where(linear > 0.5, 0, 1), linear, made.fraction, use)
    out |= own | {f"nnls_{name}": value for name, value in rival.items()}
    return out | _score_status(phases, made.fraction, use)


def _score_fraction(phase: NDArray[Any], fraction: Array, truth: Array, use: NDArray[np.bool_]) -> dict[str, float]:
    right = np.where(truth > 0.5, phase == 0, phase > 0)
    return {
        "agrees": float(right[use].mean()),
        "agrees_clear": float(right[use & (np.abs(truth - 0.5) > CLEAR_LEAD / 2)].mean()),
        "lone": compute_lone_share(phase, use),
        "correlation": correlate_fractions(fraction, truth, use),
        "error": float(np.nanmean(np.abs(fraction - truth)[use])),
    }


def _score_status(phases: xr.Dataset, truth: Array, use: NDArray[np.bool_]) -> dict[str, float]:
    """Shares of every status, and of ``transition`` where the truth clearly is a mixture, or clearly one phase.

    What is mixed under the probe is a transition in ``smooth`` and ``turned``, and a blurred boundary in ``sharp``.
    """
    status = phases["status"].values
    shares = count_statuses(status, use)
    largest = np.maximum(truth, 1 - truth)
    for name, area in (("mixed", largest <= CLEAR_MIXTURE), ("pure", largest >= CLEAR_PHASE)):
        mine = use & area
        inside = count_statuses(status, mine) if mine.any() else {}
        shares |= {f"{name}_pixels": float(mine.sum()), f"{name}_as_transition": inside.get("transition", np.nan)}
    return {f"status_{name}": value for name, value in shares.items()}


def main() -> None:
    """Make the stacks, judge their maps, write the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--numbers", type=int, nargs="+", default=list(NUMBERS))
    chosen = parser.parse_args()
    folder, state = find_folder(), find_code_state()
    if not folder.is_dir():
        write_json(chosen.out, {})
        return
    measured = open_measured(folder)
    parts = take_apart(measured)
    rows = []
    for kind in KINDS:
        for seed in chosen.seeds:
            made = make_stack(measured, parts, kind, seed)
            rows += [{"kind": kind, "seed": seed, "n": n, **score_resampled(measured, made, n)} for n in chosen.numbers]
    write_json(chosen.out, {"rows": rows, "code": state})


if __name__ == "__main__":
    main()
