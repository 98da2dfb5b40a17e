"""Particles of nano-crystals on a film, seen by detectors that are not ideal counters.

The expected counts before the detector are exactly sum_k map_k x pattern_k. Every condition is one kind of detector.
``python -m benchmarks.nmf.strangers.real_detectors`` prints a table of the cases.
"""

import time
from collections.abc import Callable

import numpy as np
import xarray as xr

from benchmarks.nmf.strangers.real_detectors_specimen import Array, Case, specimen

Detect = Callable[[Array, np.random.Generator], Array]
"""Counts (scan_x, qy, qx) of one scan line from the expected electrons of the same dims."""


def _ideal(_case: Case, _rng: np.random.Generator) -> Detect:
    return lambda rates, rng: rng.poisson(rates)


def _charge_sharing(case: Case, _rng: np.random.Generator) -> Detect:
    """An electron lights its pixel, and with some probability one neighbour or two neighbours around a corner."""
    pair, triple = case.number("pair", 0.25), case.number("triple", 0.06)
    steps = [(-1, 0), (0, 1), (1, 0), (0, -1)]

    def lit(events: Array, step: tuple[int, int]) -> Array:
        padded = np.pad(events, ((0, 0), (1, 1), (1, 1)))
        return np.roll(padded, step, (1, 2))[:, 1:-1, 1:-1]

    def detect(rates: Array, rng: np.random.Generator) -> Array:
        counts = rng.poisson(rates * (1 - pair - triple))
        for step, turned in zip(steps, steps[1:] + steps[:1], strict=True):
            pairs, triples = rng.poisson(rates * pair / 4), rng.poisson(rates * triple / 4)
            counts += pairs + triples + lit(pairs + triples, step) + lit(triples, turned)
        return counts

    return detect


def _gain(case: Case, _rng: np.random.Generator) -> Detect:
    """Every electron deposits a gamma-distributed number of counts; sums are rounded."""
    gain, spread = case.number("gain", 8), case.number("spread", 0.4)

    def detect(rates: Array, rng: np.random.Generator) -> Array:
        return np.rint(rng.gamma(rng.poisson(rates) / spread**2, gain * spread**2))

    return detect


def _dark_lines(case: Case, rng: np.random.Generator) -> Detect:
    """Dead rows and columns, weak pixels, lines whose response is restless, and hot pixels with counts of their own."""
    response = np.where(rng.random(case.detector) < 0.01, rng.uniform(0.1, 0.8, case.detector), 1.0)
    inner = [rng.permutation(np.arange(3, n - 3)) for n in case.detector]
    n_dead, n_restless = int(case.number("dead", 2)), int(case.number("restless", 0))
    response[inner[0][:n_dead]] = 0
    response[:, inner[1][: n_dead // 2]] = 0
    restless = inner[0][n_dead : n_dead + n_restless]
    hot = (rng.random(case.detector) < case.number("hot", 0.0)) * rng.lognormal(0, 1.2, case.detector)
    hot *= 10 * case.electrons / response.size

    def detect(rates: Array, rng: np.random.Generator) -> Array:
        seen = rates * response
        spread = case.number("restlessness", 0.4)
        seen[:, restless] *= rng.lognormal(-0.5 * spread**2, spread, (len(rates), n_restless, 1))
        return rng.poisson(seen + hot)

    return detect


def _read_noise(case: Case, _rng: np.random.Generator) -> Detect:
    """Small normal noise on every pixel; rounded and clipped at zero."""
    gain, sigma = case.number("gain", 1), case.number("sigma", 0.4)

    def detect(rates: Array, rng: np.random.Generator) -> Array:
        return np.clip(np.rint(gain * rng.poisson(rates) + rng.normal(0, sigma, rates.shape)), 0, None)

    return detect


def _correlated_noise(case: Case, _rng: np.random.Generator) -> Detect:
    """A random level per detector row and pattern; its mean is a constant share of the pattern's electrons."""
    strength, burst = case.number("strength", 0.04), case.number("burst", 1.0)

    def detect(rates: Array, rng: np.random.Generator) -> Array:
        levels = rng.gamma(burst, 1 / burst, (*rates.shape[:2], 1))
        return np.asarray(rng.poisson(rates + strength * rates.mean((1, 2), keepdims=True) * levels))

    return detect


def _afterglow(case: Case, _rng: np.random.Generator) -> Detect:
    """Some counts of the pattern before, in the order of the scan, are counted again."""
    share = case.number("share", 0.04)
    before = np.zeros(case.detector, dtype=np.int64)

    def detect(rates: Array, rng: np.random.Generator) -> Array:
        counts = rng.poisson(rates)
        for x in range(len(counts)):
            counts[x] += rng.binomial(before, share)
            before[:] = counts[x]
        return counts

    return detect


_DETECTORS: dict[str, Callable[[Case, np.random.Generator], Detect]] = {
    "charge sharing": _charge_sharing,
    "gain": _gain,
    "dark lines": _dark_lines,
    "read noise": _read_noise,
    "flicker": _ideal,
    "breathing background": _ideal,
    "correlated noise": _correlated_noise,
    "afterglow": _afterglow,
    "ideal counter": _ideal,
}


def _counts_are_electrons(case: Case) -> bool:
    """Whether every count is one electron of the beam."""
    quiet = not case.number("restless", 0) and not case.number("hot", 0)
    return _DETECTORS[case.counter] is _ideal or (case.counter == "dark lines" and quiet)


def _exactly_linear(case: Case) -> bool:
    """Whether the expected counts after the detector are a sum of the same number of patterns.

    Hot pixels add a constant pattern that is not counted as a component. So does read noise clipped at zero: a weak
    and nearly flat one. ``extra_constant_pattern`` marks both.
    """
    return case.counter != "read noise" and not case.number("hot", 0)


def simulate(case: Case) -> xr.Dataset:
    """PATTERNS of a case (scan_y, scan_x, qy, qx) [counts] with the truth in the attributes."""
    maps, patterns = specimen(case)
    rng = np.random.default_rng([case.seed, 1, 2])
    detect = _DETECTORS[case.counter](case, rng)
    flat = patterns.reshape(len(patterns), -1)
    counts = np.empty((*case.shape, *case.detector), dtype=np.float32)
    for line in range(case.shape[0]):
        rates = (maps[:, line].T @ flat).reshape(case.shape[1], *case.detector)
        counts[line] = detect(rates, rng)
    step = case.number("step", 2.0)
    coords = {
        d: (d, np.arange(n) * s, {"units": u})
        for d, n, s, u in zip(
            ("scan_y", "scan_x", "qy", "qx"),
            counts.shape,
            (step, step, 1.0, 1.0),
            ("nm", "nm", "px", "px"),
            strict=True,
        )
    }
    truth = {
        "truth_n_components": case.n_components,
        "truth_n_crystals": case.n_components - case.n_backgrounds,
        "exactly_linear": int(_exactly_linear(case)),
        "counts_are_electrons": int(_counts_are_electrons(case)),
        "extra_constant_pattern": int(not _exactly_linear(case)),
        "condition": case.condition,
    }
    intensity = (tuple(coords), counts, {"units": "counts", "long_name": "diffracted intensity"})
    return xr.Dataset({"intensity": intensity}, coords, truth)


# condition, k, electrons per pattern, scan shape, detector shape, settings
_TABLE: list[tuple[str, int, float, tuple[int, int], tuple[int, int], dict[str, float | str]]] = [
    ("charge sharing", 3, 50, (40, 40), (48, 48), {"pair": 0.35, "triple": 0.1}),
    ("charge sharing", 12, 395, (56, 48), (56, 56), {"backgrounds": 2}),
    ("charge sharing", 7, 3110, (36, 44), (60, 60), {"pair": 0.15, "triple": 0.03, "beam": "direct"}),
    ("gain", 8, 61, (64, 64), (48, 48), {"gain": 3.4, "spread": 0.5}),
    ("gain", 4, 485, (16, 16), (64, 64), {"gain": 18, "spread": 0.3, "fill": 0.8}),
    ("gain", 17, 3830, (60, 60), (52, 52), {"gain": 9, "spread": 0.6, "backgrounds": 2, "beam": "direct"}),
    ("dark lines", 10, 76, (128, 128), (44, 44), {"dead": 3}),
    ("dark lines", 15, 597, (48, 52), (64, 64), {"dead": 2, "restless": 2, "backgrounds": 2}),
    ("dark lines", 2, 4700, (32, 32), (56, 56), {"dead": 1, "restless": 1, "hot": 0.003}),
    ("read noise", 5, 93, (48, 48), (40, 40), {"sigma": 0.18}),
    ("read noise", 20, 733, (64, 64), (56, 56), {"sigma": 0.22, "beam": "direct"}),
    ("read noise", 9, 5800, (40, 48), (64, 64), {"sigma": 0.7, "gain": 6, "backgrounds": 2}),
    ("flicker", 13, 114, (64, 72), (48, 48), {"jitter": 0.12, "drift": 0.4}),
    ("flicker", 3, 902, (24, 28), (48, 56), {"jitter": 0.05, "drift": -0.8, "dips": 0.08}),
    ("flicker", 10, 7100, (44, 40), (56, 56), {"jitter": 0.2, "drift": 0.1, "backgrounds": 2}),
    ("breathing background", 6, 141, (52, 52), (52, 52), {"backgrounds": 2, "breath": 1.2}),
    ("breathing background", 11, 1110, (48, 48), (60, 60), {"backgrounds": 2, "breath": 0.5}),
    ("breathing background", 18, 8700, (56, 56), (48, 48), {"backgrounds": 2, "beam": "direct"}),
    ("correlated noise", 2, 173, (36, 36), (48, 64), {"strength": 0.05, "burst": 0.4}),
    ("correlated noise", 14, 1360, (60, 52), (56, 56), {"strength": 0.03, "backgrounds": 2}),
    ("correlated noise", 8, 10800, (40, 40), (64, 64), {"strength": 0.05, "burst": 0.5, "beam": "direct"}),
    ("afterglow", 16, 212, (100, 84), (48, 48), {"share": 0.03}),
    ("afterglow", 6, 1670, (20, 32), (72, 72), {"share": 0.06, "backgrounds": 2, "beam": "direct", "fill": 0.7}),
    ("afterglow", 12, 13300, (44, 48), (52, 52), {"share": 0.04}),
    ("ideal counter", 19, 261, (64, 60), (60, 60), {"backgrounds": 2}),
    ("ideal counter", 5, 2060, (32, 40), (48, 48), {"beam": "direct"}),
    ("ideal counter", 4, 16300, (48, 44), (64, 64), {"backgrounds": 2}),
    ("background alone", 1, 321, (32, 36), (56, 56), {"counter": "gain", "gain": 12}),
    ("background alone", 1, 2530, (48, 48), (48, 48), {"counter": "correlated noise", "burst": 0.6}),
    ("background alone", 1, 20000, (40, 40), (48, 56), {"counter": "charge sharing", "beam": "direct"}),
]
CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(f"{row[0].replace(' ', '-')}-k{row[1]}-e{row[2]:g}", *row[:-1], seed=4100 + 17 * number, settings=row[-1])
        for number, row in enumerate(_TABLE)
    )
}


def main() -> None:
    """Print a table of the cases and the seconds that each took."""
    for case in CASES.values():
        start = time.perf_counter()
        data = simulate(case)
        mean = float(data["intensity"].sum(("qy", "qx")).mean())
        print(
            f"{case.name:36} {case.condition:20} k={case.n_components:<3d} electrons={case.electrons:<8g}"
            f"counts={mean:<9.0f} {case.shape} {case.detector} linear={data.attrs['exactly_linear']} "
            f"electrons={data.attrs['counts_are_electrons']} {time.perf_counter() - start:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
