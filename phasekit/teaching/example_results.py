"""Small results for the notebook that compares: three of each workflow, made in seconds from simulated data."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

#: State of charge -> numbers of the references of which the particles consist, from sodium-rich to sodium-poor.
_CHARGE = {"discharged": [0, 1, 2], "half_charged": [1, 2, 3], "charged": [2, 3, 4]}
_COMPONENTS = {"two_grains": 2, "three_grains": 3, "four_grains": 4}
_GRAINS = {"fine": 40, "medium": 16, "coarse": 6}


def make_example_results(
    folder: str | os.PathLike[str], *, workflows: Sequence[str] = ("stxm", "nmf", "acom"), seed: int = 0
) -> list[Path]:
    """Write nine small results, each as ``FOLDER/<workflow>_<name>/result.nc``, like those of the other notebooks.

    Particles at three states of charge (stxm), scans of two to four overlapping grains (nmf), and maps of fine, medium
    and coarse grains (acom). All are simulated. The orientation maps are the truth of the simulation itself, because
    matching takes longer than this notebook.

    Parameters
    ----------
    folder
        Folder to write to; it is made.
    workflows
        Workflows whose results are made.
    seed
        Same seed, same results.

    Returns
    -------
    list of pathlib.Path
        The files, in this order.

    See Also
    --------
    phasekit.batch.compare_results : Puts them side by side.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.parent.name for path in make_example_results(folder, workflows=["nmf"])]
    ['nmf_two_grains', 'nmf_three_grains', 'nmf_four_grains']
    """
    from phasekit.io import save_results

    paths = []
    for workflow in workflows:
        make, cases = _MAKERS[workflow]
        for name, setting in cases.items():
            path = Path(folder) / f"{workflow}_{name}" / "result.nc"
            paths.append(save_results(path, storage_options=None, **make(setting, seed)))
    return paths


def _make_phases(references: list[int], seed: int) -> dict[str, xr.Dataset]:
    """Phase map of particles of some references, labelled with all of them."""
    from phasekit import stxm, synthetic

    refs = synthetic.vanadium_references()
    made_of = refs.isel(reference=references)
    stack = synthetic.stxm_stack(shape=(32, 40), n_particles=3, references=made_of, seed=seed, frame_drift_px=0.0)
    od = stxm.optical_density(stack)
    return {"phases": stxm.label_phases(od, None, refs, energy_offset=0.0, seed=seed).compute()}


def _make_factors(n_grains: int, seed: int) -> dict[str, xr.Dataset]:
    """Components of a scan of some grains, with the evidence for their number."""
    from phasekit import nmf, synthetic

    scan = synthetic.overlapping_grains(n_components=n_grains, shape=(16, 16), detector=(32, 32), seed=seed)
    features = nmf.to_features(scan)
    ranks = nmf.scan_ranks(features, range(1, 8), n_runs=3, seed=seed, progress=False)
    factors = nmf.factorise(features, nmf.choose_rank(ranks), seed=seed)
    return {"factors": factors, "ranks": ranks}


def _make_grains(n_grains: int, seed: int) -> dict[str, xr.Dataset]:
    """True orientations of a simulated map, and its grains."""
    from phasekit import acom, synthetic
    from phasekit.synthetic import Specimen

    specimen = Specimen(n_grains=n_grains)
    scan = synthetic.orientation_scan(shape=(40, 48), detector=(32, 32), specimen=specimen, seed=seed)
    known = scan["truth_phase"] >= 0
    score = xr.full_like(known, 100.0, dtype=float).where(known).assign_attrs(units="1")
    maps = {"phase": scan["truth_phase"], "reliability": score, "phase_reliability": score}
    maps |= {"status": (~known).astype("int8")}
    maps |= {"quaternion": scan["truth_quaternion"].expand_dims("match", axis=2)}
    maps |= {"correlation": (score / 100).expand_dims("match", axis=2)}
    phases = json.dumps(json.loads(scan.attrs["phases"]))
    orientations = xr.Dataset(maps, attrs={"phases": phases, "schema": "ORIENTATIONS"})
    return {"orientations": orientations, "grains": acom.label_grains(orientations, min_pixels=4)}


_MAKERS: dict[str, tuple[Callable[..., dict[str, xr.Dataset]], Mapping[str, Any]]] = {
    "stxm": (_make_phases, _CHARGE),
    "nmf": (_make_factors, _COMPONENTS),
    "acom": (_make_grains, _GRAINS),
}
