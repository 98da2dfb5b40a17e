"""Outputs of two commits on the bundled samples, side by side, bit for bit.

    python -m benchmarks.house.compare_commits OLD [NEW] [--keep FOLDER] [--workflows stxm nmf acom] [--changed]

``OLD`` and ``NEW`` (default HEAD) are commits, or folders that hold a copy of the project (``.`` for the working tree).
Each commit is checked out in a temporary folder, and all steps of the workflows run there in a fresh process with the
same interpreter on one thread (about 3 minutes a commit, with the compilation of its kernels). With ``--keep`` what a
commit gave is kept in ``FOLDER`` by commit and steps, and taken from there the next time; a folder's is never kept.

Printed is a Markdown table: step, variable, and "same" or what differs (largest difference, dimensions, type; for text
files the number of lines), and a row for the attributes. ``--changed`` leaves equal rows out. The exit status is 1 if a
value differs, is missing or is new; attributes alone do not count. What was renamed stands in ``aliases.py``.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .aliases import DIMENSIONS, VARIABLES
from .run_steps import ENVIRONMENT, WORKFLOWS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LONGEST = 1200  # seconds of a commit's run before it is given up


class Outputs(NamedTuple):
    """What one commit gave: the record of its steps, and its values by "step/variable"."""

    name: str
    steps: dict[str, Any]
    values: Mapping[str, Any]
    seconds: float


class Row(NamedTuple):
    """One line of the table; ``equal`` is None where it does not count (attributes)."""

    step: str
    variable: str
    words: str
    equal: bool | None


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


def outputs_of(commit: str, keep: Path | None, workflows: list[str]) -> Outputs:
    """Run a commit's steps, or read what was kept of it."""
    if Path(commit).is_dir():
        with tempfile.TemporaryDirectory() as folder:
            return _read(commit, _run(Path(commit).resolve(), Path(folder), workflows))
    sha = git("rev-parse", "--verify", f"{commit}^{{commit}}")
    kept = keep / f"{sha[:10]}-{steps_state(workflows)}" if keep else None
    if kept and (kept / "steps.json").exists():
        return _read(sha[:10], kept)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--detach", "--quiet", str(tree), sha)
        try:
            made = _run(tree, Path(folder), workflows)
        finally:
            git("worktree", "remove", "--force", str(tree))
        if kept:
            shutil.copytree(made, kept, dirs_exist_ok=True)
        return _read(sha[:10], made)


def steps_state(workflows: list[str]) -> str:
    """Eight letters that change with the steps, so that outputs of other steps are not taken for these."""
    digest = hashlib.sha256(" ".join(sorted(workflows)).encode())
    for path in sorted([*HERE.glob("steps*.py"), HERE / "run_steps.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _run(tree: Path, folder: Path, workflows: list[str]) -> Path:
    """All steps in a fresh process that imports phasekit from ``tree`` and these steps from a copy of this folder."""
    tools, out = folder / "tools", folder / "out"
    # Under a name of its own: the commit's tree may hold a package "benchmarks", which would be found instead.
    shutil.copytree(HERE, tools / "compared_steps", ignore=shutil.ignore_patterns("__pycache__"))
    own = {"PYTHONPATH": os.pathsep.join((str(tools), str(tree))), "NUMBA_CACHE_DIR": str(folder / "numba")}
    command = [sys.executable, "-m", "compared_steps.run_steps", str(tree), str(out), *workflows]
    subprocess.run(command, cwd=tools, env=os.environ | ENVIRONMENT | own, check=True, timeout=LONGEST)
    return out


def _read(name: str, folder: Path) -> Outputs:
    record = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
    with np.load(folder / "values.npz", allow_pickle=False) as archive:
        values = {key: archive[key] for key in archive.files}
    return Outputs(name, record["steps"], values, record["seconds"])


def compare(old: Outputs, new: Outputs) -> Iterator[Row]:
    """Rows of all steps, in the order of the old commit; new ones at the end."""
    for step in [*old.steps, *(step for step in new.steps if step not in old.steps)]:
        if step not in old.steps or step not in new.steps:
            yield Row(step, "", f"only in {(old if step in old.steps else new).name}", False)
            continue
        yield from _compare_step(step, old, new)


def _compare_step(step: str, old: Outputs, new: Outputs) -> Iterator[Row]:
    first, second = old.steps[step], new.steps[step]
    if first["error"] or second["error"]:
        words = "; ".join(f"{one.name}: {one.steps[step]['error'] or 'no error'}" for one in (old, new))
        yield Row(step, "error", words, bool(first["error"]) and bool(second["error"]))
        return
    names = {name: renamed(name) for name in first["variables"]}
    for name, other in names.items():
        label = name if name == other else f"{name} -> {other}"
        if other not in second["variables"]:
            yield Row(step, label, f"only in {old.name}", False)
            continue
        left, right = old.values.get(f"{step}/{name}"), new.values.get(f"{step}/{other}")
        words = difference(first["variables"][name], second["variables"][other], left, right)
        yield Row(step, label, words, words == "same")
    for name in second["variables"]:
        if name not in names.values():
            yield Row(step, name, f"only in {new.name}", False)
    words = _compare_attributes(first["attributes"], second["attributes"])
    yield Row(step, "(attributes)", words, None)


def renamed(name: str) -> str:
    """A variable's new name; names inside names ("others.0.share") part by part."""
    return VARIABLES.get(name) or ".".join(VARIABLES.get(part, part) for part in name.split("."))


def difference(first: dict[str, Any], second: dict[str, Any], left: Any, right: Any) -> str:
    """ "same", or what differs between two values and how much."""
    dims = [DIMENSIONS.get(dim, dim) for dim in first["dims"]]
    found = []
    if dims != second["dims"]:
        found.append(f"dims {tuple(first['dims'])} and {tuple(second['dims'])}")
    if first["dtype"] != second["dtype"]:
        found.append(f"{first['dtype']} and {second['dtype']}")
    if first["shape"] != second["shape"]:
        found.append(f"shape {tuple(first['shape'])} and {tuple(second['shape'])}")
    elif first["sha256"] != second["sha256"] and left is not None and right is not None:
        found.append(_largest(left, right))
    elif first["sha256"] != second["sha256"]:
        found.append("other values, too large to be kept")
    return "; ".join(found) or "same"


def _largest(left: Any, right: Any) -> str:
    """How many values differ, and the largest difference of numbers (NaN equals NaN)."""
    numbers = all(np.issubdtype(one.dtype, np.number) or one.dtype == bool for one in (left, right))
    if not numbers:
        texts = left.astype(str) != right.astype(str)
        return f"{int(np.sum(texts))} of {texts.size} differ" if texts.any() else "same values, stored otherwise"
    kind = complex if np.iscomplexobj(left) or np.iscomplexobj(right) else float
    a, b = left.astype(kind), right.astype(kind)
    both = np.isnan(a) & np.isnan(b)
    unequal = (a != b) & ~both
    if not unequal.any():
        return "same values, stored otherwise"
    gaps = np.abs(np.where(unequal, a - b, 0))
    one_sided = int(np.sum(np.isnan(gaps)))
    largest = np.nanmax(gaps, initial=0.0)
    nan = f", {one_sided} NaN on one side" if one_sided else ""
    return f"max difference {largest:.3g} ({int(unequal.sum())} of {unequal.size} differ{nan})"


def _compare_attributes(first: dict[str, Any], second: dict[str, Any]) -> str:
    left = {f"{renamed(name)}@{key}": text for name, attrs in first.items() for key, text in attrs.items()}
    right = {f"{name}@{key}": text for name, attrs in second.items() for key, text in attrs.items()}
    changed = sorted(key for key in left.keys() & right.keys() if left[key] != right[key])
    parts = (
        ("differ", changed),
        ("gone", sorted(left.keys() - right.keys())),
        ("new", sorted(right.keys() - left.keys())),
    )
    return "; ".join(f"{word}: {', '.join(keys)}" for word, keys in parts if keys) or "same"


def table(rows: list[Row], *, changed: bool) -> str:
    shown = [row for row in rows if not changed or row.words != "same"]
    lines = ["| step | variable | outcome |", "|---|---|---|"]
    lines += [f"| {row.step} | {row.variable} | {row.words.replace('|', '/')} |" for row in shown]
    return "\n".join(lines)


def summary(rows: list[Row], old: Outputs, new: Outputs) -> str:
    counted = [row for row in rows if row.equal is not None]
    other = [row for row in rows if row.equal is None and row.words != "same"]
    errors = sum(row.variable == "error" for row in rows)
    return (
        f"{old.name} ({old.seconds:.0f} s) and {new.name} ({new.seconds:.0f} s): {len(old.steps)} steps, "
        f"{sum(row.equal is True for row in counted)} of {len(counted)} values the same; "
        f"{len(other)} steps with other attributes; {errors} steps with an error."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house.compare_commits", description="Same outputs?")
    parser.add_argument("old", help="commit or folder")
    parser.add_argument("new", nargs="?", default="HEAD", help="commit or folder")
    parser.add_argument("--keep", type=Path, help="folder for what commits gave")
    parser.add_argument("--workflows", nargs="+", choices=WORKFLOWS, default=list(WORKFLOWS))
    parser.add_argument("--changed", action="store_true", help="leave equal rows out")
    chosen = parser.parse_args()
    old, new = (outputs_of(one, chosen.keep, chosen.workflows) for one in (chosen.old, chosen.new))
    rows = list(compare(old, new))
    print(table(rows, changed=chosen.changed))
    print(f"\n{summary(rows, old, new)}")
    raise SystemExit(any(row.equal is False for row in rows))


if __name__ == "__main__":
    main()
