"""One cell of the benchmark: the stack, every method on it, their scores.

python -m benchmarks.stxm.run_cell OUT.json N_ENERGIES NOISE NUISANCE SEED [--mantis PYTHON] [--gmvae-seeds N]
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import run_module, write_json
from .cells import Cell, simulate_cell
from .common import ALONE, OWN, find_code_state
from .scores import bin_confidence, compute_accuracy, score_map

SMOOTHING_PX = (0.0, 0.7, 1.2)


def main() -> None:
    """Run the cell and write its scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("noise", type=float)
    parser.add_argument("nuisance")
    parser.add_argument("seed", type=int)
    parser.add_argument("--mantis", default="")
    parser.add_argument("--stray-light", type=float)
    parser.add_argument("--energy-offset", type=float)
    parser.add_argument("--gmvae-seeds", type=int, default=1, help="maps from this many trainings")
    chosen = parser.parse_args()
    state = find_code_state()
    more = {
        name: getattr(chosen, name) for name in ("stray_light", "energy_offset") if getattr(chosen, name) is not None
    }
    cell = simulate_cell(chosen.n, chosen.noise, chosen.nuisance, chosen.seed, **more)
    results = score_mantis(cell, chosen.mantis) if chosen.mantis else score_methods(cell, chosen.gmvae_seeds)
    results["cell"] = {"n": chosen.n, "noise": chosen.noise, "nuisance": chosen.nuisance, "seed": chosen.seed, **more}
    results["code"] = state
    write_json(chosen.out, results)


def score_mantis(cell: Cell, python: str) -> dict[str, Any]:
    """Accuracies of Mantis, told the energy offset that phasekit finds."""
    od = pk.stxm.optical_density(cell.stack).compute()
    shared = pk.stxm.fit_systematics(od, cell.refs)
    scores, version = _run_mantis(od, cell, float(shared["energy_offset"]), python)
    return {"mantis": scores, "mantis_version": version}


def score_methods(cell: Cell, n_trainings: int) -> dict[str, Any]:
    """Scores of the own maps and accuracies of all others, by the smoothing that suits each best."""
    od = pk.stxm.optical_density(cell.stack).compute()
    truth, offset = cell.truth_phase.values, float(cell.stack.attrs["truth_energy_offset"])
    transition = cell.stack["truth_transition"].values
    maps, own = {}, {}
    for training in range(n_trainings):
        started = time.perf_counter()
        gmvae = pk.stxm.fit_gmvae(od, seed=training, progress=False)
        maps[training] = pk.stxm.label_phases(
            od, pk.stxm.assign_clusters(od, gmvae), cell.refs, seed=training
        ).compute()
        own[training] = score_map(maps[training], truth, offset, transition)
        own[training]["seconds"] = time.perf_counter() - started
    alone = pk.stxm.label_phases(od, None, cell.refs).compute()
    counted = (truth >= 0) & (maps[0]["phase"].values >= 0)
    right = maps[0]["phase"].values == truth
    out: dict[str, Any] = {
        OWN: own[0],
        "trainings": [one["accuracy"] for one in own.values()],
        ALONE: score_map(alone, truth, offset, transition),
        "reliability": bin_confidence(maps[0]["confidence"].values[counted], right[counted]),
    }
    out["baselines"] = _score_baselines(od, cell, maps[0])
    return out


def _score_baselines(od: xr.Dataset, cell: Cell, phases: xr.Dataset) -> dict[str, dict[str, float]]:
    """Accuracy by method and smoothing; all are told the energy offset that phasekit found."""
    out: dict[str, dict[str, float]] = {}
    for sigma in SMOOTHING_PX:
        offset = float(phases["energy_offset"])
        table = pk.stxm.compare_methods(od, cell.refs, energy_offset=offset, smoothing_px=sigma)
        for row in table["approach"].values:
            method = table.sel(approach=row)
            value = compute_accuracy(method["phase"].values, cell.truth_phase.values, cell.refs.sizes["reference"])
            out.setdefault(str(row), {})[str(sigma)] = value
            out[str(row)]["seconds"] = float(method["seconds"])
    return out


def _run_mantis(od: xr.Dataset, cell: Cell, offset: float, python: str) -> tuple[dict[str, dict[str, float]], str]:
    """The same for Mantis, which runs in its own environment on the same optical density; and its version."""
    out: dict[str, dict[str, float]] = {}
    version = ""
    energies = od["energy"].values
    spectra = cell.refs["reference_spectrum"].interp(energy=energies + offset).values
    use = (od["valid"] & ~od["empty"]).values
    for sigma in SMOOTHING_PX:
        smooth = pk.stxm.smooth_od(od, sigma)
        density = smooth["optical_density"].transpose("energy", "scan_y", "scan_x").values
        with tempfile.TemporaryDirectory() as folder:
            source, answer = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(source, density=np.nan_to_num(density), use=use, energy=energies, spectra=spectra, n_clusters=8)
            run_module("benchmarks.stxm.run_mantis", source, answer, python=python)
            with np.load(answer) as mantis:
                version = str(mantis["version"])
                for name, phase, seconds in zip(mantis["names"], mantis["phase"], mantis["seconds"], strict=True):
                    value = compute_accuracy(phase, cell.truth_phase.values, cell.refs.sizes["reference"])
                    out.setdefault(str(name), {})[str(sigma)] = value
                    out[str(name)]["seconds"] = float(seconds)
    return out, version


if __name__ == "__main__":
    main()
