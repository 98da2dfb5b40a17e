"""The rows of a spectrum in rising energy; several scans below each other are not merged."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .options import TableOptions

Array = NDArray[np.float64]
_SHOWN = 6
_SHORT_RUN = 2.75  # rows: those in no order rise or fall for 2.4 rows on average, a scan has three at least


def sort_rows(path: Path, energy: Array, values: Array, options: TableOptions) -> tuple[Array, Array]:
    """Energies that rise, and ``values`` (spectrum, row) with them; neighbours of equal energy are averaged.

    Raises
    ------
    ReadError
        The energies run through one range several times and ``scan`` does not choose, or it chooses what is not there.
    """
    runs = _find_runs(energy)
    repeats = len(runs) > 1 and _overlap(energy, runs)
    if options.scan is not None and repeats:
        runs = [runs[_check_number(path, options.scan, energy, runs)]]
    elif repeats:
        raise _refuse_runs(path, energy, runs, "")
    elif options.scan not in (None, "1"):
        raise ReadError(path, found=f"one scan, but not scan={options.scan!r}", cure="leave scan= out")
    rows = np.concatenate([np.arange(a, b) for a, b in runs])
    if np.ptp(energy[rows]) == 0:
        found = f"{rows.size} rows of one energy, {energy[0]:g} eV"
        raise ReadError(path, found=found, cure="give a spectrum, or choose another column with energy_column=")
    return _average_equal(energy[rows], values[:, rows])


def _find_runs(energy: Array) -> list[tuple[int, int]]:
    """First and last row (excluded) of the stretches that rise or fall."""
    edges = [0]
    direction = 0.0
    for i in range(1, energy.size):
        step = float(np.sign(energy[i] - energy[i - 1]))
        if step and direction and step != direction:
            edges.append(i)
            direction = 0.0
            continue
        direction = step or direction
    return list(zip(edges, [*edges[1:], energy.size], strict=True))


def _overlap(energy: Array, runs: list[tuple[int, int]]) -> bool:
    """Whether stretches cover one range more than once.

    Two regions of one scan share the point where they meet. Rows in no order, without equal energies, are one scan.
    """
    if np.unique(energy).size == energy.size and energy.size < _SHORT_RUN * len(runs):
        return False
    ends = sorted((float(energy[a:b].min()), float(energy[a:b].max())) for a, b in runs)
    return any(second[0] < first[1] for first, second in pairwise(ends))


def _check_number(path: Path, scan: str, energy: Array, runs: list[tuple[int, int]]) -> int:
    if not scan.isdigit() or not 1 <= int(scan) <= len(runs):
        raise _refuse_runs(path, energy, runs, f", but not scan {scan!r}")
    return int(scan) - 1


def _refuse_runs(path: Path, energy: Array, runs: list[tuple[int, int]], asked: str) -> ReadError:
    shown = "; ".join(f"{k + 1}: {energy[a]:g} to {energy[b - 1]:g} eV" for k, (a, b) in enumerate(runs[:_SHOWN]))
    return ReadError(
        path,
        found=f"energies that run {len(runs)} times through one range ({shown}){asked}",
        cure="choose one scan, e.g. scan='1', or keep one row for each energy",
    )


def _average_equal(energy: Array, values: Array) -> tuple[Array, Array]:
    """Sorted by energy, rows of exactly equal energy averaged."""
    unique, inverse = np.unique(energy, return_inverse=True)
    if unique.size == energy.size:
        order = np.argsort(energy)
        return energy[order], values[:, order]
    # Scan programs repeat the energy at which two regions meet.
    count = np.bincount(inverse)
    return unique, np.array([np.bincount(inverse, weights=row) / count for row in values])
