"""The whole chain from a file of 2 GB to the refined map: patterns per second and peak memory."""

import argparse
import json
import time
import warnings
from pathlib import Path

import dask
import h5py
import numpy as np
from common import peak_memory_mb, read_phases, say
from run_phasekit import as_patterns, as_phase, warm

import phasekit as pk

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
            chosen.out.write_text(json.dumps(measure(chosen.scan, chosen.big)), encoding="utf-8")


def measure(scan: Path, big: Path) -> dict[str, object]:
    """Seconds of every step and of all, patterns per second, peak memory [MB] and the size of the file [GB]."""
    with h5py.File(scan, "r") as file:
        small = {"intensity": file["intensity"][:2, :8], "pixel_size": file.attrs["pixel_size"]}
    phases = [as_phase(record) for record in read_phases(scan)]
    warm(as_patterns(small), phases)
    before = peak_memory_mb()
    times, start = {}, time.perf_counter()

    def lap(name: str) -> None:
        times[name] = time.perf_counter() - start - sum(times.values())

    patterns = pk.acom.calibrate(pk.io.open_4dstem(big), pixel_size=PIXEL)
    bank = pk.acom.build_templates(phases, resolution_deg=2, precession_deg=1)
    lap("open and bank")
    found = pk.acom.find_peaks(patterns).compute()
    lap("peaks from file")
    peaks = pk.acom.calibrate_peaks(found)
    lap("register")
    matched = pk.acom.match_orientations(peaks, bank)
    lap("match")
    final = pk.acom.refine_orientations(peaks, bank, matched)
    lap("refine")
    total = time.perf_counter() - start
    n = int(final.phase.size)
    say(f"chain: {n / total:.0f} patterns/s, {peak_memory_mb():.0f} MB")
    return {
        "n_patterns": n,
        "seconds": times,
        "total_s": total,
        "patterns_per_s": n / total,
        "peak_memory_mb": peak_memory_mb(),
        "memory_before_mb": before,
        "file_gb": big.stat().st_size / 1e9,
    }


if __name__ == "__main__":
    main()
