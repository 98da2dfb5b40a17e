"""Is the edge of the noise right where there is nothing but noise?

python -m benchmarks.nmf.run_noise_edge OUT.json [--seeds N]

One pattern (a direct beam's tail and a ring, through a specimen of uneven thickness) is measured by detectors of
several kinds. Its second direction is noise. The edge is right where that direction, over the edge, is 1 on average.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import phasekit as pk

from ..harness import write_json

Array = NDArray[np.float64]
DOSES = (50, 300, 2000, 20000)
SHAPE, DETECTOR = (32, 32), (48, 48)


def count_ideally(mean: Array, rng: np.random.Generator) -> Array:
    """Every electron once."""
    return rng.poisson(mean).astype(np.float64)


def count_twice(mean: Array, rng: np.random.Generator) -> Array:
    """Every electron as two counts."""
    return 2.0 * rng.poisson(mean)


def count_unevenly(mean: Array, rng: np.random.Generator) -> Array:
    """Over-dispersed: the intensity of every value scatters by 45 %."""
    return rng.poisson(mean * rng.gamma(5, 1 / 5, mean.shape)).astype(np.float64)


def share_charge(mean: Array, rng: np.random.Generator) -> Array:
    """A quarter of the electrons also light the next pixel along an axis."""
    counts = rng.poisson(mean)
    lit = counts.copy()
    for axis in (2, 3):
        lit = lit + np.roll(rng.binomial(counts, 0.25), 1, axis)
    return lit.astype(np.float64)


def add_row_levels(mean: Array, rng: np.random.Generator) -> Array:
    """A level common to a detector row of each pattern."""
    return rng.poisson(mean) + rng.poisson(0.3, (*mean.shape[:3], 1)).astype(np.float64)


def add_read_noise(mean: Array, rng: np.random.Generator) -> Array:
    """Normal noise of 0.3 counts, rounded, nothing below zero."""
    return np.maximum(np.rint(rng.poisson(mean) + rng.normal(0, 0.3, mean.shape)), 0)


def flicker(mean: Array, rng: np.random.Generator) -> Array:
    """The beam current scatters by 10 % from point to point."""
    return rng.poisson(mean * rng.lognormal(0, 0.1, (*mean.shape[:2], 1, 1))).astype(np.float64)


DETECTORS: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "ideal": count_ideally,
    "two counts per electron": count_twice,
    "over-dispersed": count_unevenly,
    "shared charge": share_charge,
    "levels of detector rows": add_row_levels,
    "read noise": add_read_noise,
    "flicker": flicker,
}
#: How an ideal counter's patterns become features.
FEATURES: dict[str, dict[str, Any]] = {
    "bins of 2 x 2": {"bin": 2},
    "unscaled": {"scale": None},
    "Anscombe (no counts: neighbours)": {"scale": "anscombe"},
}


def main() -> None:
    """Measure every condition, and write the ratios."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    chosen = parser.parse_args()
    rows = []
    conditions = [(name, detect, {}) for name, detect in DETECTORS.items()]
    conditions += [(name, count_ideally, settings) for name, settings in FEATURES.items()]
    for name, detect, settings in conditions:
        for dose in DOSES:
            found = [measure(detect, dose, seed, settings) for seed in range(chosen.seeds)]
            rows.append({"condition": name, "electrons": dose, "runs": found})
            write_json(chosen.out, {"rows": rows, "seeds": chosen.seeds})


def measure(
    detect: Callable[[Array, np.random.Generator], Array], dose: float, seed: int, settings: dict[str, Any]
) -> dict[str, float]:
    """The second direction over the edge, and what the rule says, of one scan."""
    rng = np.random.default_rng(seed)
    patterns = label(detect(simulate_mean(dose, rng), rng))
    features = pk.nmf.to_features(patterns, **settings)
    ranks = pk.nmf.scan_ranks(features, range(1, 9), n_runs=5, seed=seed, metrics=(), progress=False)
    votes = pk.nmf.rank_votes(ranks)
    return {
        "edge": float(ranks["scree"].sel(rank=2)),
        "chosen": float(votes["vote"].sel(rule="combined")),
        "probability_of_one": float(votes["probability"].sel(rank=1)),
    }


def simulate_mean(dose: float, rng: np.random.Generator) -> Array:
    """Expected counts (scan_y, scan_x, qy, qx) of one pattern behind a specimen of uneven thickness."""
    q = np.hypot(*(np.indices(DETECTOR) - (np.array(DETECTOR)[:, None, None] - 1) / 2))
    pattern = np.exp(-q / 6) + 0.02 + 0.3 * np.exp(-(((q - 14) / 2) ** 2))
    thickness = np.clip(1 + 3 * gaussian_filter(rng.normal(size=SHAPE), 5), 0.2, None)
    return dose * (thickness / thickness.mean())[..., None, None] * pattern / pattern.sum()


def label(counts: Array) -> xr.Dataset:
    """PATTERNS of counts (scan_y, scan_x, qy, qx)."""
    units = {"scan_y": "nm", "scan_x": "nm", "qy": "px", "qx": "px"}
    coords = {d: (d, np.arange(float(n)), {"units": units[d]}) for d, n in zip(units, counts.shape, strict=True)}
    return xr.Dataset({"intensity": (tuple(units), counts.astype(np.float32), {"units": "counts"})}, coords=coords)


if __name__ == "__main__":
    main()
