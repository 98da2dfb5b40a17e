"""A stack that does not fit into memory, in blocks from a file of counts to a file of phases.

    python -m benchmarks.stxm.streaming OUT.json [side] [energies]

writes seconds by step and the peak memory of the process. By default the stack has 2048 x 2048 pixels x 100 energies.
"""

import sys
import tempfile
from pathlib import Path

import dask
import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import StepClock, peak_memory_kib, write_json

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


def main(out: Path, side: int = 2048, n_energies: int = 100) -> None:
    """Run the chain and write its seconds and peak memory."""
    clock, peaks = StepClock(), {}

    def finish_step(name: str) -> None:
        clock.finish_step(name)
        peaks[name] = _peak_gb()

    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="threads", num_workers=2):
        write_stack(Path(folder) / "stack.zarr", side, n_energies)
        finish_step("writing the stack")
        before = _peak_gb()
        od = _compute_density(Path(folder), n_energies)
        finish_step("optical density to file")
        gmvae = pk.stxm.fit_gmvae(od, progress=False)
        finish_step("training")
        refs = pk.synthetic.vanadium_references()
        phases = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), refs)
        finish_step("shared numbers and clusters")
        pk.io.save(phases, Path(folder) / "phases.zarr")
        finish_step("map and writing it")
        ok = int((pk.io.load(Path(folder) / "phases.zarr")["status"] == 0).sum())
    results = {"side": side, "energies": n_energies}
    results["seconds"] = {name: round(seconds, 1) for name, seconds in clock.seconds.items()}
    results |= {"peak_gb": _peak_gb(), "peak_gb_after": peaks, "peak_gb_before": before, "ok_pixels": ok}
    write_json(out, results)


def _compute_density(folder: Path, n_energies: int) -> xr.Dataset:
    """Return the optical density, lazily from a file: else every later step would make it anew from the counts."""
    stack = xr.open_zarr(folder / "stack.zarr").chunk({"energy": -1, "scan_y": TILE, "scan_x": TILE})
    i0 = xr.DataArray(np.full(n_energies, 1000.0), dims="energy", coords={"energy": stack["energy"]})
    pk.io.save(pk.stxm.optical_density(stack, i0=i0), folder / "density.zarr")
    return pk.io.load(folder / "density.zarr", lazy=True)


def _peak_gb() -> float:
    return round(peak_memory_kib() / 1e6, 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(value) for value in sys.argv[2:]))
