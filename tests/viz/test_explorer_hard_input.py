"""Data that are hard to show, for the explorer of every workflow: a clear message, or a sensible picture."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal, phase_record
from phasekit.errors import SchemaError
from phasekit.rotations import random
from phasekit.viz.explorer import Explorer
from phasekit.viz.linked.pictures import MapPicture, encode_map
from tests.acom.maps import orientation_map
from tests.viz.explorer_data import SCAN, coordinates, make_phases, make_references, make_stack


@pytest.fixture(autouse=True)
def headless():
    pk.viz.setup(interactive=False)


def make_factors(shape=(6, 7), k=3, detector=(16, 18)) -> xr.Dataset:
    rng = np.random.default_rng(0)
    axes = {dim: (dim, np.arange(n) * 0.1, {"units": "1/angstrom"}) for dim, n in zip(("qy", "qx"), detector)}  # noqa: B905
    data = {"factor": (("component", "qy", "qx"), rng.random((k, *detector))), "loss": ("iteration", [1.0])}
    data["loading"] = (("component", *SCAN), rng.random((k, *shape)), {"units": "counts"})
    return xr.Dataset(data, {"component": np.arange(k), **coordinates(shape), **axes})


def make_map(shape=(6, 7), n_phases=1) -> xr.Dataset:
    """Orientations, one phase after the other."""
    rng = np.random.default_rng(0)
    n = shape[0] * shape[1]
    map_ = orientation_map(random(n, rng).reshape(*shape, 4), np.arange(n).reshape(shape) % n_phases)
    cells = [crystal(f"Ni{i}", 225, (3.5 + 0.01 * i,) * 3 + (90,) * 3, [("Ni", 0, 0, 0)]) for i in range(n_phases)]
    map_["reliability"] = map_["reliability"] * 0 + 50.0
    return map_.assign_attrs(phases=json.dumps([phase_record(cell) for cell in cells]))


def explore_phases(phases: xr.Dataset) -> Explorer:
    return pk.viz.stxm.explorer(phases)


def explore_factors(factors: xr.Dataset) -> Explorer:
    # Two numbers of components, so that all maps can be chosen.
    k = factors.sizes["component"]
    return pk.viz.nmf.explorer(factors, fits={k + 1: make_factors(factors["loading"].shape[1:], k + 1)})


def explore_map(orientations: xr.Dataset) -> Explorer:
    return pk.viz.acom.explorer(orientations)


MAKERS = {
    "stxm": (explore_phases, make_phases),
    "nmf": (explore_factors, make_factors),
    "acom": (explore_map, make_map),
}


def draw_everything(explorer: Explorer) -> None:
    """Every map that can be chosen, as the browser gets it, and the figure of all views."""
    choices = {name: one.options for name, one in explorer._descriptions.items() if hasattr(one, "options")}
    for name, options in choices.items():
        for option in options:
            explorer.choose(**{name: option})
            picture = explorer.draw("map")
            data, palette = encode_map(picture)
            assert data.shape[:2] == picture.values.shape[:2]
            assert picture.is_colours or data.max() < max(len(palette), 256)
    assert isinstance(explorer.draw("map"), MapPicture)
    explorer.figure()


@pytest.mark.parametrize("workflow", MAKERS)
@pytest.mark.parametrize("other", MAKERS)
def test_the_result_of_another_workflow_is_refused_by_name(workflow, other):
    explore, _ = MAKERS[workflow]
    data = MAKERS[other][1]()
    if workflow == other:
        draw_everything(explore(data))
        return
    kind = {"stxm": "PHASES", "nmf": "FACTORS", "acom": "ORIENTATIONS"}[workflow]
    with pytest.raises(SchemaError, match=f"needs {kind}"):
        {"nmf": pk.viz.nmf.explorer}.get(workflow, explore)(data)


@pytest.mark.parametrize("workflow", MAKERS)
@pytest.mark.parametrize("dim", SCAN)
def test_a_scan_without_pixels_is_refused(workflow, dim):
    explore, make = MAKERS[workflow]
    empty = make().isel({dim: slice(0, 0)})
    with pytest.raises(SchemaError, match="is empty"):
        {"nmf": pk.viz.nmf.explorer}.get(workflow, explore)(empty)


@pytest.mark.parametrize("workflow", MAKERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_one_pixel_or_one_line_is_shown(workflow, shape):
    explore, make = MAKERS[workflow]
    explorer = explore(make(shape))
    assert explorer.draw("map").values.shape[:2] == shape
    draw_everything(explorer)


@pytest.mark.parametrize("workflow", MAKERS)
def test_a_map_of_nan_is_shown_as_background(workflow):
    explore, make = MAKERS[workflow]
    data = make()
    for name in {"loading", "quaternion", "reliability", "margin", "confidence", "composition"} & set(data):
        data[name] = data[name] * np.nan
    if "phase" in data:
        data["phase"] = data["phase"] * 0 - 1
    explorer = explore(data)
    picture = explorer.draw("map")
    pixels = encode_map(picture)[0].reshape(data.sizes["scan_y"] * data.sizes["scan_x"], -1)
    assert len(np.unique(pixels, axis=0)) == 1
    draw_everything(explorer)


@pytest.mark.parametrize("workflow", MAKERS)
def test_thirty_phases_or_components_are_shown_and_named(workflow):
    explore, make = MAKERS[workflow]
    data = {"stxm": lambda: make(n=30), "nmf": lambda: make(k=30), "acom": lambda: make(n_phases=30)}[workflow]()
    explorer = explore(data)
    if workflow == "acom":
        assert explorer.draw("map").key.count("<img") == 1
    else:
        names = " ".join(explorer.draw("map").names)
        assert ("ref29" if workflow == "stxm" else "to 29") in names
    draw_everything(explorer)


def test_pixels_of_nan_in_the_stack_and_the_cursor_on_them():
    phases, od = make_stack()
    for name in ("optical_density", "noise"):
        od[name][:, 2, 3] = np.nan
    explorer = pk.viz.stxm.explorer(phases, od=od, refs=make_references())
    explorer.choose(pixel=(2, 3), pins=[(2, 3)])
    explorer.figure()
