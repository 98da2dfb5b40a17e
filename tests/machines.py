"""The tests under emulations of other machines, one after another, and one table of how each went.

``python -m tests.machines [--quick] [NAME ...]``; ``make test-machines`` calls it. A poorer processor is emulated by
the switches that NumPy, OpenBLAS, PyTorch and numba have for it; another place by locale, time zone, hash seed, a home
folder that cannot be written, and a path with blanks and letters beyond ASCII. Whether a switch did anything is asked
before the tests run: where it did not, the row says so and counts as failed.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .tree import ROOT, copy_to

#: Tests that need no screen, no network and no minute of their own.
FAST = "not slow and not long and not browser and not network"
#: ``--quick``: the steps whose numbers depend on arithmetic, and what reads and writes text.
QUICK = (
    *("tests/test_contract.py", "tests/test_samples.py", "tests/test_correlation.py", "tests/test_diffraction.py"),
    *(f"tests/nmf/test_{name}.py" for name in ("factors", "kernels", "mixtures", "features", "centring", "polar")),
    *(f"tests/acom/test_{name}.py" for name in ("matching", "refinement", "peaks", "peak_kernels", "calibration")),
    *(
        f"tests/stxm/test_{name}.py"
        for name in ("labels", "sufficient_statistics", "linear", "domains", "density", "alignment", "gmvae")
    ),
    *("tests/synthetic", "tests/io/test_maps_text.py", "tests/io/test_references.py", "tests/batch/test_cli.py"),
)

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
TWO_THREADS = dict.fromkeys(ONE_THREAD, "2")

PROBE = """
import json, locale, os
import numpy._core._multiarray_umath as umath
import llvmlite.binding, numba, scipy.linalg, threadpoolctl, torch
from numba.core import config
from tests import abroad
blas = {pool["architecture"] for pool in threadpoolctl.threadpool_info() if pool["internal_api"] == "openblas"}
known = umath.__cpu_features__
print(json.dumps({
    "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in umath.__cpu_dispatch__ if not known.get(name)),
    "OPENBLAS_CORETYPE": " ".join(sorted(blas)),
    "ATEN_CPU_CAPABILITY": torch.backends.cpu.get_cpu_capability().lower(),
    "NUMBA_CPU_NAME": config.CPU_NAME or llvmlite.binding.get_host_cpu_name(),
    "LC_ALL": locale.localeconv()["decimal_point"],
    "threads": max([pool["num_threads"] for pool in threadpoolctl.threadpool_info()] + [torch.get_num_threads()]),
    "HOME": os.access(os.path.expanduser("~"), os.W_OK),
    "encoding": locale.getpreferredencoding(False),
}))
"""


class Machine(NamedTuple):
    """One emulated machine: its name, its environment, and whether it stands in another place of the world."""

    name: str
    environment: dict[str, str]
    abroad: bool = False


class Row(NamedTuple):
    """How the tests went on one machine; ``problem`` says why they could not run there as meant."""

    machine: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problem: str = ""


def numpy_features() -> list[str]:
    """Instruction sets that this NumPy chooses between at run time and that this processor has."""
    import numpy._core._multiarray_umath as umath

    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)]


def machines() -> list[Machine]:
    """What can be emulated on this kind of processor, the poorest first."""
    poor = {"NPY_DISABLE_CPU_FEATURES": " ".join(numpy_features()), "ATEN_CPU_CAPABILITY": "default"}
    plain = poor | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "1", "TZ": "UTC"}
    away = {"PYTHONHASHSEED": "2718", "TZ": "Pacific/Chatham"}
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [
            Machine("plain Arm, ASCII locale", plain | {"OPENBLAS_CORETYPE": "ARMV8"} | ONE_THREAD | ascii_only),
            Machine("this processor, two threads", TWO_THREADS),
            Machine("abroad", ONE_THREAD | away, abroad=True),
        ]
    return [
        Machine("x86 of 2008, ASCII locale", plain | {"OPENBLAS_CORETYPE": "Nehalem"} | ONE_THREAD | ascii_only),
        Machine("Sandy Bridge, two threads", plain | {"OPENBLAS_CORETYPE": "Sandybridge"} | TWO_THREADS),
        Machine("Haswell, abroad", {"OPENBLAS_CORETYPE": "Haswell"} | ONE_THREAD | away, abroad=True),
        Machine("this processor, two threads", TWO_THREADS),
    ]


def chosen_machines(names: list[str]) -> list[Machine]:
    """Those whose name holds one of ``names``; all without names."""
    return [m for m in machines() if not names or any(name.lower() in m.name.lower() for name in names)]


@contextmanager
def place(machine: Machine) -> Iterator[tuple[Path, dict[str, str]]]:
    """Folder to run in and the whole environment; abroad it is a copy of the project far from home."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    environment |= machine.environment | {"PHASEKIT_SETLOCALE": "1"}
    if not machine.abroad:
        yield ROOT, environment | {"PYTHONPATH": str(ROOT)}
        return
    with tempfile.TemporaryDirectory(prefix="phasekit ") as base:
        copy = Path(base) / "Messdaten für Käthe, 測定"
        copy_to(copy)
        for cache in (ROOT / "phasekit").rglob("__pycache__"):  # compiled code, which takes minutes to make
            shutil.copytree(cache, copy / cache.relative_to(ROOT), dirs_exist_ok=True)
        (Path(base) / "no home").write_text("a file where a home folder should be", encoding="utf-8")
        own = ("XDG_", "JUPYTER", "IPYTHON", "MPL")  # what would stand in for the home folder
        environment = {name: value for name, value in environment.items() if not name.startswith(own)}
        environment |= {"HOME": str(Path(base) / "no home" / "below"), "PYTHONPATH": str(copy)} | comma_locale(
            Path(base)
        )
        yield copy, environment


def comma_locale(folder: Path) -> dict[str, str]:
    """Environment of a locale that writes 0,5: made here from the system's sources, or one that is installed."""
    made = (
        subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")], capture_output=True, check=False
        )
        if shutil.which("localedef")
        else None
    )
    if made is not None and (folder / "de_DE.UTF-8").exists():
        return {"LC_ALL": "de_DE.UTF-8", "LOCPATH": str(folder)}
    return {"LC_ALL": "de_DE.UTF-8"}


def refused(machine: Machine, folder: Path, environment: dict[str, str]) -> str:
    """Switches that did nothing, as text; empty when the emulation is what it says."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return last_line(done.stderr) or f"the probe ended with {done.returncode}"
    got = json.loads(done.stdout.splitlines()[-1])
    wrong = []
    for name in ("OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "NUMBA_CPU_NAME"):
        asked = machine.environment.get(name, got[name])
        if got[name].lower() != asked.lower():
            wrong.append(f"{name}={asked} gives {got[name]}")
    threads = int(machine.environment.get("OMP_NUM_THREADS", got["threads"]))
    if got["threads"] > threads:
        wrong.append(f"{got['threads']} threads, not {threads}")
    left = set(machine.environment.get("NPY_DISABLE_CPU_FEATURES", "").split())
    if not left <= set(got["NPY_DISABLE_CPU_FEATURES"].split()):
        wrong.append(f"NumPy still uses {left - set(got['NPY_DISABLE_CPU_FEATURES'].split())}")
    if machine.abroad and (got["HOME"] or got["LC_ALL"] != ","):
        wrong.append(f"decimal point {got['LC_ALL']!r}, home can be written: {got['HOME']}")
    if machine.environment.get("PYTHONUTF8") == "0" and got["encoding"].lower().startswith("utf"):
        wrong.append(f"encoding {got['encoding']}")
    return "; ".join(wrong)


def last_line(text: str) -> str:
    """Last line that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def run_tests(machine: Machine, selection: list[str], workers: str) -> Row:
    """Run the selected tests there."""
    with place(machine) as (folder, environment), tempfile.TemporaryDirectory() as scratch:
        problem = refused(machine, folder, environment)
        if problem:
            return Row(machine.name, failed=1, problem=problem)
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.abroad", "-p", "no:cacheprovider"]
        command += ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder", f"--junitxml={report}"]
        start = time.perf_counter()
        done = subprocess.run([*command, "-m", FAST, *selection], cwd=folder, env=environment, check=False)
        seconds = time.perf_counter() - start
        row = read_report(machine.name, report, seconds) if report.exists() else Row(machine.name, seconds=seconds)
        if done.returncode in (0, 1) and row.passed:
            return row
        return row._replace(failed=max(row.failed, 1), problem=f"pytest ended with {done.returncode}")


def read_report(name: str, report: Path, seconds: float) -> Row:
    """Counts of a JUnit file."""
    suite = ET.parse(report).getroot().find("testsuite")
    if suite is None:
        return Row(name, failed=1, problem="no test ran")
    total, failures, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    return Row(name, total - failures - errors - skipped, failures + errors, skipped, seconds)


def table(rows: list[Row]) -> str:
    """The rows as text."""
    form = "{:32} {:>7} {:>7} {:>8} {:>8}  {}"
    lines = [form.format("machine", "passed", "failed", "skipped", "minutes", "")]
    for row in rows:
        counts = (row.passed, row.failed, row.skipped, f"{row.seconds / 60:.1f}")
        lines.append(form.format(row.machine, *counts, row.problem))
    return "\n".join(line.rstrip() for line in lines)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="machines to run (part of the name); all when left out")
    parser.add_argument("--quick", action="store_true", help="a part: " + ", ".join(QUICK))
    parser.add_argument("--workers", default="2", help="processes at the same time")
    parser.add_argument("--list", action="store_true", help="only say which machines there are")
    chosen = parser.parse_args()
    wanted = chosen_machines(chosen.names)
    if chosen.list:
        print(*(machine.name for machine in wanted), sep="\n")
        return 0
    rows: list[Row] = []
    for machine in wanted:
        print(f"\n== {machine.name}", flush=True)
        rows.append(run_tests(machine, list(QUICK) if chosen.quick else [], chosen.workers))
    print(f"\n{table(rows)}", flush=True)
    return int(not rows or any(row.failed or not row.passed for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
