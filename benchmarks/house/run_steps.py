"""All steps with one copy of phasekit, in this process.

    python -m benchmarks.house.run_steps TREE OUT [WORKFLOW ...]

``TREE`` is the folder of the commit (its ``phasekit`` must be the one that is imported), ``OUT`` gets ``steps.json``
(hashes, dimensions, types, attributes, seconds) and ``values.npz`` (the values themselves). One thread everywhere.
"""

import importlib
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "BLIS_NUM_THREADS")
#: One thread, and sets in one order: the order of a set's words reaches the header of a peaks file.
ENVIRONMENT = dict.fromkeys(_COUNTS, "1") | {"PYTHONHASHSEED": "0"}
WORKFLOWS = ("stxm", "nmf", "acom")


def main() -> None:
    tree, out, *chosen = sys.argv[1:]
    os.environ.update(ENVIRONMENT)
    warnings.simplefilter("ignore")
    import dask
    import numpy as np
    import torch

    import phasekit

    from .steps import Recorder

    torch.set_num_threads(1)
    dask.config.set(scheduler="synchronous")
    if Path(tree).resolve() not in Path(str(phasekit.__file__)).resolve().parents:
        raise SystemExit(f"phasekit is imported from {phasekit.__file__}, not from {tree}. Set PYTHONPATH to it.")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        recorder = Recorder(phasekit, Path(tree).resolve(), Path(scratch).resolve())
        for workflow in chosen or WORKFLOWS:
            module = importlib.import_module(f".steps_{workflow}", __package__)
            try:
                getattr(module, f"run_{workflow}")(recorder, Path(tree).resolve() / "data-samples")
            except Exception as error:  # what was recorded so far is kept
                recorder.fail(f"{workflow} to its end", f"{type(error).__name__}: {error}")
    names = ("numpy", "scipy", "numba", "torch", "scikit-learn", "xarray")
    facts = {"python": platform.python_version(), "versions": {name: version(name) for name in names}}
    seconds = round(time.perf_counter() - start, 1)
    record = {**facts, "seconds": seconds, "steps": recorder.steps}
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "values.npz", **recorder.values)  # type: ignore[arg-type]
    (folder / "steps.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
