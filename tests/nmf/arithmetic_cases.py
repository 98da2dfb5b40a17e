"""Scans on which a factorisation can meet the ends of its arithmetic: values, scan, detector, and k of each."""

from typing import NamedTuple

import numpy as np
import xarray as xr


class Case(NamedTuple):
    """One scan: values (scan point, pixel), shape of scan and detector, number of components to fit."""

    values: np.ndarray
    scan: tuple[int, int]
    detector: tuple[int, int]
    k: int


SCAN, DETECTOR = (6, 8), (20, 20)
N_POINTS, N_PIXELS = 48, 400


def mix(rng, n=N_POINTS, k=3):
    """Exactly k patterns, mixed."""
    return rng.gamma(0.5, 1, (n, k)) @ rng.gamma(0.3, 1, (k, N_PIXELS))


def light(*places):
    """Zeros but for some places (scan point, pixel), which hold 7 counts."""
    values = np.zeros((N_POINTS, N_PIXELS))
    for place in places:
        values[place] = 7
    return values


def make_exact_cases():
    """Scans that k components explain without rest."""
    rng = np.random.default_rng(0)
    half = np.where(np.arange(N_POINTS)[:, None] % 2, mix(rng), 0)
    return {
        "one pattern": Case(rng.poisson(3, (1, N_PIXELS)), (1, 1), DETECTOR, 1),
        "one value": Case(np.full((1, 1), 5.0), (1, 1), (1, 1), 1),
        "one detector pixel": Case(rng.poisson(30, (N_POINTS, 1)), SCAN, (1, 1), 1),
        "rank one": Case(mix(rng, k=1), SCAN, DETECTOR, 1),
        "rank three": Case(mix(rng), SCAN, DETECTOR, 3),
        "rank three in a line": Case(mix(rng), (1, N_POINTS), DETECTOR, 3),
        "as many as patterns": Case(rng.poisson(3, (6, N_PIXELS)), (2, 3), DETECTOR, 6),
        "as many as pixels": Case(rng.poisson(30, (N_POINTS, 4)), SCAN, (2, 2), 4),
        "constant": Case(np.ones((N_POINTS, N_PIXELS)), SCAN, DETECTOR, 1),
        "apart": Case(np.kron(np.eye(4), np.ones((12, 100))) * rng.uniform(1, 2, (N_POINTS, 1)), SCAN, DETECTOR, 4),
        "one pixel lit": Case(light((slice(None), 7)), SCAN, DETECTOR, 1),
        "one pixel of one pattern lit": Case(light((5, 7)), SCAN, DETECTOR, 1),
        "two pixels lit": Case(light((slice(9), 7), (slice(20, 30), 50)), SCAN, DETECTOR, 2),
        "one pattern among zeros": Case(light((17, slice(0, None, 3))), SCAN, DETECTOR, 1),
        "every second pattern zero": Case(half, SCAN, DETECTOR, 3),
        "half of the pixels zero": Case(mix(rng) * (np.arange(N_PIXELS) < 200), SCAN, DETECTOR, 3),
        "bright pixel": Case(mix(rng, k=1) * np.where(np.arange(N_PIXELS) == 7, 1e5, 1), SCAN, DETECTOR, 1),
    }


def make_noisy_cases():
    """Counts, which no few components explain."""
    rng = np.random.default_rng(1)
    return {
        "counts": Case(rng.poisson(5 * mix(rng, 240)), (12, 20), DETECTOR, 3),
        "counts in a column": Case(rng.poisson(5 * mix(rng, 40)), (40, 1), DETECTOR, 3),
        "k above the true one": Case(rng.poisson(5 * mix(rng, 240)), (12, 20), DETECTOR, 7),
        "few counts": Case(rng.poisson(0.02, (240, N_PIXELS)), (12, 20), DETECTOR, 2),
    }


EXACT, NOISY = make_exact_cases(), make_noisy_cases()
CASES = EXACT | NOISY


def make_scan(case, unit=1.0, dtype=np.float32):
    """PATTERNS of a case, every value times ``unit``."""
    sizes = dict(zip(("scan_y", "scan_x", "qy", "qx"), (*case.scan, *case.detector), strict=True))
    coords = {d: (d, np.arange(float(n)), {"units": "nm" if "scan" in d else "px"}) for d, n in sizes.items()}
    values = (case.values * unit).reshape(tuple(sizes.values())).astype(dtype)
    return xr.Dataset({"intensity": xr.DataArray(values, dims=tuple(sizes), attrs={"units": "counts"})}, coords=coords)
