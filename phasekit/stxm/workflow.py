"""Description of the STXM workflow, read by the command line, batch runs, samples and tests."""

from typing import TYPE_CHECKING

from ..errors import StxmStatus
from ..schema import read_phase_names, renumber_phases
from ..workflows import Sample, Workflow, format_percent

if TYPE_CHECKING:
    import xarray as xr


def _score_phases(result: "xr.Dataset", truth: "xr.Dataset") -> dict[str, str]:
    """Share of the unflagged pixels with the right phase, and share of the material that is unflagged."""
    material = (truth["truth_phase"] >= 0).values
    true_phase, found_names = truth["truth_phase"], read_phase_names(result)
    # The result may have been made without some of the true phases: names decide, not numbers.
    if found_names is not None:
        true_phase, _ = renumber_phases(true_phase, read_phase_names(truth), found_names, step="score")
    unflagged = material & (result["status"] == StxmStatus.OK).values
    right = (result["phase"] == true_phase.values).values
    return {
        "right of unflagged pixels": format_percent(float(right[unflagged].mean())),
        "unflagged of material": format_percent(float(unflagged[material].mean())),
    }


WORKFLOW = Workflow(
    name="stxm",
    title="STXM phase mapping",
    notebook="01_stxm_phase_map.ipynb",
    input="an X-ray image stack (one image per photon energy) and reference spectra",
    output="a phase for every pixel, with a confidence and a status",
    sample="stxm_nvpf",
    samples=(
        Sample(
            "stxm_nvpf",
            ("stxm_nvpf.nc", "stxm_nvpf_references.csv"),
            "simulated V L-edge STXM stack of NaxV2(PO4)2F3 particles, with its reference spectra",
            "GPL-3.0-or-later",
            "phasekit.synthetic.recipes_stxm:stxm_nvpf",
        ),
    ),
    stages=("preprocessing", "reference_spectra", "planning", "clustering", "phase_map", "comparison", "particles"),
    status=StxmStatus,
    result="pearson",
    score=_score_phases,
)
