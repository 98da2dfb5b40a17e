"""Description of the ACOM orientation mapping workflow, read by the command line, batch runs, samples and tests."""

from typing import TYPE_CHECKING

from ..errors import AcomStatus
from ..workflows import Sample, Workflow, format_percent

if TYPE_CHECKING:
    import xarray as xr


def _score_orientations(result: "xr.Dataset", truth: "xr.Dataset") -> dict[str, str]:
    """Phase and orientation of grain interiors, with and without counting 180-degree pairs as right."""
    from .maps.comparison import compare_with_truth

    table = compare_with_truth(result, truth)
    folded, unfolded = (float(table["median"].sel(counting=word)) for word in ("folded", "unfolded"))
    return {
        "phase right, grain interiors": format_percent(float(table["phase_accuracy"])),
        "median disorientation, folded": f"{folded:.2f}°",
        "median disorientation, unfolded": f"{unfolded:.2f}°",
    }


WORKFLOW = Workflow(
    name="acom",
    title="ACOM orientation mapping",
    notebook="03_acom_orientation.ipynb",
    input="a scan of electron diffraction patterns (4D-STEM) and crystal structures",
    output="phase, orientation and reliability of every pixel, and grains",
    sample="acom_two_phases",
    samples=(
        Sample(
            "acom_two_phases",
            ("acom_two_phases.nc", "Ni.cif", "LiFePO4.cif"),
            "simulated precession 4D-STEM scan of nickel and LiFePO4 grains, with the crystal structures",
            "GPL-3.0-or-later",
            "phasekit.synthetic.recipes_acom:acom_two_phases",
        ),
    ),
    stages=("symmetry", "peaks", "calibration", "templates", "matching", "refinement", "maps"),
    status=AcomStatus,
    result="quaternion",
    score=_score_orientations,
)
