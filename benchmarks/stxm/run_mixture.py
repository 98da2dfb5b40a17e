"""One mixture specimen of the benchmark: the stack, every method on it, their scores.

python -m benchmarks.stxm.run_mixture OUT.json N_ENERGIES NOISE KIND SEED [--element vanadium] [--measured] [--alone]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import write_json
from .common import ALONE, OWN, find_code_state
from .mixture_cells import ELEMENTS, KINDS, MixtureCell, simulate_mixture
from .mixture_scores import Truth, score_mixture_map, score_phase_and_fraction
from .run_cell import SMOOTHING_PX

FIT = "fit_references"


def main() -> None:
    """Run the specimen and write its scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("noise", type=float)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("seed", type=int)
    parser.add_argument("--element", choices=ELEMENTS, default="iron")
    parser.add_argument("--measured", action="store_true", help="with the faults of measured stacks")
    parser.add_argument("--alone", action="store_true", help="without the clusters of the GMVAE, which take longest")
    chosen = vars(parser.parse_args())
    out, alone, state = chosen.pop("out"), chosen.pop("alone"), find_code_state()
    cell = simulate_mixture(**chosen)
    write_json(out, {**score_mixture_methods(cell, with_clusters=not alone), "cell": chosen, "code": state})


def score_mixture_methods(cell: MixtureCell, *, with_clusters: bool = True) -> dict[str, Any]:
    """Scores of the own maps, and of the simple methods by smoothing; these are told the own map's energy offset."""
    od = pk.stxm.optical_density(cell.stack).compute()
    truth = Truth(cell.stack)
    alone = pk.stxm.label_phases(od, None, cell.refs).compute()
    out: dict[str, Any] = {ALONE: score_mixture_map(alone, truth)}
    if with_clusters:
        clusters = pk.stxm.assign_clusters(od, pk.stxm.fit_gmvae(od, progress=False))
        out[OWN] = score_mixture_map(pk.stxm.label_phases(od, clusters, cell.refs).compute(), truth)
    offset = float(alone["energy_offset"])
    baselines: dict[str, dict[str, dict[str, float]]] = {}
    for sigma in SMOOTHING_PX:
        for name, scores in _score_baselines(od, cell.refs, truth, offset, sigma).items():
            baselines.setdefault(name, {})[str(sigma)] = scores
    return {**out, "baselines": baselines}


def _score_baselines(
    od: xr.Dataset, refs: xr.Dataset, truth: Truth, offset: float, sigma: float
) -> dict[str, dict[str, float]]:
    """Scores by method: the major phase of the linear fit and its fractions; the others have a phase only."""
    fit = pk.stxm.fit_references(pk.stxm.smooth_od(od, sigma), refs, energy_offset=offset)
    fraction = fit["fraction"].transpose("scan_y", "scan_x", "reference").values
    known = np.isfinite(fraction).all(axis=-1)
    phase = np.where(known, np.nan_to_num(fraction).argmax(axis=-1), -1)
    out = {FIT: score_phase_and_fraction(phase, fraction, truth)}
    table = pk.stxm.compare_methods(od, refs, energy_offset=offset, smoothing_px=sigma)
    for row in table["approach"].values:
        phase = table.sel(approach=row)["phase"].values
        one_hot = np.eye(refs.sizes["reference"])[np.maximum(phase, 0)]
        hard = np.where((phase >= 0)[..., None], one_hot, np.nan)
        out[str(row)] = score_phase_and_fraction(phase, hard, truth)
    return out


if __name__ == "__main__":
    main()
