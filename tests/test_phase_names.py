"""Maps that were made with different lists of phases are compared and drawn by name, in every figure and score."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis
from phasekit.schema import read_phase_names, renumber_phases, write_phase_names
from phasekit.workflows import list_workflows

SCAN = ("scan_y", "scan_x")
NAMES = ["Na3", "Na2", "Na1"]
TRUE = np.array([[0, 0, 1, 1], [2, 2, -1, -1]])


def phase_map(index: np.ndarray, names: list[str]) -> xr.Dataset:
    """PHASES that knows only some of the phases."""
    map_ = xr.DataArray(index.astype(np.int16), dims=SCAN)
    pearson = (map_ * 0.0).expand_dims(reference=names, axis=2)
    flat = map_ * 0.0 + 1.0
    data = {"phase": map_, "status": map_ * 0, "margin": flat, "confidence": flat, "composition": flat}
    return xr.Dataset({**data, "pearson": pearson})


def true_stack(names: list[str] | None = None) -> xr.Dataset:
    truth = xr.Dataset({"truth_phase": (SCAN, TRUE)})
    return truth if names is None else truth.assign_coords(reference=names)


#: What is left of the true phases when one is left out of the references, and the right answers in their numbers.
REDUCED = {
    "first": (["Na2", "Na1"], [0, 0, 1]),
    "middle": (["Na3", "Na1"], [0, 0, 1]),
    "last": (["Na3", "Na2"], [0, 1, 0]),
}


@pytest.mark.parametrize("case", REDUCED)
@pytest.mark.parametrize("form", ["dataset", "map with names"])
def test_the_figure_of_a_reduced_list_names_the_phase_that_was_not_given(case, form):
    names, _ = REDUCED[case]
    truth = true_stack(NAMES) if form == "dataset" else write_phase_names(true_stack()["truth_phase"], NAMES)
    figure = pk.viz.stxm.phase_figure(phase_map(np.zeros((2, 4)), names), truth=truth)
    key = [text.get_text() for text in figure.legends[0].get_texts()]
    (missing,) = set(NAMES) - set(names)
    assert key == [*names, f"{missing} (not given)", "background"]
    # A phase has the same colour in both maps.
    found, true = (axis.images[0].get_array() for axis in figure.axes[:2])
    here = NAMES.index(names[0])
    np.testing.assert_array_equal(true[here == TRUE][0], found[0, 0])


def test_a_map_of_another_list_without_names_is_refused_with_the_cure():
    with pytest.raises(SchemaError, match="whole dataset"):
        pk.viz.stxm.phase_figure(phase_map(np.zeros((2, 4)), ["Na3", "Na2"]), truth=true_stack()["truth_phase"])


def test_a_dataset_without_truth_is_refused():
    with pytest.raises(SchemaError, match="truth_phase"):
        pk.viz.stxm.phase_figure(phase_map(np.zeros((2, 4)), NAMES), truth=xr.Dataset())


@pytest.mark.parametrize("case", REDUCED)
def test_the_score_of_a_run_counts_by_name(case):
    names, _ = REDUCED[case]
    own = [names.index(name) if name in names else 0 for name in NAMES]
    result = phase_map(np.where(TRUE >= 0, np.array([*own, -1])[TRUE], -1), names)
    score = next(workflow.score for workflow in list_workflows() if workflow.name == "stxm")
    # Two of three phases are right, and each has two of the six pixels.
    assert score(result, true_stack(NAMES))["right of unflagged pixels"] == "66.7 %"


def spectra(names: list[str]) -> xr.Dataset:
    shape = {"Na3": [0.0, 0, 1, 3, 2, 1], "Na2": [0, 1, 3, 2, 2, 1], "Na1": [0, 2, 1, 1, 3, 2]}
    energy = ("energy", np.arange(514.0, 520.0), {"units": "eV"})
    table = (("reference", "energy"), np.array([shape[name] for name in names], dtype=float))
    return xr.Dataset({"reference_spectrum": table}, {"reference": names, "energy": energy})


def density(truth: np.ndarray) -> xr.Dataset:
    refs = spectra(NAMES)
    cube = 0.3 * refs["reference_spectrum"].values[truth].transpose(2, 0, 1)
    cube = cube + np.random.default_rng(0).normal(0, 0.02, cube.shape)
    dims = ("energy", *SCAN)
    data = {"optical_density": (dims, cube), "noise": (dims, np.full(cube.shape, 0.02))}
    return xr.Dataset({**data, "valid": (SCAN, np.ones(truth.shape, bool))}, {"energy": refs["energy"]})


def test_methods_are_compared_with_the_truth_by_name():
    truth = np.arange(144).reshape(12, 12) % 3
    od, names = density(truth), ["Na3", "Na1"]
    stack = xr.Dataset({"truth_phase": (SCAN, truth)}, {"reference": NAMES})
    settings = {"energy_offset": 0.0, "methods": ["NNLS arg-max"]}
    table = pk.stxm.compare_methods(od, spectra(names), stack, **settings)
    # Every third pixel is of the phase that was not given; the others are right.
    assert float(table["accuracy"][0]) == pytest.approx(2 / 3, abs=0.01)
    reversed_ = pk.stxm.compare_methods(od, spectra(NAMES[::-1]), stack, **settings)
    assert float(reversed_["accuracy"][0]) > 0.99
    named = pk.stxm.compare_methods(od, spectra(names), write_phase_names(stack["truth_phase"], NAMES), **settings)
    assert float(named["accuracy"][0]) == float(table["accuracy"][0])


def test_a_phase_map_of_other_references_joins_the_comparison_by_name():
    truth = np.arange(144).reshape(12, 12) % 3
    stack = xr.Dataset({"truth_phase": (SCAN, truth)}, {"reference": NAMES})
    own = phase_map(2 - truth, NAMES[::-1]).assign(energy_offset=0.0)
    table = pk.stxm.compare_methods(density(truth), spectra(NAMES), stack, own, methods=["NNLS arg-max"])
    assert float(table["accuracy"].sel(approach="GMVAE + Pearson")) == 1.0


def test_clusters_are_drawn_in_the_panel_of_their_phase_by_name():
    refs = spectra(NAMES)
    spectrum = refs["reference_spectrum"].rename(reference="cluster").drop_vars("cluster") * 0.2
    map_ = xr.DataArray(np.zeros((2, 2)), dims=SCAN)
    clusters = xr.Dataset({"spectrum": spectrum, "label": map_, "responsibility": map_.expand_dims(cluster=3, axis=2)})
    phases = phase_map(np.zeros((2, 4)), ["Na2", "Na1"]).assign(cluster_phase=("cluster", [0, 0, 1]))
    figure = pk.viz.stxm.spectra_figure(clusters, refs, phases=phases)
    drawn = {ax.get_title(): [text.get_text() for text in ax.get_legend().get_texts()] for ax in figure.axes[:3]}
    assert [len(entries) - 1 for entries in drawn.values()] == [0, 2, 1]


# Orientations


def crystals(*names: str) -> dict[str, str]:
    from phasekit.crystals import crystal, phase_record

    cells = {
        "Ni": crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]),
        "Fe": crystal("Fe", 229, (2.87, 2.87, 2.87, 90, 90, 90), [("Fe", 0, 0, 0)]),
        "Ti": crystal("Ti", 194, (2.95, 2.95, 4.68, 90, 90, 120), [("Ti", 1 / 3, 2 / 3, 0.25)]),
    }
    return {"phases": json.dumps([phase_record(cells[name]) for name in names])}


def orientation_map(index: np.ndarray, *names: str) -> xr.Dataset:
    flat = np.where(index >= 0, 50.0, np.nan)
    data = dict.fromkeys(("reliability", "phase_reliability"), (SCAN, flat))
    data |= {"phase": (SCAN, index), "status": (SCAN, 0 * index)}
    data["quaternion"] = ((*SCAN, "match", "wxyz"), np.tile([1.0, 0, 0, 0], (*index.shape, 1, 1)))
    data["correlation"] = ((*SCAN, "match"), np.ones((*index.shape, 1)))
    return xr.Dataset(data, attrs=crystals(*names))


def true_orientations(*names: str) -> xr.Dataset:
    turned = about_axis([0, 0, 1], np.zeros(TRUE.shape))
    data = {"truth_phase": (SCAN, TRUE), "truth_quaternion": ((*SCAN, "wxyz"), turned)}
    return xr.Dataset(data, attrs=crystals(*names) if names else {})


ORDERS = [("Ni",), ("Fe", "Ti"), ("Ti", "Ni"), ("Ti", "Fe", "Ni")]


@pytest.mark.parametrize("given", ORDERS, ids="-".join)
def test_orientations_are_scored_and_drawn_by_name(given):
    true = ("Ni", "Fe", "Ti")
    table = {i: given.index(name) if name in given else 0 for i, name in enumerate(true)} | {-1: -1}
    found = orientation_map(np.vectorize(table.__getitem__)(TRUE), *given)
    truth = true_orientations(*true)
    assert float(pk.acom.compare_with_truth(found, truth)["phase_accuracy"]) == pytest.approx(len(given) / 3)
    figure = pk.viz.acom.orientation_figure(found, truth)
    panel = next(axis for axis in figure.axes if axis.get_title() == "truth: phase")
    key = [text.get_text() for text in panel.get_legend().get_texts()]
    assert set(key) == {*given, "vacuum", *(f"{name} (not given)" for name in true if name not in given)}


def test_a_truth_without_names_has_the_numbers_of_the_map():
    found = orientation_map(TRUE, "Ni", "Fe", "Ti")
    assert float(pk.acom.compare_with_truth(found, true_orientations())["phase_accuracy"]) == 1.0


def test_the_score_of_a_run_survives_a_phase_left_out():
    score = next(workflow.score for workflow in list_workflows() if workflow.name == "acom")
    numbers = score(orientation_map(np.zeros_like(TRUE), "Ni"), true_orientations("Ni", "Fe", "Ti"))
    assert numbers["phase right, grain interiors"] == "33.3 %"


# Where names come from


@pytest.mark.parametrize("make", [pk.synthetic.stxm_stack, pk.synthetic.mixture_stack])
def test_a_simulated_stack_gives_its_truth_names(make):
    stack = make(shape=(24, 32), n_particles=2)
    assert read_phase_names(stack["truth_phase"]) == [str(name) for name in stack["reference"].values]


def test_the_sample_keeps_its_names_when_the_map_is_taken_out():
    stack = pk.io.open_stxm(pk.samples.path("stxm_nvpf"))
    assert read_phase_names(stack.get("truth_phase")) == ["Na3", "Na2.4", "Na2", "Na1", "Na0.5"]


def test_names_survive_files(tmp_path):
    map_ = write_phase_names(true_stack()["truth_phase"], ["LiFePO4 (ordered)", "Na₂", "α"])
    for name in ("map.nc", "map.zarr"):
        back = pk.io.load(pk.io.save(map_.to_dataset(), tmp_path / name))
        assert read_phase_names(back["truth_phase"]) == ["LiFePO4 (ordered)", "Na₂", "α"]


def test_renumbering_keeps_equal_lists_and_refuses_numbers_without_a_name():
    map_ = xr.DataArray([0, 1, -1])
    assert renumber_phases(map_, ["a", "a"], ["a", "a"], step="x")[0].values.tolist() == [0, 1, -1]
    assert renumber_phases(xr.DataArray([np.nan, 1.0]), ["a", "b"], ["b"], step="x")[0].values.tolist() == [-1, 0]
    with pytest.raises(SchemaError, match="phase index 1"):
        renumber_phases(map_, None, ["a"], step="x")
