"""A stack that does not fit: 2048 x 2048 pixels x 100 energies from a file of counts to a file of phases, in blocks.

    python benchmarks/stxm/streaming.py [side] [energies]

prints seconds by step and the peak memory of the process as JSON.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import dask
import numpy as np
import xarray as xr

import phasekit as pk

TILE = 256


def write_stack(path: Path, side: int, n_energies: int) -> None:
    """Counts in chunks of all energies x 256 x 256, one simulated tile after the other."""
    import zarr

    energies = np.linspace(509.0, 529.0, n_energies).round(3)
    names = ("energy", "scan_y", "scan_x")
    root = zarr.open_group(path, mode="w", zarr_format=2)
    shape = (n_energies, side, side)
    counts = root.create_array("intensity", shape=shape, chunks=(n_energies, TILE, TILE), dtype="uint16")
    counts.attrs["_ARRAY_DIMENSIONS"] = list(names)
    counts.attrs["units"] = "counts"
    for name, values, unit in zip(
        names, (energies, 20.0 * np.arange(side), 20.0 * np.arange(side)), ("eV", "nm", "nm"), strict=True
    ):
        coordinate = root.create_array(name, shape=values.shape, dtype="float64")
        coordinate[:] = values
        coordinate.attrs.update({"_ARRAY_DIMENSIONS": [name], "units": unit})
    tiles = [
        pk.synthetic.stxm_stack(
            shape=(TILE, TILE),
            energies=energies,
            n_particles=30,
            seed=seed,
            frame_drift_px=0.0,
            i0_drift=0.0,
            photons=1000,
        )["intensity"].values.astype(np.uint16)
        for seed in range(2)
    ]
    for index, (y, x) in enumerate(np.ndindex(side // TILE, side // TILE)):
        counts[:, y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] = tiles[index % 2]
    zarr.consolidate_metadata(path)


def main(side: int = 2048, n_energies: int = 100) -> None:
    """Run the chain and print what it took."""
    lap, peaks, started = {}, {}, time.perf_counter()

    def took(name: str) -> None:
        nonlocal started
        lap[name], started = round(time.perf_counter() - started, 1), time.perf_counter()
        peaks[name] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)

    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="threads", num_workers=2):
        write_stack(Path(folder) / "stack.zarr", side, n_energies)
        took("writing the stack")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stack = xr.open_zarr(Path(folder) / "stack.zarr").chunk({"energy": -1, "scan_y": TILE, "scan_x": TILE})
        refs = pk.synthetic.vanadium_references()
        i0 = xr.DataArray(np.full(n_energies, 1000.0), dims="energy", coords={"energy": stack["energy"]})
        density = pk.stxm.optical_density(stack, i0=i0)
        pk.io.save(density, Path(folder) / "density.zarr")  # else every later step would make it anew from the counts
        od = pk.io.load(Path(folder) / "density.zarr", lazy=True)
        took("optical density to file")
        gmvae = pk.stxm.fit_gmvae(od, progress=False)
        took("training")
        phases = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), refs)
        took("shared numbers and clusters")
        pk.io.save(phases, Path(folder) / "phases.zarr")
        took("map and writing it")
        ok = int((pk.io.load(Path(folder) / "phases.zarr")["status"] == 0).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "side": side,
                "energies": n_energies,
                "seconds": lap,
                "peak_gb": round(peak / 1e6, 2),
                "peak_gb_after": peaks,
                "peak_gb_before": round(before / 1e6, 2),
                "ok_pixels": ok,
            }
        )
    )


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
