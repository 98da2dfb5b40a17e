"""Description of the NMF workflow, read by the command line, batch runs, samples and tests."""

from typing import TYPE_CHECKING

from ..workflows import Sample, Workflow

if TYPE_CHECKING:
    import xarray as xr


def _score_components(result: "xr.Dataset", truth: "xr.Dataset") -> dict[str, str]:
    """Number of components, and how well their patterns match the true ones."""
    from .components.matching import match_components

    cosine = match_components(result, truth)["pattern_cosine"]
    return {
        "true components": str(cosine.size),
        "cosine to true patterns": f"{float(cosine.min()):.3f} worst, {float(cosine.median()):.3f} median",
    }


WORKFLOW = Workflow(
    name="nmf",
    title="Components of a 4D-STEM scan",
    notebook="02_nmf_components.ipynb",
    input="a scan of electron diffraction patterns (4D-STEM)",
    output="its component patterns, how many there are, and where they overlap",
    sample="nmf_grains",
    samples=(
        Sample(
            "nmf_grains",
            ("nmf_grains.nc",),
            "simulated 4D-STEM scan of overlapping grains, number of components known",
            "GPL-3.0-or-later",
            "phasekit.synthetic.recipes_nmf:nmf_grains",
        ),
    ),
    stages=("features", "fitting", "image_metrics", "rank_selection", "components"),
    result="loading",
    score=_score_components,
)
