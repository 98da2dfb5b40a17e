import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import PROFILE, RADIAL_PROFILES, require
from phasekit.stxm.particles.surfaces import compute_depth
from tests.stxm.shapes import SCAN, composition_map, disc, grid, phases_of, sides, tilted_edge


def maps(values, pixel=(10.0, 10.0), name="x"):
    return xr.Dataset({name: (SCAN, values)}, sides(np.shape(values), pixel))


# ---- along a line


@pytest.mark.parametrize("angle_deg", [0, 17, 45, 90, 133])
def test_a_plane_is_read_exactly_along_any_line(angle_deg):
    y, x = np.mgrid[:50, :60] * 10.0
    data = maps(3.0 * y - 2.0 * x + 5)
    ahead = np.array([np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))])
    start = np.array([250.0, 290.0]) - 60 * ahead
    found = pk.stxm.line_profile(data, tuple(start), tuple(start + 120 * ahead), variable="x", width_nm=50)
    require(found, PROFILE, step="test")
    np.testing.assert_allclose(found["distance"], np.arange(13) * 10.0)
    np.testing.assert_allclose(found["profile"], 3 * found["line_y"] - 2 * found["line_x"] + 5)
    np.testing.assert_allclose(found["line_y"][-1], (start + 120 * ahead)[0])
    assert (found["n_pixels"] == 5).all()


def test_coordinates_may_start_anywhere_fall_or_be_oblong():
    x = np.arange(50.0) * np.ones((40, 1))
    data = maps(x)
    moved = data.assign_coords(scan_y=data["scan_y"] * 2 + 1000, scan_x=data["scan_x"][::-1] - 300)
    for dim in SCAN:
        moved[dim].attrs["units"] = "nm"
    found = pk.stxm.line_profile(moved, (1400, -200), (1400, 100), variable="x", width_nm=60, step_nm=20)
    np.testing.assert_allclose(found["profile"], 49 - (found["line_x"] + 300) / 10)


def test_the_standard_error_is_the_scatter_of_independent_strips():
    rng = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(60):
        data = maps(rng.normal(2.0, 0.3, (30, 40)))
        found = pk.stxm.line_profile(data, (150, 50), (150, 350), variable="x", width_nm=100, independent_nm=10)
        means.append(found["profile"].values)
        errors.append(found["profile_error"].values)
    # the strip of 10 lies between rows, so each value is the mean of two pixels, and neighbours share one
    assert np.std(means) == pytest.approx(0.3 / np.sqrt(10), rel=0.1)
    careful = pk.stxm.line_profile(data, (150, 50), (150, 350), variable="x", width_nm=100)
    np.testing.assert_allclose(careful["profile_error"], np.sqrt(2) * found["profile_error"])
    # two pixels count as one by default, and the stated error then holds
    data = [maps(rng.normal(2.0, 0.3, (30, 40))) for _ in range(60)]
    found = [pk.stxm.line_profile(d, (150, 50), (150, 350), variable="x", width_nm=100) for d in data]
    stated = np.mean([f["profile_error"] for f in found])
    assert stated == pytest.approx(np.std([f["profile"] for f in found]), rel=0.15)


def test_what_is_not_known_stays_unknown_and_a_thin_strip_has_no_error():
    values = np.ones((30, 40))
    values[:, 20:24] = np.nan
    found = pk.stxm.line_profile(maps(values), (150, 50), (150, 350), variable="x", width_nm=10)
    gap = (found["line_x"] >= 200) & (found["line_x"] <= 230)
    assert np.isnan(found["profile"].values[gap.values]).all()
    np.testing.assert_allclose(found["profile"].values[~gap.values], 1.0)
    assert (found["n_pixels"].values[gap.values] == 0).all()
    assert np.isnan(found["profile_error"]).all()


def test_shares_of_a_phase_are_read_from_bool():
    phases = phases_of(np.where(np.arange(40) > 19, 1, 0) * np.ones((30, 1), int))
    found = pk.stxm.line_profile(
        phases.assign(is_na2=phases["phase"] == 1), (300, 100), (300, 700), variable="is_na2", width_nm=200
    )
    np.testing.assert_allclose(found["profile"], np.where(found["line_x"] >= 400, 1.0, 0.0))


def test_lines_and_maps_that_mean_nothing_are_refused():
    phases = phases_of(np.zeros((20, 30), int))
    for arguments, words in (
        (((100, 100), (100, 900)), r"leaves the frame, scan_x -10..590 nm"),
        (((100, 100), (100, 100)), "has no length"),
    ):
        with pytest.raises(SchemaError, match=words):
            pk.stxm.line_profile(phases, *arguments)
    with pytest.raises(SchemaError, match=r"'phase' holds whole numbers \(int16\), which name things"):
        pk.stxm.line_profile(phases, (0, 0), (100, 100), variable="phase")
    with pytest.raises(SchemaError, match="no variable 'salt'"):
        pk.stxm.line_profile(phases, (0, 0), (100, 100), variable="salt")
    with pytest.raises(SchemaError, match=r"'pearson' has dimensions .*needs a map"):
        pk.stxm.line_profile(phases, (0, 0), (100, 100), variable="pearson")
    with pytest.raises(SchemaError, match="needs positive lengths"):
        pk.stxm.line_profile(phases, (0, 0), (100, 100), width_nm=0)
    with pytest.raises(SchemaError, match=r"pk\.stxm\.line_profile makes one"):
        pk.stxm.fit_boundary_width(phases)


# ---- a step


def test_a_step_is_found_with_its_place_and_width():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(40):
        centre, sigma = rng.uniform(250, 350), rng.uniform(25, 60)
        x = np.arange(60) * 10.0
        image = 3 - ndtr((x - centre) / sigma) + rng.normal(0, 0.1, (40, 60))
        line = pk.stxm.line_profile(maps(image), (200, 0), (200, 590), variable="x", width_nm=110)
        found = pk.stxm.fit_boundary_width(line)
        pulls.append(
            (
                (float(found["edge_position"]) - centre) / float(found["edge_position_error"]),
                (float(found["edge_width"]) - 2.563 * sigma) / float(found["edge_width_error"]),
            )
        )
    assert (np.abs(np.mean(pulls, axis=0)) < 0.5).all()
    assert (np.std(pulls, axis=0) < 1.5).all()
    assert (np.std(pulls, axis=0) > 0.5).all()
    assert found["edge_from"] > found["edge_to"]
    require(found, PROFILE, step="test")


def test_a_flat_or_short_profile_has_no_step():
    flat = pk.stxm.line_profile(maps(np.ones((20, 30))), (100, 0), (100, 290), variable="x")
    short = pk.stxm.line_profile(maps(np.eye(20)), (100, 80), (100, 110), variable="x")
    assert np.isnan(pk.stxm.fit_boundary_width(short)["edge_width_seen"])
    found = pk.stxm.fit_boundary_width(flat, probe_fwhm_nm=20)
    # no step at all: its levels agree, whatever the width says
    assert float(found["edge_from"] - found["edge_to"]) == pytest.approx(0, abs=1e-9) or np.isnan(found["edge_from"])
    with pytest.raises(SchemaError, match="probe_fwhm_nm=0"):
        pk.stxm.fit_boundary_width(flat, probe_fwhm_nm=0)


# ---- across a boundary


def test_boundary_profile_is_signed_and_turns_with_the_pair():
    phases, seen = tilted_edge((70, 70), 28, 2.0, 0.6, noise=0.05, rng=np.random.default_rng(2))
    particles = pk.stxm.label_particles(phases)
    one = pk.stxm.boundary_profile(seen, particles, ("Na3", "Na2"))
    other = pk.stxm.boundary_profile(seen, particles, ("Na2", "Na3"))
    require(one, PROFILE, step="test")
    np.testing.assert_allclose(one["profile"], other["profile"][::-1])
    assert float(one["edge_from"]) == pytest.approx(3, abs=0.03)
    assert float(one["edge_to"]) == pytest.approx(2, abs=0.03)
    assert float(one["edge_width"]) == pytest.approx(2.563 * 40, rel=0.1)
    assert float(one["edge_width"]) == pytest.approx(float(other["edge_width"]), rel=1e-3)
    assert abs(float(one["edge_position"])) < 5
    exact = 3 - ndtr(one["distance"] / 40)
    assert float(np.abs(one["profile"] - exact).max()) < 0.1
    chosen = pk.stxm.boundary_profile(seen, particles, ("Na3", "Na2"), particle=0)
    xr.testing.assert_allclose(chosen, one)


def test_boundaries_of_other_phases_do_not_count():
    inside = disc((70, 90), 32)
    column = np.arange(90)
    phase = np.where(inside, np.where(column < 32, 0, np.where(column < 58, 1, 2)), -1)
    exact = np.where(inside, 3.0 - phase, np.nan)
    particles = pk.stxm.label_particles(phases_of(phase))
    found = pk.stxm.boundary_profile(composition_map(exact), particles, ("Na2", "Na1"))
    assert float(found["edge_from"]) == pytest.approx(2)
    assert float(found["edge_to"]) == pytest.approx(1)
    assert float(found["profile"].max()) == 2.0
    assert np.isnan(found["edge_width"])  # a jump
    assert float(found["edge_width_upper"]) < 40
    none = pk.stxm.boundary_profile(composition_map(exact), particles, ("Na3", "Na1"))
    assert np.isnan(none["profile"]).all()
    assert np.isnan(none["edge_position"])
    assert int(none["n_pixels"].sum()) == 0


def test_boundary_settings_are_checked():
    phases, seen = tilted_edge((40, 40), 15, 1.0, 0.0)
    particles = pk.stxm.label_particles(phases)
    for arguments, words in (
        ({"between": ("Na3", "LiFePO4")}, "needs two different references"),
        ({"between": ("Na3", "Na3")}, "needs two different references"),
        ({"between": ("Na3", "Na2"), "particle": 4}, "particle=4, needs one of the 1"),
        ({"between": ("Na3", "Na2"), "reach_nm": -1.0}, "reach_nm=-1"),
    ):
        with pytest.raises(SchemaError, match=words):
            pk.stxm.boundary_profile(seen, particles, **arguments)
    with pytest.raises(SchemaError, match="'reference'"):
        pk.stxm.boundary_profile(seen, particles.drop_vars("reference"), ("Na3", "Na2"))


# ---- from the surface


@pytest.mark.parametrize("radius", [4, 8, 15.5, 28])
def test_depth_is_measured_from_the_outline(radius):
    rng = np.random.default_rng(0)
    means = []
    for centre in 35 + rng.uniform(-0.5, 0.5, (10, 2)):
        far = np.hypot(*grid((70, 70), centre))
        depth = compute_depth(np.where(far < radius, 0, -1), (20.0, 20.0))
        inside = far < radius
        away = depth[inside] / 20 - (radius - far[inside])
        means.append(away.mean())
        assert np.abs(away).max() < 0.6
        assert np.isnan(depth[~inside]).all()
    assert abs(np.mean(means)) < 0.13


def test_core_and_shell_are_told_apart():
    y, x = grid((80, 80))
    radius = np.hypot(y, x)
    shell = 8.0  # px
    values = np.where(radius < 30, np.where(radius < 30 - shell, 3.0, 1.0), np.nan)
    phase = np.where(radius < 30, np.where(radius < 30 - shell, 0, 2), -1)
    phases = phases_of(phase, composition=values)
    found = pk.stxm.radial_profile(phases, pk.stxm.label_particles(phases))
    require(found, RADIAL_PROFILES, step="test")
    depth = found["depth"].values
    np.testing.assert_allclose(found["pooled"].values[depth < (shell - 1) * 20], 1.0)
    np.testing.assert_allclose(found["pooled"].values[depth > (shell + 1) * 20], 3.0)
    np.testing.assert_allclose(found["profile"][0], found["pooled"])
    assert int(found["n_pixels"].sum()) == int((radius < 30).sum())
    assert np.isnan(found["pooled_error"]).all()  # one particle tells no scatter
    # rings of a disc lose 2 pi pixels per pixel of depth
    assert found["n_pixels"].values[0, 5] - found["n_pixels"].values[0, 15] == pytest.approx(20 * np.pi, rel=0.2)


def test_particles_are_the_sample_of_a_pooled_profile():
    rng = np.random.default_rng(3)
    label = np.full((60, 200), -1)
    value = np.full(label.shape, np.nan)
    levels = rng.normal(2, 0.4, 6)
    for index, level in enumerate(levels):
        inside = disc(label.shape, 12, (30, 18 + 32 * index))
        label[inside], value[inside] = index, level
    particles = maps(label).rename(x="particle").assign(domain=(SCAN, label))
    found = pk.stxm.radial_profile(maps(value), particles, variable="x")
    np.testing.assert_allclose(found["profile"].isel(depth=2), levels)
    np.testing.assert_allclose(found["pooled"][2], levels.mean())
    expected = levels.std(ddof=1) / np.sqrt(6)
    np.testing.assert_allclose(found["pooled_error"][2], expected, rtol=1e-6)


def test_a_particle_cut_by_the_frame_hides_its_depth_there():
    label = np.where(disc((40, 80), 25, (0, 40)), 0, -1)
    depth = compute_depth(label, (20.0, 20.0))
    assert np.isnan(depth[0, 40])  # 25 px deep as seen, but half a pixel from the frame
    assert depth[0, 16] == pytest.approx(10)
    known = np.isfinite(depth)
    y, x = np.nonzero(known)
    away = depth[known] / 20 - (25 - np.hypot(y, x - 40))
    assert np.abs(away).max() < 0.6  # what is left is right
    full = compute_depth(np.zeros((6, 6), int), (20.0, 20.0))
    assert np.isnan(full).all()  # no surface in sight


def test_radial_settings_are_checked():
    phases = phases_of(np.where(disc((30, 30), 10), 0, -1))
    particles = pk.stxm.label_particles(phases)
    with pytest.raises(SchemaError, match="bin_nm=0"):
        pk.stxm.radial_profile(phases, particles, bin_nm=0)
    with pytest.raises(SchemaError, match="label_particles makes one"):
        pk.stxm.radial_profile(phases, phases)
    with pytest.raises(SchemaError, match="Take both of one scan"):
        pk.stxm.radial_profile(phases.isel(scan_y=slice(0, 20)), particles)


def test_lazy_maps_give_the_same_inputs_stay_and_files_round_trip(tmp_path):
    phases, seen = tilted_edge((60, 60), 24, 1.5, 0.3, noise=0.1, rng=np.random.default_rng(4))
    particles = pk.stxm.label_particles(phases)
    before = [part.copy(deep=True) for part in (seen, particles)]
    lazy = seen.chunk(scan_y=13, scan_x=17)
    assert isinstance(lazy["composition"].data, da.Array)
    made = {}
    for name, call in {
        "line": lambda data, part: pk.stxm.fit_boundary_width(pk.stxm.line_profile(data, (600, 200), (600, 900))),
        "boundary": lambda data, part: pk.stxm.boundary_profile(data, part, ("Na3", "Na2"), probe_fwhm_nm=20),
        "radial": pk.stxm.radial_profile,
    }.items():
        made[name] = call(seen, particles)
        xr.testing.assert_identical(call(lazy, particles.chunk(scan_y=11)), made[name])
    for part, was in zip((seen, particles), before, strict=True):
        xr.testing.assert_identical(part, was)
    for name, data in made.items():
        for suffix in ("nc", "zarr"):
            pk.io.save(data, tmp_path / f"{name}.{suffix}")
            xr.testing.assert_identical(pk.io.load(tmp_path / f"{name}.{suffix}").compute(), data)
