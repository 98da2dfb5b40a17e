"""One colour, one meaning: phases and status words differ for every kind of colour vision, computed."""

from itertools import combinations

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import AcomStatus, StxmStatus
from phasekit.viz import PHASE_COLOURS, STATUS_COLOURS, display_range, image, panels
from phasekit.viz.linked.pictures import GESTURE
from phasekit.viz.nmf.threshold_explorer import OVERLAP_BLACK
from phasekit.viz.palettes import (
    BOUNDARY_LINES,
    COMPONENT_COLOURS,
    CURVE_COLOURS,
    FURTHER_COMPONENTS,
    GRAIN_COLOURS,
    assign_grain_colours,
    list_component_classes,
)
from phasekit.viz.stxm.threshold_explorer import AMBIGUOUS_GREY

#: Machado, Oliveira and Fernandes (2009), doi 10.1109/TVCG.2009.113: severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
#: sRGB to CIE XYZ (IEC 61966-2-1), and the white D65.
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
#: A difference of 2.3 is just seen (side by side); Okabe and Ito's own colours differ by 16.1 with tritanopia.
LEAST = 15.0


def lab(colour: str, vision: str) -> np.ndarray:
    """CIELAB of a colour as it is seen."""
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    ratio = TO_XYZ @ np.clip(np.asarray(VISION[vision]) @ linear, 0, 1) / WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_computation_knows_white_and_the_unit():
    np.testing.assert_allclose(lab("#FFFFFF", "normal"), [100, 0, 0], atol=0.01)
    np.testing.assert_allclose(lab("#0000FF", "normal"), [32.30, 79.19, -107.86], atol=0.02)  # Lindbloom's calculator
    # red and green of one lightness: far apart, and near each other without the M cones
    pair = "#C05A4B", "#7B7B2E"
    assert np.linalg.norm(lab(pair[0], "normal") - lab(pair[1], "normal")) > 40
    assert np.linalg.norm(lab(pair[0], "deutan") - lab(pair[1], "deutan")) < 20


def list_near(colours, vision, least) -> dict:
    """Pairs of colours that differ by less than ``least``."""
    places = {colour: lab(colour, vision) for colour in colours}
    distances = {pair: float(np.linalg.norm(places[pair[0]] - places[pair[1]])) for pair in combinations(places, 2)}
    return {pair: round(distance, 1) for pair, distance in distances.items() if distance < least}


#: Colours of areas, by what they mean; words of one meaning share one. The gesture is what the user drew.
SCALES = {
    "phases": PHASE_COLOURS,
    "status words": sorted(set(STATUS_COLOURS.values())),
    "components": [*COMPONENT_COLOURS, FURTHER_COMPONENTS],
    "grains": GRAIN_COLOURS,
    "gestures": [GESTURE],
}


@pytest.mark.parametrize("vision", VISION)
def test_all_colours_of_areas_differ_with_every_colour_vision(vision):
    assert not list_near([colour for scale in SCALES.values() for colour in scale], vision, LEAST)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("scale", "least"), [(COMPONENT_COLOURS, 19.0), (GRAIN_COLOURS, 32.0)])
def test_neighbours_in_one_map_differ_more(scale, least, vision):
    assert not list_near(scale, vision, least)


def test_no_colour_has_two_meanings():
    everything = [colour for scale in SCALES.values() for colour in scale]
    assert len(set(everything)) == len(everything)


def test_lines_and_curves_have_no_hue_and_differ_in_form():
    # A hue would mean a phase or a component, and on an orientation map every hue is taken.
    forms = [(colours[0], widths[0], str(dashes)) for _, _, colours, widths, dashes in BOUNDARY_LINES]
    assert len(set(forms)) == len(forms)
    drawn = [colour for line in BOUNDARY_LINES for colour in line[2]] + list(CURVE_COLOURS)
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in drawn)
    for _, _, (line, below), (width, wider), _ in BOUNDARY_LINES:
        assert abs(lab(line, "normal")[0] - lab(below, "normal")[0]) > 90
        assert wider > width + 0.9


@pytest.mark.parametrize("n_grains", [2, 30, 400])
def test_neighbouring_grains_have_different_colours(n_grains):
    rng = np.random.default_rng(n_grains)
    y, x = np.mgrid[:60, :80]
    centres = rng.uniform(0, (60, 80), (n_grains, 2))
    label = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1]).argmin(-1)
    label = np.unique(label, return_inverse=True)[1].reshape(label.shape)
    label[rng.random(label.shape) < 0.02] = -1
    colours = assign_grain_colours(label)
    assert len(colours) == label.max() + 1
    assert set(colours.tolist()) <= set(range(len(GRAIN_COLOURS)))
    for one, other in ((label[:, 1:], label[:, :-1]), (label[1:], label[:-1])):
        border = (one != other) & (one >= 0) & (other >= 0)
        assert not (colours[one[border]] == colours[other[border]]).any()


def test_a_map_without_grains_has_no_colours_and_a_sixth_neighbour_shares_that_of_the_shortest_border():
    assert len(assign_grain_colours([[-1, -1]])) == 0
    # Six grains of which any two touch: rows of pairs. One pair touches in one place only.
    rows = [[i, j] for i in range(6) for j in range(i + 1, 6)]
    rows += [row for row in rows if row != [0, 4]] * 2
    label = np.full((2 * len(rows), 2), -1)
    label[::2] = rows
    colours = assign_grain_colours(label)
    assert sorted(np.bincount(colours).tolist()) == [1, 1, 1, 1, 2]
    assert colours[0] == colours[4]


@pytest.mark.parametrize(("n", "last"), [(3, "2"), (7, "6"), (8, "7"), (9, "7 to 8"), (30, "7 to 29")])
def test_components_behind_the_last_colour_share_one_and_are_named_together(n, last):
    names, colours = list_component_classes(n)
    assert len(names) == len(colours) == min(n, 8)
    assert len(set(colours)) == len(colours)
    assert names[-1] == last
    assert (colours[-1] == FURTHER_COMPONENTS) == (n > 7)


def test_no_status_has_the_colour_of_a_phase():
    assert not set(PHASE_COLOURS) & set(STATUS_COLOURS.values())


@pytest.mark.parametrize("codes", [StxmStatus, AcomStatus])
def test_every_status_word_has_its_own_colour(codes):
    colours = [STATUS_COLOURS[code.name.lower()] for code in codes]
    assert len(set(colours)) == len(colours)


def test_the_explorers_use_the_colours_of_the_maps():
    assert STATUS_COLOURS["ambiguous"].upper() == AMBIGUOUS_GREY.upper()
    assert STATUS_COLOURS["overlap"].upper() == OVERLAP_BLACK.upper()


def test_ok_has_one_colour_in_map_and_bars():
    from phasekit.viz.stxm import maps

    assert [STATUS_COLOURS[code.name.lower()] for code in StxmStatus] == maps.STATUS_COLOURS
    bins = {name: ("composition_bin", values) for name, values in (("bin_low", [0.0, 1]), ("bin_high", [1.0, 2]))}
    both = ("composition_bin", "status_word")
    data = {"count": (both, [[1], [2]]), "weight": (both, [[1.0], [2]], {"units": "nm^2"}), **bins}
    figure = pk.viz.stxm.histogram_figure(xr.Dataset(data, {"status_word": ["ok"]}))
    bar = figure.axes[0].patches[0]
    assert bar.get_facecolor()[:3] == (1.0, 1.0, 1.0)
    assert bar.get_edgecolor()[:3] != (1.0, 1.0, 1.0), "a white bar without an edge is not seen"


# Display ranges


def map_of(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("scan_y", "scan_x"), name="thing")


@pytest.mark.parametrize("size", [10, 32, 100])
@pytest.mark.parametrize("value", [65535.0, 1e12, -1e12])
def test_one_hot_pixel_does_not_hide_a_map(size, value):
    values = np.random.default_rng(size).normal(100, 10, (size, size))
    clean = display_range(values)
    values[size // 2, size // 3] = value
    drawn = image(panels()[1][0, 0], map_of(values))
    spread = clean[1] - clean[0]
    assert drawn.norm.vmax - drawn.norm.vmin < 2 * spread


def test_a_clipped_end_is_an_arrow_of_the_colour_bar():
    values = np.random.default_rng(0).normal(100, 10, (32, 32))
    _figure, grid = panels(1, 2)
    image(grid[0, 0], map_of(values))
    hot = values.copy()
    hot[3, 4] = 60000
    image(grid[0, 1], map_of(hot))
    assert [drawn.colorbar.extend for axis in grid[0] for drawn in axis.images] == ["neither", "max"]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(100.0),
        np.linspace(0, 1, 3),
        np.repeat([0.0, 1.0], [997, 3]),
        np.full(50, 7.0),
        np.geomspace(1, 3, 500),
    ],
)
def test_an_ordinary_map_is_drawn_from_its_smallest_to_its_largest_value(values):
    assert display_range(values) == (values.min(), values.max())


def test_values_that_are_not_finite_do_not_count():
    assert display_range([np.nan, np.inf, 1.0, 3.0]) == (1.0, 3.0)
    assert display_range([np.nan]) == (None, None)
    assert display_range([]) == (None, None)


def test_given_limits_are_kept():
    values = np.random.default_rng(0).normal(100, 10, (32, 32))
    values[3, 4] = 60000
    drawn = image(panels()[1][0, 0], map_of(values), vmin=0, vmax=200)
    assert (drawn.norm.vmin, drawn.norm.vmax) == (0, 200)


@pytest.mark.parametrize("sample", ["stxm_nvpf", "nmf_grains"])
def test_the_first_pictures_of_the_samples_show_more_than_their_hot_pixels(sample):
    if sample == "stxm_nvpf":
        picture = pk.io.open_stxm(pk.samples.path(sample))["intensity"].isel(energy=-1)
    else:
        counts = pk.io.open_4dstem(pk.samples.path(sample))["intensity"]
        picture = counts.isel(qy=slice(0, counts.sizes["qy"] // 3)).sum(("qy", "qx"))
    drawn = image(panels()[1][0, 0], picture.compute())
    shown = np.clip(np.ma.getdata(drawn.norm(np.asarray(drawn.get_array()))), 0, 1)
    assert np.ptp(np.percentile(shown, [5, 95])) > 0.3, "most pixels have nearly the same colour"
