"""The whole chain from a file of 2 GB to the refined map: patterns per second and peak memory."""

import argparse
import warnings
from pathlib import Path

import dask
import h5py
import numpy as np

import phasekit as pk

from ..harness import StepClock, log_progress, peak_memory_mb, write_json
from .common import read_phases
from .run_phasekit import make_patterns, make_phase, warm_up

PIXEL = 0.025


def write_tiled(scan: Path, path: Path, tiles: int) -> tuple[int, int]:
    """The scan repeated ``tiles`` times along both scan axes, written in chunks; its scan shape."""
    with h5py.File(scan, "r") as source, h5py.File(path, "w") as file:
        block = source["intensity"]
        side = block.shape[0]
        shape = (side * tiles, side * tiles, *block.shape[2:])
        target = file.create_dataset("intensity", shape, np.uint16, chunks=(16, 16, *block.shape[2:]))
        for row in range(0, side, 16):
            part = block[row : row + 16]
            for i, j in np.ndindex(tiles, tiles):
                target[i * side + row : i * side + row + 16, j * side : (j + 1) * side] = part
    return shape[0], shape[1]


def main() -> None:
    """Two modes: ``write`` makes the tiled file, ``run`` measures the chain on it and writes JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("mode", choices=("write", "run"))
    parser.add_argument("scan", type=Path)
    parser.add_argument("big", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.mode == "write":
        write_tiled(chosen.scan, chosen.big, chosen.tiles)
    else:
        with warnings.catch_warnings(), dask.config.set(scheduler="threads", num_workers=chosen.workers):
            warnings.simplefilter("ignore")
            write_json(chosen.out, measure_chain(chosen.scan, chosen.big))


def measure_chain(scan: Path, big: Path) -> dict[str, object]:
    """Seconds of every step and of all, patterns per second, peak memory [MB] and the size of the file [GB]."""
    with h5py.File(scan, "r") as file:
        small = {"intensity": file["intensity"][:2, :8], "pixel_size": file.attrs["pixel_size"]}
    phases = [make_phase(record) for record in read_phases(scan)]
    warm_up(make_patterns(small), phases)
    before = peak_memory_mb()
    clock = StepClock()
    patterns = pk.acom.calibrate(pk.io.open_4dstem(big), pixel_size=PIXEL)
    bank = pk.acom.build_templates(phases, resolution_deg=2, precession_deg=1)
    clock.finish_step("open and bank")
    raw_peaks = pk.acom.find_peaks(patterns).compute()
    clock.finish_step("peaks from file")
    peaks = pk.acom.calibrate_peaks(raw_peaks)
    clock.finish_step("register")
    matched = pk.acom.match_orientations(peaks, bank)
    clock.finish_step("match")
    final = pk.acom.refine_orientations(peaks, bank, matched)
    clock.finish_step("refine")
    n = int(final.phase.size)
    log_progress(f"chain: {n / clock.total:.0f} patterns/s, {peak_memory_mb():.0f} MB")
    return {
        "n_patterns": n,
        "seconds": clock.seconds,
        "total_s": clock.total,
        "patterns_per_s": n / clock.total,
        "peak_memory_mb": peak_memory_mb(),
        "memory_before_mb": before,
        "file_gb": big.stat().st_size / 1e9,
    }


if __name__ == "__main__":
    main()
