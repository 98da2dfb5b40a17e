"""Notebooks 04 and 05, run without a screen: from a file to a result, and from results to a table."""

import pytest
import yaml

import phasekit as pk
from phasekit.samples import root

from .answered import assert_answers_are_checked, write_answered

pytestmark = [pytest.mark.notebook, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    """Paths of the notebooks with answers to their exercises, by their first two digits."""
    return write_answered(tmp_path_factory.mktemp("class"))


def run(path, folder, **parameters):
    record = pk.batch.run_notebook(str(path), folder, parameters=parameters)
    assert record["status"] == "ok", record["error"]


CASES = {
    "virtual": {"input_path": "acom_two_phases", "settings": {"bright_field": 0.1}},
    "nmf": {"input_path": "nmf_grains", "settings": {"k_max": 3, "n_runs": 2}},
}


@pytest.mark.parametrize("workflow", CASES)
def test_a_file_becomes_a_result_and_a_table(notebooks, workflow, tmp_path):
    case = {**CASES[workflow], "input_path": str(pk.samples.path(CASES[workflow]["input_path"]))}
    run(notebooks["04"], tmp_path, workflow=workflow, seed=3, **case)
    assert_answers_are_checked(tmp_path / "notebook.ipynb")
    # The settings are those that were asked for, in the form that a batch run reads.
    (job,) = yaml.safe_load((tmp_path / "jobs.yaml").read_text(encoding="utf-8"))
    assert job == {"workflow": workflow, "input_path": case["input_path"], "seed": 3, **case["settings"]}
    (inner,) = (tmp_path / "runs").glob("*/run.json")
    made = pk.batch.load_run(inner.parent / "result.nc")
    kept = pk.batch.load_run(tmp_path / "result.nc")
    assert set(made.data_vars) == set(kept.data_vars)
    columns = (tmp_path / "maps.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert columns[:2] == ["scan_y", "scan_x"]


def test_the_examples_are_compared_and_the_exercise_is_checked(notebooks, tmp_path):
    run(notebooks["05"], tmp_path)
    assert_answers_are_checked(tmp_path / "notebook.ipynb")


def test_results_of_other_runs_are_compared(tmp_path):
    examples = pk.teaching.make_example_results(tmp_path / "mine", workflows=["nmf"], seed=1)
    run(
        root() / "notebooks/05_compare_datasets.ipynb",
        tmp_path / "out",
        result_paths=[str(path.parent) for path in examples],
    )
    table = pk.batch.load_run(tmp_path / "out" / "result.nc")
    assert table["result"].values.tolist() == ["nmf_two_grains", "nmf_three_grains", "nmf_four_grains"]
    assert table["k"].values.tolist() == sorted(table["k"].values)
    assert not (tmp_path / "out" / "examples").exists()
