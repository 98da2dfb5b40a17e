"""How many patterns of the strangers' scans can be seen at all?

python -m benchmarks.nmf.run_limit OUT.json [--draw N]

A direction of strength s (singular value of the scaled expected counts) in noise of n patterns and p pixels is hidden
below the fourth root of n p (Benaych-Georges and Nadakuditi, J. Multivar. Anal. 111 (2012) 120). Every exactly linear
scan is simulated again with 3e7 electrons a pattern, so that its strengths are known. The number above the limit is
counted in the scan as it is and in sums of scan points and pixels.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..harness import write_json
from .run_strangers import JUDGED_DRAW, list_cases, load_author, simulate_draw

SIZES = ((1, 1), (3, 1), (3, 2), (5, 2))  # scan points and pixels along each axis of a sum
_MANY_ELECTRONS = 30_000_000
_LARGEST = 60  # directions of a scan, more than any has

Array = NDArray[np.float64]


def main() -> None:
    """Count the directions above the limit in every exactly linear scan."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--draw", type=int, default=JUDGED_DRAW)
    chosen = parser.parse_args()
    found: dict[str, Any] = {}
    for author, name in list_cases():
        module = load_author(author)
        case, patterns = simulate_draw(module, module.CASES[name], chosen.draw)
        if patterns.attrs["exactly_linear"]:
            counts = patterns["intensity"].to_numpy().astype(np.float64)
            many = module.simulate(replace(case, electrons=_MANY_ELECTRONS))["intensity"].to_numpy().astype(np.float64)
            found[f"{author}-{name}"] = {
                f"{points}x{pixels}": count_directions(many * counts.sum() / many.sum(), points, pixels)
                for points, pixels in SIZES
            }
    write_json(chosen.out, found)


def count_directions(expected: Array, points: int, pixels: int) -> int:
    """Directions above the limit of Poisson noise, in sums of expected counts (scan_y, scan_x, qy, qx)."""
    size = np.array([points, points, pixels, pixels])
    whole = np.array(expected.shape) // size
    cut = expected[tuple(slice(n) for n in whole * size)]
    sums = cut.reshape(np.column_stack([whole, size]).ravel()).sum(axis=(1, 3, 5, 7)).reshape(whole[0] * whole[1], -1)
    sums = sums[:, sums.sum(axis=0) > 0]
    scaled = sums / np.sqrt(np.outer(sums.sum(axis=1), sums.sum(axis=0)) / sums.sum())
    return int(np.sum(compute_strengths(scaled) > (scaled.shape[0] * scaled.shape[1]) ** 0.25))


def compute_strengths(scaled: Array) -> Array:
    """The largest singular values, from a random start and three rounds of iteration."""
    directions = np.random.default_rng(0).standard_normal((scaled.shape[1], min(_LARGEST, *scaled.shape)))
    for _ in range(4):
        basis = np.linalg.qr(scaled @ directions)[0]
        directions = scaled.T @ basis
    return np.asarray(np.linalg.svd(directions, compute_uv=False))


if __name__ == "__main__":
    main()
