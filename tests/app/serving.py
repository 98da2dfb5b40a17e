"""A running ``phasekit app``, and small data below its root."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

import phasekit as pk

LIMIT = 300_000  # bytes of an upload


def make_scan(seed=0) -> xr.Dataset:
    return pk.synthetic.overlapping_grains(n_components=3, shape=(10, 12), detector=(32, 32), dose=2000, seed=seed)


def make_stack() -> xr.Dataset:
    """STACK of 5 frames with a dark square."""
    rng = np.random.default_rng(0)
    density = np.array([0.1, 0.2, 0.9, 0.6, 0.3])[:, None, None] * np.pad(np.ones((4, 5)), ((2, 3), (4, 5)))
    counts = rng.poisson(1000 * np.exp(-density)).astype(float)
    coordinates = {"energy": ("energy", [510.0, 514, 518, 522, 526], {"units": "eV"})}
    for dim, n in zip(("scan_y", "scan_x"), counts.shape[1:], strict=True):
        coordinates[dim] = (dim, np.arange(n) * 20.0, {"units": "nm"})
    stack = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), counts, {"units": "counts"})}, coordinates)
    return pk.schema.describe(stack, pk.schema.STACK, step="test", settings={})


def make_factors() -> xr.Dataset:
    """Components of :func:`make_scan`, but for the direct beam, which is the last one."""
    return pk.nmf.truth_as_factors(make_scan()).isel(component=slice(0, 3))


def make_run(folder: Path, source: str, **parameters) -> Path:
    """Run folder of the components of :func:`make_scan`."""
    factors = make_factors()
    folder.mkdir(parents=True)
    pk.io.save_results(folder / "result.nc", factors=factors, overlap=pk.nmf.find_overlap(factors, background=-1))
    write_record(folder, "nmf", {"input_path": source, "threshold": 0.8, **parameters})
    return folder


def write_record(folder: Path, workflow: str, parameters: dict, **others) -> None:
    record = {"workflow": workflow, "status": "ok", "error": None, "title": f"run of {workflow}", **others}
    text = json.dumps({**record, "parameters": parameters})
    (folder / "run.json").write_text(text, encoding="utf-8")


def make_root(top: Path) -> Path:
    """Data root with a scan, a stack, runs, a damaged file, and a secret beside it."""
    root = top / "root"
    root.mkdir()
    (top / "secret").mkdir()
    pk.io.save(make_scan(1), top / "secret" / "scan.nc")
    pk.io.save(make_scan(), root / "scan.nc")
    pk.io.save(make_stack(), root / "stack.nc")
    make_run(root / "runs" / "one", str(root / "scan.nc"))
    make_run(root / "runs" / "far", str(top / "secret" / "other.nc"))
    pk.io.save(make_scan(), top / "secret" / "other.nc")
    (root / "<b>wrong.h5").write_bytes(b"no HDF5 at all" * 10)
    return root


@contextmanager
def serve(root: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address that a server printed, and its process; it ends by Ctrl-C."""
    command = [sys.executable, "-m", "phasekit", "app", "--root", str(root), "--port", "0", "--no-browser", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(root.parent)}
    with (root.parent / "app.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            lines = [server.stdout.readline().strip() for _ in range(3)]
            assert lines[2] == "Ctrl-C ends it.", (lines, (root.parent / "app.log").read_text(encoding="utf-8"))
            yield lines[1], server
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)
                server.wait(20)
            server.stdout.close()
