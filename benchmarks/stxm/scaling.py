"""Seconds and memory of the chain against pixels and energies: each case in a process of its own.

python -m benchmarks.stxm.scaling OUT.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import phasekit as pk

from ..harness import StepClock, describe_machine, peak_memory_kib, run_module, write_json
from .common import find_code_state

SIDES = ((64, 20), (128, 20), (256, 20), (512, 20))
ENERGIES = ((128, 6), (128, 20), (128, 50), (128, 100))
#: 256 x 256 pixels x 20 energies with five trainings, from counts to the labelled map, twice: cold and warm.
PROMISED = (256, 20)
MACHINE_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "xarray", "pymcr")


def main(out: Path) -> None:
    """Run every case and write seconds and peak memory."""
    results: dict[str, Any] = {
        "pixels": [_run_case(*case) for case in SIDES],
        "energies": [_run_case(*case) for case in ENERGIES],
    }
    results |= {"machine": describe_machine(MACHINE_PACKAGES), "code": find_code_state()}
    results["promised"] = [_run_case(*PROMISED, n_runs=5)]
    write_json(out, results)


def _run_case(side: int, n_energies: int, n_runs: int = 1) -> dict[str, float]:
    return dict(json.loads(run_module("benchmarks.stxm.scaling", side, n_energies, n_runs)))


def measure_chain(side: int, n_energies: int, n_runs: int) -> dict[str, float]:
    """Seconds by step, and the peak memory of this process."""
    energies = np.linspace(509.0, 529.0, n_energies)
    particles = max(side * side // 2500, 1)
    stack = pk.synthetic.stxm_stack(
        shape=(side, side), energies=energies, n_particles=particles, photons=1000, energy_offset=0.2, seed=1
    )
    refs, clock = pk.synthetic.vanadium_references(), StepClock()
    aligned = pk.stxm.align(stack, progress=False)
    od = pk.stxm.optical_density(aligned).compute()
    clock.finish_step("alignment and optical density")
    gmvae = pk.stxm.fit_gmvae(od, n_runs=n_runs, progress=False)
    clusters = pk.stxm.assign_clusters(od, gmvae)
    clock.finish_step("clusters")
    phases = pk.stxm.label_phases(od, clusters, refs).compute()
    clock.finish_step("map")
    peak = peak_memory_kib() / 1e6
    material = int((phases["phase"] >= 0).sum())
    case = {"side": side, "energies": n_energies, "runs": n_runs, "material": material, "peak_gb": peak}
    return {**case, **clock.seconds, "total": clock.total}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.stdout.write(json.dumps(measure_chain(*(int(value) for value in sys.argv[1:]))))
    else:
        main(Path(sys.argv[1]))
