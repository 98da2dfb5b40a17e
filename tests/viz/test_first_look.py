"""A file of any kind is seen at once, methods are drawn, and results of any kind stand side by side."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import ReadError, SchemaError


def drawn_values(figure) -> list[np.ndarray]:
    return [
        np.ma.getdata(image.get_array()) for axis in figure.axes for image in axis.images if image.get_array().ndim == 2
    ]


def test_a_stack_is_previewed_where_it_absorbs_most():
    stack = pk.io.open_stxm(pk.samples.path("stxm_nvpf"))
    figure = pk.viz.preview_figure(stack)
    assert figure.axes[0].get_title() == "Frame at 524.2 eV"
    np.testing.assert_array_equal(drawn_values(figure)[0], stack["intensity"].sel(energy=524.2).values)


def test_a_scan_is_previewed_as_sums_and_mean():
    scan = pk.io.open_4dstem(pk.samples.path("nmf_grains"))
    total, mean = drawn_values(pk.viz.preview_figure(scan))[:2]
    np.testing.assert_array_equal(total, scan["intensity"].sum(("qy", "qx")).values)
    np.testing.assert_allclose(mean**2, scan["intensity"].mean(("scan_y", "scan_x")).values)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 5, 8, 8), (3, 1, 4, 16)])
@pytest.mark.parametrize("fill", [0.0, 5.0, np.nan])
def test_any_scan_is_previewed(shape, fill):
    scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), np.full(shape, fill))})
    assert len(pk.viz.preview_figure(scan).axes) >= 2


def test_other_data_are_refused_with_the_readers():
    for data in (xr.Dataset(), xr.Dataset({"intensity": ("x", [1.0])})):
        with pytest.raises(SchemaError, match="open_stxm"):
            pk.viz.preview_figure(data)


@pytest.mark.parametrize("method", ["stxm", "nmf", "acom", "virtual"])
def test_a_method_is_drawn_in_three_steps_with_words_for_all(method):
    figure = pk.viz.method_figure(method)
    titles = [axis.get_title() for axis in figure.axes]
    assert [title[:2] for title in titles] == ["1.", "2.", "3."]
    assert len(figure.get_label().split()) > 20
    again = pk.viz.method_figure(method)
    assert [len(axis.get_children()) for axis in again.axes] == [len(axis.get_children()) for axis in figure.axes]


def test_an_unknown_method_is_refused():
    with pytest.raises(SchemaError, match="virtual"):
        pk.viz.method_figure("xrd")


# Results side by side


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of each kind with known numbers: phases of two lists, components, grains."""
    folder = tmp_path_factory.mktemp("results")
    scan = ("scan_y", "scan_x")

    def save(name, **datasets):
        return pk.io.save_results(folder / name / "result.nc", **datasets)

    def phases(index, names, composition):
        map_ = xr.DataArray(np.asarray(index), dims=scan)
        data = {"phase": map_, "status": xr.where(map_ == 0, 3, 0), "composition": map_ * 0.0 + composition}
        return xr.Dataset(data, {"reference": names}, {"schema": "PHASES"})

    first = save("first", phases=phases([[0, 1], [1, -1]], ["Na3", "Na1"], 2.0))
    second = save("second", phases=phases([[0, 0], [0, 0]], ["Na1"], 1.0))
    factors = xr.Dataset({"factor": ("component", np.zeros(4))}, attrs={"schema": "FACTORS"})
    third = save("third", factors=factors)
    grains = xr.Dataset({"diameter": ("grain_number", [10.0, 20.0, 30.0], {"units": "nm"})}, attrs={"schema": "GRAINS"})
    maps = {"phase": (scan, [[0, 0]]), "status": (scan, [[0, 0]])}
    crystal = xr.Dataset(maps, attrs={"schema": "ORIENTATIONS", "phases": json.dumps([{"name": "Ni"}])})
    return [first, second, third, save("fourth", orientations=crystal, grains=grains)]


def test_results_are_put_together_by_the_names_of_their_phases(results):
    table = pk.batch.compare_results(results)
    share = table["phase_fraction"].to_pandas()
    assert list(table["result"].values) == ["first", "second", "third", "fourth"]
    assert share.loc["first"].to_dict() == pytest.approx({"Na3": 1 / 3, "Na1": 2 / 3, "Ni": 0.0})
    assert share.loc["second", "Na1"] == 1.0
    assert share.loc["third"].isna().all()
    assert share.loc["fourth", "Ni"] == 1.0
    assert table["ok_fraction"].values[:2] == pytest.approx([2 / 3, 0.0])
    assert table["composition"].values[:2] == pytest.approx([2.0, 1.0])
    assert float(table["k"].sel(result="third")) == 4
    assert table["grain_diameter"].sel(result="fourth", quantile=0.5).item() == 20.0


def test_folders_of_runs_are_taken_too(results):
    table = pk.batch.compare_results([path.parent for path in results])
    xr.testing.assert_identical(table, pk.batch.compare_results(results))


def test_the_figure_has_a_panel_for_what_there_is(results):
    figure = pk.viz.comparison_figure(pk.batch.compare_results(results))
    assert [axis.get_title() for axis in figure.axes] == ["Phases", "Components", "Grains"]
    rows = [[label.get_text() for label in axis.get_yticklabels()] for axis in figure.axes]
    assert rows == [["first", "second", "fourth"], ["third"], ["fourth"]]
    only = pk.viz.comparison_figure(pk.batch.compare_results(results[:1]))
    assert [axis.get_title() for axis in only.axes] == ["Phases"]


def test_wrong_results_are_refused(results, tmp_path):
    with pytest.raises(SchemaError, match="no result"):
        pk.batch.compare_results([])
    with pytest.raises(SchemaError, match="first"):
        pk.batch.compare_results([results[0], results[0]])
    with pytest.raises(ReadError):
        pk.batch.compare_results([tmp_path / "missing.nc"])
    with pytest.raises(SchemaError, match="compare_results"):
        pk.viz.comparison_figure(xr.Dataset())
    other = pk.io.save_results(tmp_path / "other" / "result.nc", fit=xr.Dataset({"a": ("x", [1.0])}))
    with pytest.raises(SchemaError, match="no result holds"):
        pk.viz.comparison_figure(pk.batch.compare_results([other]))
