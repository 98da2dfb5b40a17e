"""Figures of particles, profiles, composites, histograms and thickness: what is drawn is what the steps say."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection

import phasekit as pk
from phasekit.errors import SchemaError, StxmStatus, status_attributes
from phasekit.viz.stxm.particles import (
    composite_figure,
    histogram_figure,
    particle_figure,
    profile_figure,
)
from phasekit.viz.stxm.thickness import thickness_figure

N_Y, N_X = 40, 60
NAMES = ["Na3", "Na2", "Na1"]
SCAN = ("scan_y", "scan_x")


@pytest.fixture
def phases() -> xr.Dataset:
    y, x = np.mgrid[:N_Y, :N_X]
    inside = (np.hypot(y - 18, x - 16) < 12) | (np.hypot(y - 22, x - 44) < 11)
    phase = np.where(inside, np.where(x % 28 < 17, 0, 2), -1)
    status = np.where(inside, StxmStatus.OK, StxmStatus.BACKGROUND).astype(np.int8)
    status[inside & (y == 20)] = StxmStatus.AMBIGUOUS
    full = np.where(inside, 1.0, np.nan)
    return xr.Dataset(
        {
            "phase": (SCAN, phase.astype(np.int16)),
            "status": (SCAN, status, status_attributes(StxmStatus)),
            "margin": (SCAN, full),
            "confidence": (SCAN, 0.9 * full),
            "composition": (SCAN, np.where(inside, 3.0 - phase, np.nan)),
            "pearson": ((*SCAN, "reference"), np.repeat(full[..., None], 3, axis=-1)),
        },
        {
            "reference": NAMES,
            "scan_y": ("scan_y", np.arange(N_Y) * 20.0, {"units": "nm"}),
            "scan_x": ("scan_x", np.arange(N_X) * 20.0, {"units": "nm"}),
        },
    )


@pytest.fixture
def particles(phases):
    return pk.stxm.label_particles(phases)


def draws(figure, tmp_path):
    """Render it: what matplotlib only finds out when drawing shows up here."""
    return pk.viz.save_figure(figure, tmp_path / "figure.png", alt="test").stat().st_size > 5000


def test_public_names_are_reached_by_the_workflow():
    for name in ("composite_figure", "histogram_figure", "particle_figure", "profile_figure", "thickness_figure"):
        assert name in pk.viz.stxm.__all__
        assert callable(getattr(pk.viz.stxm, name))


def test_particle_figure_draws_bars_as_long_as_the_fractions(phases, particles, tmp_path):
    rows = pk.stxm.particle_statistics(phases, particles)
    figure = particle_figure(phases, particles, rows)
    map_, bars, status = figure.axes
    assert map_.get_title() == "2 particles, 4 phase domains"
    widths = np.array([bar.get_width() for bar in bars.patches]).reshape(3, 2).T
    np.testing.assert_allclose(widths, rows["phase_fraction"])
    shares = np.array([bar.get_width() for bar in status.patches]).reshape(len(StxmStatus), 2).T
    np.testing.assert_allclose(shares, rows["status_share"])
    assert [text.get_text() for text in status.get_legend().get_texts()] == ["ok", "ambiguous"]
    notes = [text.get_text() for text in bars.texts]
    assert notes[0].startswith(f"{float(rows['diameter'][0]):.0f} nm, x = {float(rows['composition_mean'][0]):.2f}")
    places = {text.get_text(): text.get_position() for text in map_.texts if text.get_text() in ("0", "1")}
    assert places["1"] == pytest.approx((float(rows["centroid_x"][1]), float(rows["centroid_y"][1])))
    assert draws(figure, tmp_path)


def test_outlines_run_along_the_edges_of_the_labels(phases, particles):
    figure = particle_figure(phases, particles, pk.stxm.particle_statistics(phases, particles))
    domains, outline = (c for c in figure.axes[0].collections if isinstance(c, LineCollection))
    label = particles["particle"].values
    edges = (label[1:] != label[:-1]).sum() + (label[:, 1:] != label[:, :-1]).sum()
    segments = np.array(outline.get_segments())
    assert len(segments) == edges
    np.testing.assert_allclose(np.hypot(*(segments[:, 1] - segments[:, 0]).T), 20.0)
    rows = np.nonzero((label == 0).any(axis=1))[0]
    first = segments[segments[..., 0].max(axis=1) < 600]
    assert first[..., 1].min() == pytest.approx(rows.min() * 20 - 10)
    assert first[..., 1].max() == pytest.approx(rows.max() * 20 + 10)
    assert len(domains.get_segments()) > edges


def test_at_most_25_rows_the_largest(phases):
    phase = np.full((80, 80), -1)
    for index in range(36):
        y, x = divmod(index, 6)
        phase[2 + 13 * y : 8 + 13 * y + index % 3, 2 + 13 * x : 8 + 13 * x] = 0
    data = {name: phases[name].dtype for name in ("status", "margin", "confidence", "composition")}
    many = xr.Dataset(
        {name: (SCAN, np.zeros(phase.shape, kind)) for name, kind in data.items()}
        | {"phase": (SCAN, phase), "pearson": ((*SCAN, "reference"), np.ones((80, 80, 3)))},
        {"reference": NAMES, **{d: (d, np.arange(80) * 20.0, {"units": "nm"}) for d in SCAN}},
    )
    particles = pk.stxm.label_particles(many)
    rows = pk.stxm.particle_statistics(many, particles)
    figure = particle_figure(many, particles, rows)
    assert figure.axes[0].get_title() == "36 particles, 36 phase domains"
    shown = [int(text.get_text()) for text in figure.axes[1].get_yticklabels()]
    assert len(shown) == 25
    left_out = np.setdiff1d(np.arange(36), shown)
    assert rows["area"].values[shown].min() >= rows["area"].values[left_out].max()


def test_a_map_without_particles_is_drawn(phases, tmp_path):
    none = phases.assign(phase=xr.full_like(phases["phase"], -1), status=xr.full_like(phases["status"], 1))
    particles = pk.stxm.label_particles(none)
    figure = particle_figure(none, particles, pk.stxm.particle_statistics(none, particles))
    assert figure.axes[0].get_title() == "0 particles, 0 phase domains"
    assert draws(figure, tmp_path)
    assert draws(profile_figure(pk.stxm.radial_profile(none, particles)), tmp_path)
    assert draws(histogram_figure(pk.stxm.composition_histogram(none)), tmp_path)


def test_profile_figure_draws_points_band_and_fit(phases, particles, tmp_path):
    profile = pk.stxm.boundary_profile(phases, particles, ("Na3", "Na1"), probe_fwhm_nm=30)
    figure = profile_figure(profile)
    ax = figure.axes[0]
    assert ax.get_xlabel() == "distance / nm"
    assert ax.get_ylabel() == "composition x"
    assert "not resolved, below" in ax.get_title()
    fit = next(line for line in ax.lines if line.get_label() == "error function")
    np.testing.assert_allclose(fit.get_ydata(), profile["edge"])
    labels = ax.get_legend_handles_labels()[1]
    assert sorted(labels) == ["error function", "mean ± standard error", "± standard deviation"]
    assert draws(figure, tmp_path)
    line = pk.stxm.line_profile(phases, (360, 100), (360, 500))
    assert "error function" not in profile_figure(line).axes[0].get_legend_handles_labels()[1]


def test_a_resolved_width_is_written_with_its_error():
    from scipy.special import ndtr

    x = np.arange(60) * np.ones((40, 1))
    noise = np.random.default_rng(0).normal(0, 0.05, (40, 60))
    side = {d: (d, np.arange(n) * 20.0, {"units": "nm"}) for d, n in (("scan_y", 40), ("scan_x", 60))}
    data = xr.Dataset({"od": (SCAN, ndtr((x - 30) / 2.0) + noise, {"units": "um"})}, side)
    line = pk.stxm.line_profile(data, (400, 200), (400, 1000), variable="od", width_nm=200)
    found = pk.stxm.fit_boundary_width(line, probe_fwhm_nm=40)
    ax = profile_figure(found, label="amount").axes[0]
    assert ax.get_ylabel() == "amount / um"
    assert f"without the probe {float(found['edge_width']):.0f} ± {float(found['edge_width_error']):.0f} nm" in (
        ax.get_title()
    )


def test_radial_figure_shows_each_particle(phases, particles):
    radial = pk.stxm.radial_profile(phases, particles)
    ax = profile_figure(radial).axes[0]
    assert ax.get_xlabel() == "depth under the surface / nm"
    thin = [line for line in ax.lines if line.get_color() == "0.6" and len(line.get_xdata())]
    assert len(thin) == 2
    np.testing.assert_allclose(thin[1].get_ydata(), radial["profile"][1])


def test_composite_is_drawn_as_it_is_with_its_key(phases, tmp_path):
    composite = pk.stxm.rgb_composite(phases, NAMES)
    figure = composite_figure(composite)
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    known = np.isfinite(composite["rgb"].values).all(axis=-1)
    np.testing.assert_allclose(drawn[known], composite["rgb"].values[known])
    assert np.ptp(drawn[~known], axis=-1).max() < 1e-6  # grey
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts[:3] == ["Na3 (full at 0.9)", "Na2 (full at 1)", "Na1 (full at 0.9)"]
    assert texts[3:] == ["Na3 + Na2", "Na3 + Na1", "Na2 + Na1", "none of these", "not known"]
    patches = figure.axes[0].get_legend().get_patches()
    np.testing.assert_allclose(patches[0].get_facecolor()[:3], composite["colour"][0])
    assert draws(figure, tmp_path)


def test_histogram_stacks_to_the_whole(phases, tmp_path):
    histogram = pk.stxm.composition_histogram(phases, bins=10)
    refs = pk.synthetic.vanadium_references(below_one=False)
    figure = histogram_figure(histogram, references=refs)
    ax = figure.axes[0]
    assert ax.get_ylabel() == "area / µm²"
    tops = {}
    for bar in ax.patches:
        low = round(bar.get_x(), 6)
        tops[low] = max(tops.get(low, 0.0), bar.get_y() + bar.get_height())
    expected = histogram["weight"].sum("status_word").values * 1e-6
    np.testing.assert_allclose([tops[round(float(low), 6)] for low in histogram["bin_low"].values], expected)
    assert ax.get_legend_handles_labels()[1] == ["ok", "ambiguous"]
    assert [text.get_text() for text in ax.texts] == ["Na3", "Na2.4", "Na2", "Na1"]
    assert draws(figure, tmp_path)
    thickness = xr.Dataset(dict.fromkeys(("thickness", "thickness_error"), phases["composition"] * 0 + 100))
    by_volume = histogram_figure(pk.stxm.composition_histogram(phases, thickness=thickness))
    assert by_volume.axes[0].get_ylabel() == "volume / µm³"


def test_thickness_figure_shows_tables_only_where_there_are_some(tmp_path):
    energies = np.array([505.0, 508.0, 517.0, 528.0])
    images = ("energy", *SCAN)
    cube = np.random.default_rng(0).uniform(0.1, 0.5, (4, N_Y, N_X))
    od = xr.Dataset(
        {
            "optical_density": (images, cube),
            "noise": (images, np.full(cube.shape, 0.02)),
            "valid": (SCAN, np.ones((N_Y, N_X), bool)),
        },
        {"energy": ("energy", energies, {"units": "eV"})},
    )
    thickness = pk.stxm.thickness_map(od, "Na3V2(PO4)2F3", 3.16)
    figure = thickness_figure(thickness)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["Thickness", "Error by noise", "Spread of tables", "Tables"]
    tables = next(ax for ax in figure.axes if ax.get_title() == "Tables")
    np.testing.assert_allclose(tables.lines[0].get_ydata(), thickness["absorption"][0])
    np.testing.assert_allclose(tables.lines[1].get_xdata(), [505, 508, 528])
    assert draws(figure, tmp_path)
    lean = thickness_figure(thickness[["thickness", "thickness_error"]])
    assert [ax.get_title() for ax in lean.axes if ax.get_title()] == ["Thickness", "Error by noise"]
    nothing = thickness[["thickness", "thickness_error"]] * np.nan
    assert draws(thickness_figure(nothing), tmp_path)


def test_lazy_data_are_drawn_alike(phases, particles):
    rows = pk.stxm.particle_statistics(phases, particles)
    eager = particle_figure(phases, particles, rows).axes[0].images[0].get_array()
    lazy = particle_figure(phases.chunk(scan_y=7), particles.chunk(scan_x=9), rows.chunk())
    np.testing.assert_allclose(lazy.axes[0].images[0].get_array(), eager)


def test_other_data_are_refused_with_a_cure(phases, particles):
    rows = pk.stxm.particle_statistics(phases, particles)
    with pytest.raises(SchemaError, match=r"label_particles makes them"):
        particle_figure(phases, phases, rows)
    with pytest.raises(SchemaError, match=r"particle_statistics makes one"):
        particle_figure(phases, particles, particles)
    for figure, words in (
        (profile_figure, r"pk\.stxm\.line_profile makes one"),
        (composite_figure, r"pk\.stxm\.rgb_composite makes one"),
        (histogram_figure, r"pk\.stxm\.composition_histogram makes one"),
        (thickness_figure, r"pk\.stxm\.thickness_map makes one"),
    ):
        with pytest.raises(SchemaError, match=words):
            figure(phases)
