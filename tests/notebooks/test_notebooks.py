"""Each notebook, run once on its sample without a screen, reaches what issue 'First light' asks of it."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import phasekit as pk
from phasekit.batch import find_notebook, notebook_parameters, run_notebook
from phasekit.workflows import list_workflows

from .answered import assert_answers_are_checked, write_answered

pytestmark = [pytest.mark.notebook, pytest.mark.slow, pytest.mark.timeout(900)]
SAMPLES = {workflow.name: workflow.sample for workflow in list_workflows()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Record and folder of a workflow's notebook on its sample, its exercises answered; each is run once."""
    base, done = tmp_path_factory.mktemp("runs"), {}
    answered = write_answered(tmp_path_factory.mktemp("class"))

    def run(workflow: str) -> tuple[dict, Path]:
        if workflow not in done:
            path = answered[find_notebook(workflow).name[:2]]
            done[workflow] = run_notebook(str(path), base / workflow)
        assert done[workflow]["status"] == "ok", done[workflow]["error"]
        return done[workflow], base / workflow

    return run


def result_and_truth(runs, workflow: str) -> tuple[xr.Dataset, xr.Dataset]:
    _, folder = runs(workflow)
    return pk.batch.load_run(folder / "result.nc"), pk.io.load(pk.samples.path(SAMPLES[workflow]))


def test_the_start_notebook_shows_its_previews(runs):
    record, folder = runs("start")
    assert all(cell["seconds"] is not None for cell in record["cells"])
    assert "Three previews" in (folder / "notebook.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("workflow", SAMPLES)
def test_a_notebook_leaves_figures_with_words_and_a_result(runs, workflow):
    record, folder = runs(workflow)
    assert len(record["figures"]) >= 2
    assert record["figures"][0]["file"].startswith("figure_1_")
    for figure in record["figures"]:
        assert len(figure["alt"]) > 15, figure
        with Image.open(folder / figure["file"]) as picture:
            assert min(picture.size) > 200
            assert np.asarray(picture.convert("L")).std() > 5, "an empty picture"
    assert record["numbers"]


@pytest.mark.parametrize("workflow", [*SAMPLES, "start"])
def test_solutions_are_right_and_typical_errors_are_explained(runs, workflow):
    _, folder = runs(workflow)
    assert_answers_are_checked(folder / "notebook.ipynb")


@pytest.mark.parametrize("workflow", SAMPLES)
def test_a_result_tells_its_story(runs, workflow):
    found, _ = result_and_truth(runs, workflow)
    assert "provenance" in found.attrs
    assert not [name for name in found.data_vars if "units" not in found[name].attrs]


@pytest.mark.parametrize("workflow", [*SAMPLES, "start"])
def test_the_sample_is_the_default_and_the_common_parameters_exist(workflow):
    known = notebook_parameters(find_notebook(workflow))
    assert known["interactive"].default is True
    if workflow != "start":
        assert Path(known["input_path"].default).stem == SAMPLES[workflow]
        assert known["output_dir"].default == f"runs/{workflow}"
        assert known["seed"].default == 0
        assert known["reader"].default == {}
    assert not [name for name, found in known.items() if not found.help and name != "interactive"]


def test_stxm_labels_of_unflagged_pixels_are_right(runs):
    found, truth = result_and_truth(runs, "stxm")
    material = truth["truth_phase"].values >= 0
    unflagged = material & (found["status"].values == 0)
    right = found["phase"].values == truth["truth_phase"].values
    assert right[unflagged].mean() >= 0.95
    assert unflagged[material].mean() >= 0.75


def test_stxm_flags_are_worth_something(runs):
    found, truth = result_and_truth(runs, "stxm")
    material = (truth["truth_phase"].values >= 0) & (found["phase"].values >= 0)
    right = found["phase"].values == truth["truth_phase"].values
    flagged = found["status"].values != 0
    assert right[material & ~flagged].mean() > right[material & flagged].mean()


def test_stxm_finds_the_energy_offset_it_was_not_told(runs):
    found, truth = result_and_truth(runs, "stxm")
    made = float(truth.attrs.get("truth_energy_offset", truth.get("truth_energy_offset", np.nan)))
    assert float(found["energy_offset"]) == pytest.approx(made, abs=0.05)


def test_nmf_chooses_the_true_number_and_finds_the_patterns(runs):
    found, truth = result_and_truth(runs, "nmf")
    assert found.sizes["component"] == pk.nmf.truth_as_factors(truth).sizes["component"]
    assert float(pk.nmf.match_components(found, truth)["pattern_cosine"].min()) >= 0.95


def test_acom_finds_phases_and_orientations(runs):
    found, truth = result_and_truth(runs, "acom")
    table = pk.acom.compare_with_truth(found, truth)
    assert float(table["phase_accuracy"]) >= 0.98
    assert float(table["median"].sel(counting="folded")) < 1.5
    assert np.isfinite(table["median"].sel(counting="unfolded"))
