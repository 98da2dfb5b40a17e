"""The explorer: what was chosen, what is drawn from it, and what it says of data it cannot show; without a browser."""

import numpy as np
import pytest
import xarray as xr
import yaml

import phasekit as pk
from phasekit.errors import SchemaError, StxmStatus
from phasekit.viz.explorer import Explorer
from phasekit.viz.linked.gestures import Grid, make_grid, select_pixels
from phasekit.viz.linked.live_map import LiveMap
from phasekit.viz.linked.live_text import make_text
from phasekit.viz.linked.pictures import MapPicture, PlotPicture, encode_map, thin_for_screen
from phasekit.viz.linked.turns import BackgroundTask
from tests.viz.explorer_data import SCAN, make_phases, make_references, make_stack


@pytest.fixture(autouse=True)
def headless():
    pk.viz.setup(interactive=False)
    yield
    pk.viz.setup(interactive=False)


@pytest.fixture(scope="module")
def references():
    return make_references()


@pytest.fixture(scope="module")
def stack():
    return make_stack()


def explore(stack, references, **more) -> Explorer:
    return pk.viz.stxm.explorer(stack[0], od=stack[1], refs=references, **more)


def test_values_hold_everything_and_thresholds_what_the_next_step_takes(stack, references):
    explorer = explore(stack, references, margin=0.01)
    assert explorer.thresholds == {"margin": 0.01, "min_confidence": 0.75}
    assert set(explorer.values) == {"margin", "min_confidence", "show", "pixel", "pins", "region"}
    explorer.choose(margin=0.02, pixel=(3, 4), show="status")
    assert explorer.values["pixel"] == (3, 4)
    flagged = pk.stxm.flag_ambiguous(stack[0], **explorer.thresholds)
    assert yaml.safe_load(explorer.as_parameters()) == {"margin": 0.02, "min_confidence": 0.75}
    explorer.choose(show="phase")
    drawn = explorer.draw("map").values
    greyed = (flagged["status"] == StxmStatus.AMBIGUOUS) & (flagged["phase"] >= 0)
    np.testing.assert_array_equal(drawn.values == 3, greyed.values)
    with pytest.raises(SchemaError, match="no value 'pixle'"):
        explorer.choose(pixle=(0, 0))


def test_the_spectrum_is_that_of_the_pixel_with_its_noise(stack, references):
    phases, od = stack
    explorer = explore(stack, references, planned=[512.0, 518.0])
    pixel = tuple(int(i) for i in np.argwhere(phases["phase"].values == 1)[3])
    explorer.choose(pixel=pixel, pins=[(0, 0), (5, 5)])
    picture = explorer.draw("spectrum")
    lines = {line.name: line for line in picture.lines}
    np.testing.assert_allclose(lines["pixel"].y, od["optical_density"].values[:, *pixel])
    np.testing.assert_allclose(lines["pixel"].error, 0.02)
    assert list(picture.verticals) == [512.0, 518.0]
    assert {"ref1", "ref2", "pin row 0, column 0", "pin row 5, column 5"} <= set(lines)
    assert "ref1" in picture.title
    # The fit of the right reference, shifted by the offset, leaves noise; the next best leaves more.
    residual = {line.name: np.asarray(line.y) for line in explorer.draw("residual").lines}
    assert np.sqrt(np.mean(residual["less ref1"] ** 2)) < 2
    assert np.sqrt(np.mean(residual["less ref2"] ** 2)) > 3


def test_a_curve_under_the_cursor_is_that_of_the_fit(stack, references):
    phases, od = stack
    pixel = tuple(int(i) for i in np.argwhere(phases["phase"].values == 2)[0])
    explorer = explore(stack, references)
    explorer.choose(pixel=pixel)
    curve = next(line for line in explorer.draw("spectrum").lines if line.name == "ref2").y
    one = od.isel(scan_y=[pixel[0]], scan_x=[pixel[1]])
    fit = pk.stxm.fit_references(one, references.sel(reference=["ref2"]), energy_offset=0.2, weighted=True)
    misfit = np.sqrt(np.mean((one["optical_density"].values.ravel() - curve) ** 2))
    np.testing.assert_allclose(misfit, fit["residual"].item(), rtol=1e-6)
    amount, baseline = fit["amount"].item(), fit["baseline"].item()
    shape = references["reference_spectrum"].sel(reference="ref2").interp(energy=od["energy"].values + 0.2).values
    np.testing.assert_allclose(curve, baseline + amount * shape, atol=0.005)  # the fit interpolates with a spline


def test_a_drawn_region_gives_its_mean_with_error_and_label(stack, references):
    phases, od = stack
    explorer = explore(stack, references)
    explorer.choose(region={"x": [-10.0, 90, 90, -10], "y": [-10.0, -10, 50, 50]})
    inside = xr.zeros_like(phases["phase"], dtype=bool)
    inside[:3, :5] = True
    mean = pk.stxm.average_spectrum(od, inside)
    line = explorer.draw("spectrum").lines[-1]
    np.testing.assert_allclose(line.y, od["optical_density"].values[:, :3, :5].mean(axis=(1, 2)))
    np.testing.assert_allclose(line.error, 0.02 / np.sqrt(15))
    found = pk.stxm.match_single_phase(mean, references, energy_offset=0.2)
    assert line.name == f"region, 15 pixels: ref{found['phase'].item()}"
    assert explorer.draw("map").outlines


def test_noise_of_neighbours_that_is_correlated_makes_the_mean_less_certain(stack):
    od = stack[1]
    region = xr.ones_like(od["valid"])
    alone = pk.stxm.average_spectrum(od, region)["noise"]
    together = pk.stxm.average_spectrum(od.assign(noise_correlation=0.25), region)["noise"]
    # Twelve by twenty pixels have 11 * 20 + 12 * 19 pairs of neighbours.
    np.testing.assert_allclose(together / alone, np.sqrt(1 + 2 * 0.25 * (11 * 20 + 12 * 19) / 240))
    with pytest.raises(SchemaError, match="Give as many"):
        pk.stxm.average_spectrum(od, region[:3])


def test_only_what_needs_a_value_is_drawn_again(stack, references):
    explorer = explore(stack, references)
    first = {name: explorer.draw(name) for name in ("map", "spectrum", "residual")}
    explorer.choose(pixel=(1, 1))
    assert explorer.draw("map") is first["map"]
    assert explorer.draw("spectrum") is not first["spectrum"]
    explorer.choose(margin=0.03)
    assert explorer.draw("map") is not first["map"]


def test_the_static_twin_draws_the_same_pictures(stack, references):
    explorer = explore(stack, references, margin=0.01)
    figure = explorer.figure()
    assert next(ax.get_title() for ax in figure.axes) == explorer.read_number()
    assert len(figure.axes) == 3
    assert figure.get_label().endswith(".")


# Gestures


def test_a_pixel_is_found_where_it_is_drawn():
    x = xr.DataArray(np.arange(5) * 20.0, dims="scan_x", name="scan_x")
    grid = make_grid(xr.DataArray(np.arange(3)[::-1] * 10.0, dims="scan_y", name="scan_y"), x)
    for pixel in [(0, 0), (2, 4), (1, 3)]:
        assert grid.find_pixel(*grid.find_centre(pixel)) == pixel
    assert grid.find_centre((0, 0)) == (0.0, 20.0)
    assert grid.find_pixel(1e6, -1e6) == (2, 4)


def test_a_lasso_takes_the_pixels_whose_middle_it_holds():
    grid = Grid(0.0, 1.0, 6, 0.0, 1.0, 4)
    inside = select_pixels(grid, {"x": [1, 3, 3, 1], "y": [1, 1, 3, 3]})
    assert inside.sum() == 4
    assert inside[1:3, 1:3].all()


def test_a_third_pin_replaces_the_oldest_and_a_second_click_removes_one(stack, references):
    explorer, told = open_live(lambda: explore(stack, references))
    for pixel in ((0, 0), (1, 1), (2, 2)):
        told["map"].pin(pixel)
    assert explorer.values["pins"] == [(1, 1), (2, 2)]
    told["map"].pin((1, 1))
    assert explorer.values["pins"] == [(2, 2)]


def open_live(make):
    """A live explorer, and what the browser tells its map."""
    caught = {}
    original = LiveMap.__init__

    def keep(self, name, picture, grid, listeners, width=400):
        caught[name] = listeners
        original(self, name, picture, grid, listeners, width)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveMap, "__init__", keep)
        patch.setattr("phasekit.viz.explorer.is_interactive", lambda: True)
        return make(), caught


# Speed by what is sent


@pytest.mark.parametrize(("n", "shown"), [(64, 64), (512, 512), (513, 257), (2048, 512)])
def test_a_map_sends_at_most_512_pixels_along_each_axis_as_bytes(n, shown):
    phase = xr.DataArray(np.zeros((n, n), np.int8), dims=SCAN)
    thin = thin_for_screen(phase)
    assert thin.shape == (shown, shown)
    data, palette = encode_map(MapPicture(thin, names=["a"], colours=["#000000"]))
    assert data.dtype == np.uint8
    assert data.nbytes <= 512 * 512
    assert len(palette) == 2


def test_one_hot_pixel_does_not_spoil_a_map():
    values = xr.DataArray(np.random.default_rng(0).normal(100, 5, (40, 40)), dims=SCAN)
    values[3, 4] = 60000
    data, _ = encode_map(MapPicture(values, label="counts"))
    assert data.astype(int).std() > 20


# Data that are hard to show


def test_thirty_phases_repeat_the_colours_and_keep_their_names():
    phases = make_phases(n=30)
    explorer = pk.viz.stxm.explorer(phases)
    picture = explorer.draw("map")
    assert len(picture.names) == 31
    data, palette = encode_map(picture)
    assert len(palette) == 32
    assert data.max() <= 31
    explorer.figure()


def test_one_pixel_and_a_map_of_nan_are_shown():
    one = make_phases((1, 1), seed=3)
    assert pk.viz.stxm.explorer(one).draw("map").values.shape == (1, 1)
    empty = make_phases()
    for name in ("margin", "confidence", "composition"):
        empty[name] = empty[name] * np.nan
    empty["phase"] = empty["phase"] * 0 - 1
    explorer = pk.viz.stxm.explorer(empty)
    data, palette = encode_map(explorer.draw("map"))
    assert (data == len(palette) - 1).all()
    assert "nan" in explorer.read_number()
    encode_map(MapPicture(empty["margin"], label="margin"))


def test_a_scan_without_pixels_and_the_wrong_data_are_refused(stack, references):
    phases, od = stack
    with pytest.raises(SchemaError, match="is empty"):
        pk.viz.stxm.explorer(phases.isel(scan_y=slice(0, 0)))
    with pytest.raises(SchemaError, match="'od' has"):
        pk.viz.stxm.explorer(phases, od=od.isel(scan_x=slice(0, 5)))
    with pytest.raises(SchemaError, match="needs REFERENCES"):
        pk.viz.stxm.explorer(phases, od=od, refs=od)
    with pytest.raises(SchemaError, match="needs FACTORS"):
        pk.viz.nmf.explorer(phases)
    with pytest.raises(SchemaError, match="needs ORIENTATIONS"):
        pk.viz.acom.explorer(phases)
    with pytest.raises(SchemaError, match="margin=-1"):
        pk.viz.stxm.explorer(phases, margin=-1)


# Components


@pytest.fixture(scope="module")
def scan():
    return pk.synthetic.overlapping_grains(n_components=3, shape=(14, 16), detector=(32, 32), dose=5000)


@pytest.fixture(scope="module")
def fits(scan):
    return pk.nmf.factorise_ranks(pk.nmf.to_features(scan), [2, 3, 4], progress=False)


def test_the_slider_over_k_changes_map_number_and_parameter(scan, fits):
    explorer = pk.viz.nmf.explorer(fits[3], patterns=scan, fits=fits)
    explorer.choose(k=4)
    expected = 100 * pk.nmf.overlap_fraction(fits[4], 0.75)
    assert explorer.read_number() == f"overlap: {expected:.1f} % of pixels"
    assert yaml.safe_load(explorer.as_parameters()) == {"threshold": 0.75, "n_components": 4}
    overlap = pk.nmf.find_overlap(fits[4])
    drawn = explorer.draw("map").values.values
    np.testing.assert_array_equal(drawn == 4, overlap["overlap"].values)
    assert explorer.draw("loadings").bars.names == ["0", "1", "2", "3"] or "background" in str(
        explorer.draw("loadings")
    )


def test_the_pattern_its_model_and_residual_are_those_of_the_pixel(scan, fits):
    explorer = pk.viz.nmf.explorer(fits[3], patterns=scan)
    explorer.choose(pixel=(4, 5))
    np.testing.assert_allclose(explorer.draw("pattern").values, scan["intensity"][4, 5])
    np.testing.assert_allclose(explorer.draw("loadings").bars.heights, fits[3]["loading"].values[:, 4, 5])
    explorer.choose(pattern="model")
    model = (fits[3]["loading"][:, 4, 5] * fits[3]["factor"]).sum("component", skipna=False)
    np.testing.assert_allclose(explorer.draw("pattern").values, model)
    explorer.choose(pattern="residual")
    residual = explorer.draw("pattern").values
    assert 0.5 < float(residual.std()) < 2


def test_three_components_make_a_composite(scan, fits):
    explorer = pk.viz.nmf.explorer(fits[3], patterns=scan)
    explorer.choose(show="composite", red="2", green="none", blue="0")
    colours = explorer.draw("map").values
    assert colours.shape == (14, 16, 3)
    assert (colours.values[..., 1] == 0).all()
    assert np.corrcoef(colours.values[..., 0].ravel(), fits[3]["loading"].values[2].ravel())[0, 1] > 0.9


def test_votes_are_those_of_the_ranks(scan, fits):
    ranks = pk.nmf.scan_ranks(pk.nmf.to_features(scan), range(1, 5), n_runs=2, progress=False)
    picture = pk.viz.nmf.explorer(fits[3], ranks=ranks).draw("votes")
    assert isinstance(picture, PlotPicture)
    np.testing.assert_allclose(picture.bars.heights, pk.nmf.rank_votes(ranks)["probability"])


def test_factors_of_another_scan_are_refused(scan, fits):
    with pytest.raises(SchemaError, match="'patterns' has the sizes"):
        pk.viz.nmf.explorer(fits[3], patterns=scan.isel(scan_x=slice(0, 8)))
    with pytest.raises(SchemaError, match="is empty"):
        pk.viz.nmf.explorer(fits[3].isel(scan_x=slice(0, 0)))


def test_what_was_slow_is_announced_and_drawn_after_the_rest(stack, references, monkeypatch):
    explorer, _ = open_live(lambda: explore(stack, references))
    page = explorer._pages[0]
    order = []
    for name, live in page.live.items():
        monkeypatch.setattr(live, "show", lambda picture, name=name: order.append(name))
    page.refresh(["map", "spectrum"])
    assert order == ["map", "spectrum"]
    page._cost["map"] = 0.5
    order.clear()
    busy = []
    page._busy.param.watch(lambda event: busy.append(event.new), "object")
    page.refresh(["map", "spectrum"])
    assert order == ["spectrum", "map"]
    assert busy == ["computing ...", ""]


@pytest.mark.parametrize("kind", ["HTML", "Markdown"])
def test_a_new_text_sends_no_style_sheet(kind):
    from bokeh.models import ImportedStyleSheet, InlineStyleSheet

    pane = make_text(kind, "one")
    model = pane.get_root()
    # As in a notebook, where they are sent inline when the pane is shown.
    sheets = [InlineStyleSheet(css="") if isinstance(one, ImportedStyleSheet) else one for one in model.stylesheets]
    model.stylesheets = sheets
    pane.object = "two"
    assert "two" in model.text
    assert all(one is other for one, other in zip(model.stylesheets, sheets, strict=True))


def test_two_displays_of_one_explorer_show_the_same(stack, references):
    explorer, _ = open_live(lambda: explore(stack, references))
    assert explorer.__panel__() is explorer.view
    second = explorer.__panel__()
    assert second is not explorer.view
    explorer.choose(pixel=(2, 2))
    cursors = [page.live["map"].cursor.data for page in explorer._pages]
    assert [(data["iy"], data["ix"]) for data in cursors] == [([2], [2])] * 2
    second.get_root()


def test_a_pattern_with_a_hot_pixel_keeps_its_spots(scan, fits):
    hot = scan.copy(deep=True)
    hot["intensity"] = hot["intensity"].astype(float)
    hot["intensity"][4, 5, 3, 3] = 1e6
    explorer = pk.viz.nmf.explorer(fits[3], patterns=hot)
    explorer.choose(pixel=(4, 5))
    data, _ = encode_map(explorer.draw("pattern"))
    assert (data > 60).sum() > 20


def test_an_error_in_a_slow_view_is_raised_once_and_ends_the_busy_sign():
    calls, told = [], []

    def fail():
        calls.append(1)
        raise ValueError("no such value")

    task = BackgroundTask(fail, told.append)
    with pytest.raises(ValueError, match="no such value"):
        task.request(None)
    assert (len(calls), told, task.is_busy) == (1, [False], False)
