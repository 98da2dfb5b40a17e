"""The maps of the measured Fe 2p stack (123 energies), judged by an independent fit that is written here.

    PHASEKIT_REAL_DATA=... python -m benchmarks.stxm.measured OUT.json [--quick]

The judge is scipy's non-negative least squares on plain arrays. A constant of either sign is one of its terms. It is
told the energy offset that the map found, and nothing else of phasekit. The maps get all energies, planned ones, and
random subsets. Each is compared with the judge on all energies, and with the judge on the energies it had itself.
Writes an empty result where the data are not there.
"""

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar, nnls

import phasekit as pk

from ..harness import write_json
from .common import find_code_state
from .maps import compute_lone_share, correlate_fractions, count_statuses, select_fraction
from .mixture_scores import CLEAR_LEAD

Array = NDArray[np.float64]
NUMBERS = (60, 30, 10, 6, 4)
RANDOM_SEEDS = (0, 1, 2)
TABLES = ("oxidized.t", "reduced.t")
#: A pixel is rich in iron when the judge finds more than this share of what the strongest twentieth holds.
RICH_SHARE = 0.5
_NAME = "als_fe2p_71214078"


class Measured(NamedTuple):
    """The measured stack as optical density, its references, and the tables the judge reads by itself."""

    od: xr.Dataset
    refs: xr.Dataset
    tables: list[Array]  # (energy, value) of every reference
    mask: NDArray[np.bool_]  # marked by those who measured the stack


class Judge(NamedTuple):
    """What the independent fit says per pixel."""

    fraction: Array  # of the first reference
    total: Array  # sum of the amounts


def find_folder() -> Path:
    """Folder of the measured stack; it need not exist."""
    return Path(os.environ.get("PHASEKIT_REAL_DATA", "/nonexistent")) / "stxm" / _NAME


def open_measured(folder: Path) -> Measured:
    """Open the stack, the references and the mask."""
    i0 = np.loadtxt(folder / "i0.xsp")
    spectrum = xr.DataArray(i0[:, 1], dims="energy", coords={"energy": i0[:, 0]})
    od = pk.stxm.optical_density(pk.io.open_stxm(folder / "71214078.hdr"), i0=spectrum).compute()
    refs = pk.io.open_references([folder / name for name in TABLES])
    lines = (folder / "mask_file.msk").read_text(encoding="utf-8").splitlines()
    marked = np.array([[letter == "O" for letter in line.ljust(od.sizes["scan_x"])] for line in lines])
    return Measured(od, refs, [np.loadtxt(folder / name) for name in TABLES], marked)


def fit_nnls(measured: Measured, energies: Array, offset: float) -> Judge:
    """Fit every pixel by non-negative least squares: the references, and a constant that may be negative."""
    od = measured.od.sel(energy=energies)
    columns = [np.interp(energies + offset, table[:, 0], table[:, 1]) for table in measured.tables]
    flat = np.ones(energies.size)
    design = np.stack([*columns, flat, -flat], axis=1)
    spectra = od["optical_density"].transpose("scan_y", "scan_x", "energy").values.astype(float)
    amounts = np.full((*spectra.shape[:2], 2), np.nan)
    use = np.isfinite(spectra).all(axis=-1)
    amounts[use] = [nnls(design, spectrum)[0][:2] for spectrum in spectra[use]]
    total = amounts.sum(axis=-1)
    return Judge(amounts[..., 0] / np.where(total > 0, total, np.nan), total)


def select_rich(judge: Judge, material: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Material whose edge jump exceeds a share of its 95th percentile."""
    return material & (judge.total > RICH_SHARE * np.nanquantile(judge.total[material], 0.95))


def find_best_offset(measured: Measured, energies: Array, use: NDArray[np.bool_]) -> float:
    """Energy offset [eV] at which least squares of all pixels of ``use`` together leave the least."""
    density = measured.od["optical_density"].sel(energy=energies).transpose("energy", "scan_y", "scan_x").values
    spectra = density[:, use & np.isfinite(density).all(axis=0)].astype(float)

    def compute_rest(offset: float) -> float:
        columns = [np.interp(energies + offset, table[:, 0], table[:, 1]) for table in measured.tables]
        design = np.stack([*columns, np.ones(energies.size)], axis=1)
        terms = np.linalg.lstsq(design, spectra, rcond=None)[0]
        return float(((spectra - design @ terms) ** 2).sum())

    grid = np.arange(-5.0, 5.01, 0.1)
    start = float(grid[np.argmin([compute_rest(offset) for offset in grid])])
    return float(minimize_scalar(compute_rest, bounds=(start - 0.1, start + 0.1), method="bounded").x)


def draw_energies(measured: Measured, n: int, seed: int) -> Array:
    """Random energies of the stack: one before the edge, the others anywhere."""
    energy = measured.od["energy"].values
    rng = np.random.default_rng(seed)
    before = np.flatnonzero(energy < 705.0)
    first = int(rng.choice(before))
    others = rng.choice(np.delete(np.arange(energy.size), first), n - 1, replace=False)
    return np.sort(energy[[first, *others]])


def plan_energies(measured: Measured, n: int) -> Array:
    """Energies of the stack nearest to those that phasekit plans from the references."""
    edge = measured.refs.sel(energy=slice(700, 730))
    chosen = pk.stxm.select_energies(edge, n, min_spacing_ev=min(0.4, 20.0 / n)).values
    return np.unique(measured.od["energy"].sel(energy=chosen, method="nearest").values)


def score_measured(measured: Measured, energies: Array, full: Judge, areas: dict[str, Any]) -> dict[str, Any]:
    """One map of these energies against the judge on all energies (``full``) and on the same ones."""
    od = measured.od.sel(energy=energies)
    phases = pk.stxm.label_phases(od, None, measured.refs).compute()
    offset = float(phases["energy_offset"])
    same = fit_nnls(measured, energies, offset)
    out = {"n": int(energies.size), "energies_eV": energies.round(3).tolist(), "energy_offset": offset}
    out["independent_offset"] = find_best_offset(measured, energies, areas["rich"])
    for name in ("energy_offset_error", "fitted_blur_px", "systematics_status"):
        if name in phases:
            out[name] = float(phases[name])
    linear = pk.stxm.fit_references(od, measured.refs, energy_offset=offset)["fraction"].isel(reference=0).values
    for name, use in areas.items():
        out[name] = _score_area(phases, use, full, same, linear)
    return out


def _score_area(phases: xr.Dataset, use: NDArray[np.bool_], full: Judge, same: Judge, linear: Array) -> dict[str, Any]:
    """Agreement in one area of pixels."""
    phase, fraction = phases["phase"].values, select_fraction(phases)[..., 0]
    shares = count_statuses(phases["status"].values, use)
    out: dict[str, Any] = {
        "pixels": int(use.sum()),
        "oxidised": float((phase == 0)[use].mean()),
        "nnls_oxidised": float((full.fraction > 0.5)[use].mean()),
        "lone": compute_lone_share(phase, use),
        "nnls_lone": compute_lone_share(np.where(full.fraction > 0.5, 0, 1), use),
        "named": float((phase >= 0)[use].mean()),
        "ok_or_transition": shares["ok"] + shares["transition"],
        "status": shares,
    }
    for name, judge in (("all", full), ("same", same)):
        agrees = np.where(phase == 0, judge.fraction > 0.5, (phase > 0) & (judge.fraction <= 0.5))
        out |= {
            f"correlation_{name}": correlate_fractions(fraction, judge.fraction, use),
            f"error_{name}": float(np.nanmean(np.abs(fraction - judge.fraction)[use])),
            f"agrees_{name}": float(agrees[use].mean()),
            f"agrees_clear_{name}": float(agrees[use & (np.abs(judge.fraction - 0.5) > CLEAR_LEAD / 2)].mean()),
        }
    # What the noise of fewer energies leaves of the judge itself, and what phasekit's own linear fit reaches.
    out["noise_correlation"] = correlate_fractions(same.fraction, full.fraction, use)
    out["noise_agrees"] = float(((same.fraction > 0.5) == (full.fraction > 0.5))[use].mean())
    out["linear_correlation"] = correlate_fractions(linear, full.fraction, use)
    out["linear_agrees"] = float(((linear > 0.5) == (full.fraction > 0.5))[use].mean())
    return out


def measure_maps(folder: Path, quick: bool = False) -> dict[str, Any]:
    """Scores of all energies, of planned ones and of random subsets."""
    measured = open_measured(folder)
    energy = measured.od["energy"].values
    # The offset of the map of all energies; the judge of all maps is fitted once with it.
    offset = float(pk.stxm.label_phases(measured.od, None, measured.refs)["energy_offset"])
    full = fit_nnls(measured, energy, offset)
    material = (measured.od["valid"] & ~measured.od["empty"]).values
    areas = {"rich": select_rich(full, material), "mask": measured.mask & measured.od["valid"].values}
    numbers = (10,) if quick else NUMBERS
    plans = {f"planned_{n}": plan_energies(measured, n) for n in numbers}
    if not quick:
        plans |= {f"random_{n}_{seed}": draw_energies(measured, n, seed) for n in numbers for seed in RANDOM_SEEDS}
    plans = {"all": energy, **plans}
    return {name: score_measured(measured, chosen, full, areas) for name, chosen in plans.items()}


def main() -> None:
    """Judge the maps and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true", help="all energies and ten planned ones only")
    chosen = parser.parse_args()
    folder, state = find_folder(), find_code_state()
    results = measure_maps(folder, chosen.quick) if folder.is_dir() else {}
    write_json(chosen.out, {**results, "code": state} if results else {})


if __name__ == "__main__":
    main()
