"""``phasekit demo`` on this machine and on the emulated ones, and its results side by side.

``python -m tests.machines_demo [NAME ...]`` (``make demo-machines``). Two tables: the headline numbers of every
machine, and how far each map is from this machine's, beside the tolerance of docs/conventions.md.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.workflows import list_workflows

from .machines import Machine, chosen_machines, last_line, place, refused

WORKFLOWS = tuple(workflow.name for workflow in list_workflows())


class Check(NamedTuple):
    """One comparison of two results: what is asked for, and the number it must not exceed."""

    workflow: str
    name: str
    limit: float
    measure: Callable[[xr.Dataset, xr.Dataset], float]


def same_phase(one: xr.Dataset, other: xr.Dataset) -> float:
    """Share of pixels, ok in both maps, with another phase."""
    clear = ((one["status"] == 0) & (other["status"] == 0)).values
    return float((one["phase"] != other["phase"]).values[clear].mean())


def confidence(one: xr.Dataset, other: xr.Dataset) -> float:
    """99th percentile of the difference in confidence."""
    return float(np.nanquantile(abs(one["confidence"] - other["confidence"]).values, 0.99))


def offset(one: xr.Dataset, other: xr.Dataset) -> float:
    """Difference of the energy offsets in stated standard errors."""
    return float(abs(one["energy_offset"] - other["energy_offset"]) / one["energy_offset_error"])


def components(one: xr.Dataset, other: xr.Dataset) -> float:
    """Difference of the number of components."""
    return float(abs(one.sizes["component"] - other.sizes["component"]))


def patterns(one: xr.Dataset, other: xr.Dataset) -> float:
    """1 - cosine of the least alike component."""
    if components(one, other):
        return float("nan")
    return float(1 - pk.nmf.match_components(one, other)["pattern_cosine"].min())


def orientation(one: xr.Dataset, other: xr.Dataset) -> float:
    """99th percentile of the angle between both orientations [degree] in pixels that are ok in both maps."""
    clear = ((one["status"] == 0) & (other["status"] == 0) & (one["phase"] == other["phase"])).values
    pair = [data["quaternion"].isel(match=0).values[clear] for data in (one, other)]
    # From the difference of the quaternions: the arccosine of their product is its own rounding below 0.04 degrees.
    apart = np.minimum(*(np.linalg.norm(pair[0] + sign * pair[1], axis=-1) for sign in (-1, 1)))
    return float(np.quantile(4 * np.degrees(np.arcsin(np.minimum(apart / 2, 1))), 0.99))


CHECKS = (
    Check("stxm", "phase differs, unflagged pixels", 0.01, same_phase),
    Check("stxm", "confidence, 99 % of pixels", 0.05, confidence),
    Check("stxm", "energy offset / its error", 0.1, offset),
    Check("nmf", "number of components", 0.0, components),
    Check("nmf", "1 - cosine of components", 1e-3, patterns),
    Check("acom", "phase differs, ok pixels", 0.01, same_phase),
    Check("acom", "angle [degree], 99 % of ok pixels", 0.05, orientation),
)


def run_demo(machine: Machine, out: Path) -> str:
    """Run the demo there; what went wrong, or nothing."""
    with place(machine) as (folder, environment):
        problem = refused(machine, folder, environment)
        if problem:
            return problem
        command = [sys.executable, "-m", "phasekit", "demo", "--out", str(out)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else last_line(done.stdout + done.stderr) or f"ended with {done.returncode}"


def headline(out: Path) -> dict[str, str]:
    """Numbers of all workflows."""
    found = {}
    for workflow in WORKFLOWS:
        record = json.loads((out / workflow / "run.json").read_text(encoding="utf-8"))
        found |= {f"{workflow}: {name}": value for name, value in record["numbers"].items()}
    return found


def differences(reference: Path, out: Path) -> dict[str, float]:
    """Every check between two demos."""
    found = {}
    for check in CHECKS:
        one, other = (pk.batch.load_run(folder / check.workflow / "result.nc").compute() for folder in (reference, out))
        found[f"{check.workflow}: {check.name}"] = check.measure(one, other)
    return found


def table(columns: dict[str, dict[str, str]]) -> str:
    """Rows of names, a column for each machine, as Markdown."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {n} | " + " | ".join(column.get(n, "-") for column in columns.values()) + " |" for n in names]
    return "\n".join(lines)


def main() -> int:
    """Run the demo on all machines that the command line names."""
    numbers: dict[str, dict[str, str]] = {}
    apart: dict[str, dict[str, str]] = {"limit": {f"{c.workflow}: {c.name}": f"{c.limit:g}" for c in CHECKS}}
    bad = 0
    with tempfile.TemporaryDirectory() as base:
        first = Path(base) / "0"
        for index, machine in enumerate([Machine("this machine", {}), *chosen_machines(sys.argv[1:])]):
            problem = run_demo(machine, Path(base) / str(index))
            print(f"{machine.name}: {problem or 'done'}", flush=True)
            if problem and index == 0:
                return 1
            if problem:
                bad += 1
                continue
            numbers[machine.name] = headline(Path(base) / str(index))
            found = differences(first, Path(base) / str(index))
            apart[machine.name] = {name: f"{value:.2g}" for name, value in found.items()}
            bad += sum(not found[f"{check.workflow}: {check.name}"] <= check.limit for check in CHECKS)
    print(f"\n{table(numbers)}\n\n{table(apart)}\n\n{bad} outside their tolerance", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
