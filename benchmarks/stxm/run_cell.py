"""One cell of the benchmark: the stack, every method on it, their scores.

python run_cell.py OUT.json N_ENERGIES NOISE NUISANCE SEED [--mantis PYTHON] [--gmvae-seeds N]
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from cells import Cell, make
from provenance import code_state
from scores import accuracy, reliability, score

import phasekit as pk

SMOOTHING_PX = (0.0, 0.7, 1.2)
OWN, ALONE = "phasekit", "phasekit without GMVAE"


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
    state = code_state()
    more = {
        name: getattr(chosen, name) for name in ("stray_light", "energy_offset") if getattr(chosen, name) is not None
    }
    cell = make(chosen.n, chosen.noise, chosen.nuisance, chosen.seed, **more)
    found = mantis_alone(cell, chosen.mantis) if chosen.mantis else run(cell, chosen.gmvae_seeds)
    found["cell"] = {"n": chosen.n, "noise": chosen.noise, "nuisance": chosen.nuisance, "seed": chosen.seed, **more}
    found["code"] = state
    new = chosen.out.with_suffix(".new")
    new.write_text(json.dumps(found, default=float) + "\n", encoding="utf-8")
    new.replace(chosen.out)


def mantis_alone(cell: Cell, python: str) -> dict[str, Any]:
    """Accuracies of Mantis, told the energy offset that phasekit finds."""
    od = pk.stxm.optical_density(cell.stack).compute()
    shared = pk.stxm.fit_systematics(od, cell.refs)
    scores, version = _mantis(od, cell, float(shared["energy_offset"]), python)
    return {"mantis": scores, "mantis_version": version}


def run(cell: Cell, n_trainings: int) -> dict[str, Any]:
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
        own[training] = score(maps[training], truth, offset, transition)
        own[training]["seconds"] = time.perf_counter() - started
    alone = pk.stxm.label_phases(od, None, cell.refs).compute()
    counted = (truth >= 0) & (maps[0]["phase"].values >= 0)
    right = maps[0]["phase"].values == truth
    out: dict[str, Any] = {
        OWN: own[0],
        "trainings": [one["accuracy"] for one in own.values()],
        ALONE: score(alone, truth, offset, transition),
        "reliability": reliability(maps[0]["confidence"].values[counted], right[counted]),
    }
    out["baselines"] = _baselines(od, cell, maps[0])
    return out


def _baselines(od: xr.Dataset, cell: Cell, phases: xr.Dataset) -> dict[str, dict[str, float]]:
    """Accuracy by method and smoothing; all are told the energy offset that phasekit found."""
    out: dict[str, dict[str, float]] = {}
    for sigma in SMOOTHING_PX:
        offset = float(phases["energy_offset"])
        table = pk.stxm.compare_methods(od, cell.refs, energy_offset=offset, smoothing_px=sigma)
        for row in table["approach"].values:
            found = table.sel(approach=row)
            value = accuracy(found["phase"].values, cell.truth_phase.values, cell.refs.sizes["reference"])
            out.setdefault(str(row), {})[str(sigma)] = value
            out[str(row)]["seconds"] = float(found["seconds"])
    return out


def _mantis(od: xr.Dataset, cell: Cell, offset: float, python: str) -> tuple[dict[str, dict[str, float]], str]:
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
            given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(given, density=np.nan_to_num(density), use=use, energy=energies, spectra=spectra, n_clusters=8)
            script = str(Path(__file__).with_name("run_mantis.py"))
            done = subprocess.run([python, script, str(given), str(made)], check=False, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"Mantis failed:\n{done.stderr[-2000:]}")
            with np.load(made) as found:
                version = str(found["version"])
                for name, phase, seconds in zip(found["names"], found["phase"], found["seconds"], strict=True):
                    value = accuracy(phase, cell.truth_phase.values, cell.refs.sizes["reference"])
                    out.setdefault(str(name), {})[str(sigma)] = value
                    out[str(name)]["seconds"] = float(seconds)
    return out, version


if __name__ == "__main__":
    main()
