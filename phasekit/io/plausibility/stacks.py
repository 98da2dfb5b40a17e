"""What an STXM stack can be: step, photon energies, dwell, ring current and counts, each with its reason.

The ranges are those of scanning X-ray microscopes and of full-field ones at synchrotrons.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .rule import Rule, check_plausible

STEP = Rule(
    "step_nm",
    "a step of the scan",
    0.5,
    20_000.0,
    "nm",
    "a zone plate resolves 7 nm and more, and a coarse stage steps a few um",
    "the unit of the positions is wrong",
    "give step_nm=<step in nm>",
)
#: Positions without a unit are taken as um only where that gives a usual step.
UNSTATED_STEP = STEP._replace(
    low=3.0,
    high=3_000.0,
    reason="positions without a unit are taken as um only where that gives a usual step",
    cause="positions in another unit than um",
)
ENERGY = Rule(
    "energy_ev",
    "a photon energy",
    50.0,
    20_000.0,
    "eV",
    "no zone plate works below the Li K edge (55 eV) or above 20 keV",
    "the energies are in another unit",
    "give energies=[...] in eV",
)
DWELL = Rule(
    "dwell",
    "a dwell",
    1e-7,
    10.0,
    "s",
    "a detector counts for microseconds to seconds at each pixel",
    "ms or us called s",
    "correct the dwell in the file",
)
DURATION = Rule(
    "dwell",
    "a duration of all pixels together",
    0.0,
    4 * 86_400.0,
    "s",
    "no beam time is given for a stack of four days",
    "a dwell in ms called s",
    "correct the dwell in the file",
)
RING_CURRENT = Rule(
    "ring_current",
    "a ring current",
    1.0,
    2_000.0,
    "mA",
    "synchrotrons store 2 to 1000 mA",
    "A called mA",
    "correct the ring current in the file",
)
COUNTS = Rule(
    "counts",
    "counts in most pixels",
    -1e11,
    1e11,
    "",
    "no detector counts so many photons within a dwell",
    "a value that marks missing pixels, or another quantity than counts",
    "choose another detector with counter=",
)
STACK_RULES = (STEP, ENERGY, DWELL, RING_CURRENT, COUNTS)

_NM = {"nm": 1.0, "um": 1e3, "mm": 1e6, "m": 1e9}
_EV = {"eV": 1.0, "keV": 1e3}


class Stated(NamedTuple):
    """What a file states: values, with the units as it writes them (None: it writes none)."""

    energy: NDArray[np.float64]  # [eV]
    positions: Mapping[str, NDArray[np.float64]]  # [nm] by the name of the axis
    units: Mapping[str, str | None]  # of "energy" and the axes; what is not there has no unit to be wrong
    dwell: NDArray[np.float64]  # [s], empty where not stated
    ring_current: NDArray[np.float64]  # [mA]
    counts: NDArray[np.float64]  # some
    n_pixels: int  # that were measured one after another in each frame


def check_stack(path: Path, stated: Stated, accept: Collection[str] = ()) -> None:
    """Refuse a stack of which a quantity is unlikely and not accepted.

    Raises
    ------
    ReadError
        A rule of ``STACK_RULES`` is broken; the message says the likely cause and the argument that mends it.
    """
    _check_energies(path, stated, accept)
    _check_steps(path, stated, accept)
    # All pixels of a full field are measured at once, and longer.
    check_plausible(path, DWELL._replace(high=DWELL.high * (1 if stated.n_pixels > 1 else 100)), stated.dwell, accept)
    check_plausible(path, DURATION, np.sum(stated.dwell) * stated.n_pixels, accept)
    # Zero is written where nothing was recorded.
    recorded = stated.ring_current[stated.ring_current > 0]
    check_plausible(path, RING_CURRENT, np.median(recorded) if recorded.size else np.nan, accept)
    finite = stated.counts[np.isfinite(stated.counts)]
    # A few hot or masked pixels are no reason to refuse the others.
    check_plausible(path, COUNTS, np.median(finite) if finite.size else np.nan, accept)


def _check_energies(path: Path, stated: Stated, accept: Collection[str]) -> None:
    energy, rule = stated.energy, ENERGY
    unit = stated.units.get("energy", "eV")
    named = f"that the file calls {unit}" if unit else "without a unit"
    for factor, cause in ((1e3, "keV"), (1e-3, "eV")):
        if energy.size and (energy * factor >= rule.low).all() and (energy * factor <= rule.high).all():
            shown = ", ".join(f"{value * factor:g}" for value in energy[:3]) + (", ..." if energy.size > 3 else "")
            said = "given as eV" if "energy" not in stated.units else named
            rule = rule._replace(cause=f"{cause} {said}", cure=f"give energies=[{shown}] in eV")
            break
    check_plausible(path, rule, energy, accept)


def _check_steps(path: Path, stated: Stated, accept: Collection[str]) -> None:
    steps = {name: _find_step(values) for name, values in stated.positions.items()}
    for name, step in steps.items():
        unit = stated.units.get(name, "")
        # Two positions may be the ends of a range.
        rule = UNSTATED_STEP if unit is None and stated.positions[name].size > 2 else STEP
        assumed = 1e3 if unit is None else find_factor(unit)
        ratios = {} if assumed is None else {u: factor / assumed for u, factor in _NM.items() if factor != assumed}
        likely = [u for u, ratio in ratios.items() if UNSTATED_STEP.low <= step * ratio <= UNSTATED_STEP.high]
        # One unit that makes the step a usual one is the likely cause; two leave it open.
        if len(likely) == 1:
            said = "without a unit" if unit is None else f"that the file calls {unit}"
            # The other axis may be right as it is.
            usual = [one for one in steps.values() if np.isfinite(one)]
            right = [f"{one if rule.low <= one <= rule.high else one * ratios[likely[0]]:.4g}" for one in usual]
            shown = right[0] if len(set(right)) == 1 else f"({', '.join(right)})"
            rule = rule._replace(cause=f"positions in {likely[0]} {said}", cure=f"give step_nm={shown}")
        check_plausible(path, rule._replace(quantity=f"{rule.quantity} along {name}"), step, accept)


def _find_step(values: NDArray[np.float64]) -> float:
    """Median step of positions [nm]; NaN where there is none."""
    steps = np.abs(np.diff(values))
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return float(np.median(steps)) if steps.size else float("nan")


def find_factor(unit: str) -> float | None:
    """Factor from a usual length unit to nm; None for others.

    Examples
    --------
    >>> find_factor("um"), find_factor("inch")
    (1000.0, None)
    """
    return _NM.get(unit.strip().lower().replace("µ", "u").replace("μ", "u"))
