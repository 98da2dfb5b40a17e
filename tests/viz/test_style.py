"""Maps are drawn where they are, in colours everybody can tell apart, and never without words."""

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from phasekit.errors import SchemaError
from phasekit.viz import BACKGROUND_GREY, PHASE_COLOURS, categorical, image, panels, save_figure, scale_bar
from phasekit.viz.style import round_length


def scan(values, step=20.0):
    values = np.asarray(values)
    sizes = dict(zip(("scan_y", "scan_x"), values.shape, strict=False))
    coords = {dim: (dim, step * np.arange(n), {"units": "nm"}) for dim, n in sizes.items()}
    return xr.DataArray(values, dims=("scan_y", "scan_x", "rgb")[: values.ndim], coords=coords, name="thing")


def axes():
    return panels()[1][0, 0]


def test_pixels_reach_half_a_step_around_their_centres_and_y_points_down():
    ax = axes()
    drawn = image(ax, scan(np.zeros((3, 5))))
    assert tuple(drawn.get_extent()) == (-10.0, 90.0, 50.0, -10.0)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert ax.get_aspect() == 1.0


def test_a_non_square_map_is_not_turned():
    values = np.zeros((2, 4))
    values[0, 3] = 1
    drawn = image(axes(), scan(values))
    np.testing.assert_array_equal(drawn.get_array(), values)


def test_the_input_is_untouched_and_lazy_data_are_drawn():
    dask = pytest.importorskip("dask.array")
    values = scan(np.arange(12.0).reshape(3, 4))
    before = values.copy(deep=True)
    eager, lazy = image(axes(), values), image(axes(), values.copy(data=dask.from_array(values.values, chunks=2)))
    np.testing.assert_array_equal(eager.get_array(), lazy.get_array())
    xr.testing.assert_identical(values, before)


def test_the_colour_bar_names_quantity_and_unit():
    figure, grid = panels()
    array = scan(np.eye(3)).assign_attrs(long_name="peak intensity", units="counts")
    image(grid[0, 0], array)
    assert figure.axes[1].get_ylabel() == "peak intensity [counts]"
    figure, grid = panels()
    image(grid[0, 0], array, label="")
    assert len(figure.axes) == 1


def test_colours_are_drawn_as_they_are():
    colours = np.random.default_rng(0).random((3, 4, 3))
    np.testing.assert_array_equal(image(axes(), scan(colours)).get_array(), colours)


def test_what_is_no_map_is_refused():
    with pytest.raises(SchemaError, match="needs a map"):
        image(axes(), xr.DataArray(np.zeros((2, 3, 5)), dims=("energy", "scan_y", "scan_x")))


def test_detector_axes_carry_their_unit():
    ax = axes()
    coords = {dim: (dim, [-1.0, 0.0, 1.0], {"units": "1/angstrom"}) for dim in ("qy", "qx")}
    image(ax, xr.DataArray(np.eye(3), dims=("qy", "qx"), coords=coords))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("qx [1/Å]", "qy [1/Å]")


def test_categories_get_their_colours_and_nothing_is_grey():
    from matplotlib.colors import to_rgb

    drawn = categorical(axes(), scan(np.array([[0.0, 2.0], [-1.0, np.nan]])), ["a", "b", "c"])
    shown = drawn.get_array()
    np.testing.assert_allclose(shown[0, 0], to_rgb(PHASE_COLOURS[0]))
    np.testing.assert_allclose(shown[0, 1], to_rgb(PHASE_COLOURS[2]))
    np.testing.assert_allclose(shown[1], [to_rgb(BACKGROUND_GREY)] * 2)


def test_the_legend_names_only_what_occurs():
    ax = axes()
    categorical(ax, scan([[0, 2], [2, 2]]), ["a", "b", "c"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "c"]


def test_an_index_without_a_name_is_refused():
    with pytest.raises(SchemaError, match="index 3"):
        categorical(axes(), scan([[3]]), ["a", "b"])


def lightness(colour):
    from matplotlib.colors import to_rgb

    return np.dot([0.2126, 0.7152, 0.0722], np.asarray(to_rgb(colour)) ** 2.2)


def seen_by_a_deuteranope(colour):
    """Colour in linear light as Vienot, Brettel & Mollon (1999) simulate deuteranopia, columns of their matrix."""
    from matplotlib.colors import to_rgb

    matrix = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    return matrix @ np.asarray(to_rgb(colour)) ** 2.2


def test_phase_colours_differ_also_without_green_cones():
    seen = np.array([seen_by_a_deuteranope(colour) for colour in (*PHASE_COLOURS, BACKGROUND_GREY)])
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert apart[~np.eye(len(seen), dtype=bool)].min() > 0.05


@pytest.mark.parametrize(("step", "text"), [(1.0, "20 nm"), (20.0, "500 nm"), (80.0, "2 µm"), (0.25, "5 nm")])
def test_the_scale_bar_is_round_and_true(step, text):
    ax = axes()
    scale_bar(ax, scan(np.zeros((2, 100)), step)["scan_x"])
    assert ax.texts[0].get_text() == text
    number, unit = text.split()
    assert ax.patches[0].get_width() * 100 * step == pytest.approx(float(number) * {"nm": 1, "µm": 1000}[unit])


def test_round_lengths_are_1_2_5_and_never_longer():
    for length in np.geomspace(1e-3, 1e6, 200):
        found = round_length(length)
        assert length / 2.5 < found <= length * (1 + 1e-9)
        assert round(found / 10.0 ** np.floor(np.log10(found) + 1e-9), 6) in (1, 2, 5)


def test_a_saved_figure_keeps_its_words_and_replaces_only_when_complete(tmp_path):
    figure, _ = panels()
    path = save_figure(figure, tmp_path / "new/figure_1.png", alt="A map of nothing — with a dash.")
    with Image.open(path) as picture:
        assert picture.info["Description"] == "A map of nothing — with a dash."
    before = path.read_bytes()
    figure.savefig = None  # a drawing that fails half way
    with pytest.raises(TypeError):
        save_figure(figure, path, alt="Another one.")
    assert path.read_bytes() == before
    with pytest.raises(SchemaError, match="alt"):
        save_figure(figure, path, alt="  ")


def test_figures_leave_nothing_open():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    for _ in range(25):
        image(axes(), scan(np.eye(2)))
    assert plt.get_fignums() == before
