"""Seconds and memory of the chain against pixels and energies: each case in a process of its own.

python scaling.py OUT.json
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from provenance import code_state, describe_machine

import phasekit as pk

SIDES = ((64, 20), (128, 20), (256, 20), (512, 20))
ENERGIES = ((128, 6), (128, 20), (128, 50), (128, 100))
#: 256 x 256 pixels x 20 energies with five trainings, from counts to the labelled map, twice: cold and warm.
PROMISED = (256, 20)


def main(out: Path) -> None:
    """Run every case and write what they took."""
    found: dict[str, Any] = {
        "pixels": [_case(*case) for case in SIDES],
        "energies": [_case(*case) for case in ENERGIES],
    }
    found |= {"machine": describe_machine(), "code": code_state()}
    found["promised"] = [_case(*PROMISED, n_runs=5)]
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _case(side: int, n_energies: int, n_runs: int = 1) -> dict[str, float]:
    command = [sys.executable, __file__, str(side), str(n_energies), str(n_runs)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def chain(side: int, n_energies: int, n_runs: int) -> dict[str, float]:
    """Seconds by step, and the peak memory of this process."""
    energies = np.linspace(509.0, 529.0, n_energies)
    particles = max(side * side // 2500, 1)
    stack = pk.synthetic.stxm_stack(
        shape=(side, side), energies=energies, n_particles=particles, photons=1000, energy_offset=0.2, seed=1
    )
    refs, lap, started = pk.synthetic.vanadium_references(), {}, time.perf_counter()

    def took(name: str) -> None:
        nonlocal started
        lap[name], started = time.perf_counter() - started, time.perf_counter()

    aligned = pk.stxm.align(stack, progress=False)
    od = pk.stxm.optical_density(aligned).compute()
    took("alignment and optical density")
    gmvae = pk.stxm.fit_gmvae(od, n_runs=n_runs, progress=False)
    clusters = pk.stxm.assign_clusters(od, gmvae)
    took("clusters")
    phases = pk.stxm.label_phases(od, clusters, refs).compute()
    took("map")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    material = int((phases["phase"] >= 0).sum())
    case = {"side": side, "energies": n_energies, "runs": n_runs, "material": material, "peak_gb": peak}
    return {**case, **lap, "total": sum(lap.values())}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.stdout.write(json.dumps(chain(*(int(value) for value in sys.argv[1:]))))
    else:
        main(Path(sys.argv[1]))
