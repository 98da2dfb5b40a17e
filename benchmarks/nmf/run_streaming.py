"""A scan that need not fit into memory: 65 536 patterns of 128 x 128 uint16 (2.1 GB) in a zarr file.

python -m benchmarks.nmf.run_streaming OUT.json [--side 256] [--detector 128] [--k 8]

The specimen of 64 x 64 points is repeated, with photon noise of its own everywhere. The file is temporary. A fit that
does not converge ends with an error.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import measure_cost, pin_to_one_core, write_json
from .common import DOSE, N_COMPONENTS, SEED, WARM_UP, find_code_state

TILE = 64


def main() -> None:
    """Write the scan, factorise it, and write what that cost."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=256, help="scan points along each side")
    parser.add_argument("--detector", type=int, default=128)
    parser.add_argument("--k", type=int, default=N_COMPONENTS)
    parser.add_argument("--lines", type=int, default=8, help="scan lines in one chunk of the file")
    chosen = parser.parse_args()
    pin_to_one_core()
    results: dict[str, Any] = {name: getattr(chosen, name) for name in ("side", "detector", "k", "lines")}
    results["code"] = find_code_state("run_streaming.py")
    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="synchronous"):
        for side, detector in (WARM_UP, (chosen.side, chosen.detector)):
            path = Path(folder) / f"scan_{side}.zarr"
            write_scan(path, side, detector, chosen.lines)
            # Unmasked: the file's fill value is 0, and a count of 0 is a count.
            patterns = xr.open_zarr(path, mask_and_scale=False).chunk({"scan_y": chosen.lines})
            with measure_cost() as cost:
                features = pk.nmf.to_features(patterns, mask=None)
                factors = pk.nmf.factorise(features, chosen.k if side > WARM_UP[0] else 2, in_memory=False)
        attrs = factors.attrs
    results |= {**cost, "error": attrs["relative_error"]}
    results |= {name: int(attrs[name]) for name in ("iterations", "converged")}
    results["file_mb"] = chosen.side**2 * chosen.detector**2 * 2 / 1024**2
    results["features_mb"] = 2 * results["file_mb"]  # float32
    write_json(chosen.out, results)


def write_scan(path: Path, side: int, detector: int, lines: int) -> None:
    """Counts drawn a few scan lines at a time from a repeated specimen."""
    import zarr

    tile = min(side, TILE)
    truth = pk.synthetic.overlapping_grains(
        n_components=N_COMPONENTS, shape=(tile, tile), detector=(detector, detector), dose=DOSE, seed=SEED
    )
    loading = truth["truth_loading"].transpose("scan_y", "scan_x", "component").to_numpy()
    factor = truth["truth_factor"].transpose("component", "qy", "qx").to_numpy().reshape(-1, detector**2)
    root = zarr.open_group(path, mode="w", zarr_format=2)
    dims, sizes = ("scan_y", "scan_x", "qy", "qx"), (side, side, detector, detector)
    chunks = (min(lines, side), side, detector, detector)
    counts = root.create_array("intensity", shape=sizes, chunks=chunks, dtype="uint16", compressors=None)
    counts.attrs.update({"_ARRAY_DIMENSIONS": list(dims), "units": "counts"})
    for name, size in zip(dims, sizes, strict=True):
        unit = "nm" if name.startswith("scan") else str(truth[name].attrs["units"])
        step = float(truth[name].diff(name).mean())
        coordinate = root.create_array(name, shape=(size,), dtype="float64")
        coordinate[:] = step * (np.arange(size) - (0 if unit == "nm" else size // 2))
        coordinate.attrs.update({"_ARRAY_DIMENSIONS": [name], "units": unit})
    rng = np.random.default_rng(SEED)
    columns = np.arange(side) % tile
    for start in range(0, side, chunks[0]):
        rows = np.arange(start, min(start + chunks[0], side)) % tile
        expected = loading[np.ix_(rows, columns)].reshape(-1, loading.shape[-1]) @ factor
        drawn = rng.poisson(expected).astype(np.uint16)
        counts[start : start + len(rows)] = drawn.reshape(len(rows), side, detector, detector)
    zarr.consolidate_metadata(path)


if __name__ == "__main__":
    main()
