import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import phasekit as pk
from phasekit.errors import SchemaError, StxmStatus
from phasekit.schema import PARTICLE_STATISTICS, PARTICLES, require
from phasekit.stxm.particles.outlines import LINE_FAMILIES, compute_line_weights, measure_boundaries, measure_outlines
from tests.stxm.shapes import NAMES, SCAN, composition_map, disc, grid, phases_of, sides, tilted_edge


def n_particles(found):
    return int(found["particle"].max()) + 1


# ---- particles


@pytest.mark.parametrize(("distance", "parts"), [(20, 1), (23, 1), (29, 2), (31, 2)])
def test_touching_discs_are_cut_where_their_neck_is_narrow(distance, parts):
    # radius 16: the neck's half-width is sqrt(16^2 - (distance / 2)^2), 0.75 of the radius at a distance of 21
    shape = (60, 90)
    both = disc(shape, 16, (30, 30)) | disc(shape, 16, (30, 30 + distance))
    found = pk.stxm.label_particles(phases_of(np.where(both, 0, -1)))
    assert n_particles(found) == parts
    if parts == 2:  # the cut runs where the discs meet
        columns = np.nonzero(found["particle"].values == 0)[1]
        assert columns.max() == pytest.approx(30 + distance / 2, abs=1.5)
    whole = pk.stxm.label_particles(phases_of(np.where(both, 0, -1)), split=False)
    assert n_particles(whole) == 1
    np.testing.assert_array_equal(whole["particle"] >= 0, both)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_one_neck_serves_small_and_large_particles(scale):
    shape = (30 * scale, 50 * scale)
    for distance, parts in ((9, 1), (16, 2)):
        both = disc(shape, 8 * scale, (15 * scale, 15 * scale)) | disc(
            shape, 8 * scale, (15 * scale, (15 + distance) * scale)
        )
        assert n_particles(pk.stxm.label_particles(phases_of(np.where(both, 0, -1)))) == parts


@pytest.mark.parametrize("seed", range(5))
def test_a_rough_outline_or_a_rod_is_not_cut(seed):
    rng = np.random.default_rng(seed)
    y, x = grid((80, 120))
    rough = ndimage.gaussian_filter(rng.standard_normal(y.shape), 1.5) * 6
    ellipse = np.hypot(y / 18, x / 34) + rough / 34 < 1
    rod = (np.abs(y) < 7 + 0.5 * rough) & (np.abs(x) < 50)
    for drawn in (ellipse, rod):
        piece, _ = ndimage.label(drawn)
        mask = ndimage.binary_fill_holes(piece == np.bincount(piece[piece > 0]).argmax())
        assert n_particles(pk.stxm.label_particles(phases_of(np.where(mask, 0, -1)))) == 1


def test_distances_are_in_nm_so_that_oblong_pixels_cut_alike():
    square, oblong = (60, 90), (120, 90)
    for distance, parts in ((20, 1), (30, 2)):
        both = disc(square, 16, (30, 30)) | disc(square, 16, (30, 30 + distance))
        y, x = np.mgrid[: oblong[0], : oblong[1]].astype(float)
        stretched = (np.hypot(y / 2 - 30, x - 30) < 16) | (np.hypot(y / 2 - 30, x - 30 - distance) < 16)
        found = pk.stxm.label_particles(phases_of(np.where(stretched, 0, -1), pixel=(10.0, 20.0)))
        assert n_particles(found) == parts
        assert n_particles(pk.stxm.label_particles(phases_of(np.where(both, 0, -1)))) == parts


def test_small_things_are_left_out_holes_are_filled_and_thick_middles_belong():
    inside = disc((50, 60), 15, (25, 25))
    inside[2:5, 50:53] = True  # 9 pixels
    phase = np.where(inside, 0, -1)
    phase[20, 20] = phase[25:31, 25:31] = -1  # one lost pixel, and a hole of 36
    thick = np.zeros_like(inside)
    thick[25:31, 25:31] = True
    status = np.where(thick, StxmStatus.TOO_THICK, np.where(phase >= 0, StxmStatus.OK, StxmStatus.BACKGROUND))
    found = pk.stxm.label_particles(phases_of(phase, status=status))
    assert n_particles(found) == 1
    np.testing.assert_array_equal(found["particle"] >= 0, disc((50, 60), 15, (25, 25)))
    assert (found["domain"].values[thick] == -1).all()
    rows = pk.stxm.particle_statistics(phases_of(phase, status=status), found)
    assert rows["status_share"].sel(status_word="too_thick").item() == pytest.approx(36 / rows["n_pixels"].item())
    assert rows["phase_fraction"].sel(reference="Na3").item() == 1.0
    np.testing.assert_allclose(rows["phase_fraction_low"].values[0], [1 - 37 / rows["n_pixels"].item(), 0, 0])
    np.testing.assert_allclose(rows["phase_fraction_high"].values[0], [1, *[37 / rows["n_pixels"].item()] * 2])
    open_hole = pk.stxm.label_particles(phases_of(phase), max_hole_px=0)
    assert int((open_hole["particle"] >= 0).sum()) == int(inside.sum()) - 9 - 37
    assert n_particles(pk.stxm.label_particles(phases_of(phase), min_area_px=9)) == 2


def test_particles_are_numbered_in_reading_order():
    inside = disc((60, 90), 8, (40, 12)) | disc((60, 90), 8, (12, 70)) | disc((60, 90), 8, (15, 20))
    label = pk.stxm.label_particles(phases_of(np.where(inside, 0, -1)))["particle"].values
    assert [label[12, 70], label[15, 20], label[40, 12]] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["nothing", "one pixel", "one phase", "one row"])
def test_degenerate_maps_work_and_survive_a_file(kind, tmp_path):
    phase = np.full((1 if kind == "one row" else 20, 24), -1)
    if kind == "one pixel":
        phase[7, 9] = 1
    if kind == "one phase":
        phase[disc((20, 24), 8)] = 2
    if kind == "one row":
        phase[0, 3:15] = 0
    phases = phases_of(phase)
    found = pk.stxm.label_particles(phases, min_area_px=1)
    fitted = composition_map(phases["composition"].values)
    rows = pk.stxm.particle_statistics(phases, found, fitted=fitted, probe_fwhm_nm=30)
    n = 0 if kind == "nothing" else 1
    assert rows.sizes["particle_number"] == n_particles(found) == n
    if n:
        assert rows["area"].item() == 400 * (phase >= 0).sum()
        assert rows["phase_fraction"].max().item() == 1.0
        assert rows["boundary_total"].item() == 0.0
        assert np.isnan(rows["transition_width"]).all()
    radial = pk.stxm.radial_profile(phases, found)
    for suffix in ("nc", "zarr"):
        for number, data in enumerate((found, rows, radial)):
            path = tmp_path / f"{number}.{suffix}"
            pk.io.save(data, path)
            xr.testing.assert_identical(pk.io.load(path).compute(), data)


# ---- domains


def test_a_line_drawn_by_blur_is_no_domain_and_a_thin_shell_is_one():
    y, x = grid((60, 60))
    radius = np.hypot(y, x)
    phase = np.where(radius < 24, np.where(x > 0, 2, 0), -1)
    line = phase.copy()
    line[(radius < 24) & (np.abs(x) < 1.1)] = 1
    found = pk.stxm.label_particles(phases_of(line))
    assert sorted(found["domain_phase"].values.tolist()) == [0, 2]
    np.testing.assert_allclose(found["domain_area"].sum(), 400 * (radius < 24).sum())
    literal = pk.stxm.label_particles(phases_of(line), min_domain_width_px=1)
    assert sorted(literal["domain_phase"].values.tolist()) == [0, 1, 2]
    clean, doubled = (pk.stxm.particle_statistics(phases_of(line), p)["boundary_total"] for p in (found, literal))
    assert clean.item() == pytest.approx(48 * 20, rel=0.03)
    assert doubled.item() == pytest.approx(2 * 48 * 20, rel=0.05)
    shell = np.where(radius < 24, np.where(radius > 22.4, 1, 0), -1)
    kept = pk.stxm.label_particles(phases_of(shell))
    assert sorted(kept["domain_phase"].values.tolist()) == [0, 1]


def test_lone_misnamed_pixels_are_no_domains():
    rng = np.random.default_rng(0)
    inside = disc((60, 60), 24)
    phase = np.where(inside, 0, -1)
    phase[inside & (rng.random(inside.shape) < 0.05)] = 1
    found = pk.stxm.label_particles(phases_of(phase))
    assert found["domain_phase"].values.tolist() == [0]
    # the fraction is that of the map all the same
    share = (phase == 1).sum() / inside.sum()
    assert float(pk.stxm.particle_statistics(phases_of(phase), found)["phase_fraction"][0, 1]) == pytest.approx(share)


# ---- lengths


@pytest.mark.parametrize(("steps", "worst"), [((20.0, 20.0), 0.015), ((20.0, 30.0), 0.04)])
def test_straight_lines_at_any_angle_have_their_length(steps, worst):
    angle = np.radians(np.arange(0, 180, 0.5))
    normal = np.stack([np.cos(angle), -np.sin(angle)])
    vectors = np.array(LINE_FAMILIES) * steps
    crossings = np.abs(vectors @ normal) / np.prod(steps)  # per length
    length = compute_line_weights(steps) @ crossings
    assert np.abs(length - 1).max() < worst
    assert abs(length.mean() - 1) < 1e-4


@pytest.mark.parametrize(("radius", "bias"), [(3, 0.035), (5, 0.012), (10, 0.005), (40, 0.002)])
def test_circles_have_their_length(radius, bias):
    rng = np.random.default_rng(1)
    found = []
    for centre in 50 + rng.uniform(-0.5, 0.5, (40, 2)):
        label = np.where(disc((100, 100), radius, centre), 0, -1).astype(np.int32)
        found.append(measure_outlines(label, (20.0, 20.0), 1)[0][0] / (2 * np.pi * radius * 20))
    assert abs(np.mean(found) - 1) < bias
    # a count of pixel edges would give 4 / pi
    assert np.max(found) < 1.1


@pytest.mark.parametrize("angle_deg", [0, 11, 22.5, 30, 45, 70])
def test_a_tilted_boundary_ends_on_the_surface_without_loss(angle_deg):
    phases, _ = tilted_edge((80, 80), 30, 1.0, np.radians(angle_deg))
    rows = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases))
    assert rows["boundary_total"].item() == pytest.approx(60 * 20, rel=0.02)
    length = rows["boundary_length"].values[0]
    np.testing.assert_allclose(length, length.T)
    assert length[0, 1] == rows["boundary_total"].item()


def test_lengths_turn_with_the_map_and_touching_particles_share_theirs():
    rng = np.random.default_rng(3)
    blobs = ndimage.gaussian_filter(rng.standard_normal((60, 60)), 4)
    phase = np.where(disc((60, 60), 26), (blobs > 0).astype(np.int32), -1).astype(np.int32)
    label = np.where(phase >= 0, 0, -1).astype(np.int32)
    plain = measure_boundaries(phase, label, (20.0, 20.0), (1, 2))
    turned = measure_boundaries(np.rot90(phase).copy(), np.rot90(label).copy(), (20.0, 20.0), (1, 2))
    np.testing.assert_allclose(plain, turned, rtol=2e-3)
    halves = np.where(disc((60, 60), 26), (np.arange(60) > 29).astype(np.int32), -1).astype(np.int32)
    perimeter, contact = measure_outlines(halves, (20.0, 20.0), 2)
    np.testing.assert_allclose(contact, 52 * 20, rtol=0.04)
    np.testing.assert_allclose(perimeter, (np.pi * 26 + 52) * 20, rtol=0.02)
    apart = measure_boundaries((halves >= 0) * halves, halves, (20.0, 20.0), (2, 2))
    assert apart.sum() == 0  # phases of two particles have no boundary


# ---- statistics


def test_a_disc_is_described():
    shape = (70, 90)
    phases = phases_of(np.where(disc(shape, 20, (30, 50)), 0, -1))
    rows = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases))
    require(rows, PARTICLE_STATISTICS, step="test")
    assert rows["diameter"].item() == pytest.approx(800, rel=0.01)
    assert rows["perimeter"].item() == pytest.approx(np.pi * 800, rel=0.01)
    assert (rows["centroid_y"].item(), rows["centroid_x"].item()) == pytest.approx((600, 1000))
    assert not rows["touches_border"].item()
    assert rows["contact_length"].item() == 0
    assert rows["composition_mean"].item() == 3.0
    assert "transition_width" not in rows
    assert "volume" not in rows
    cut = phases_of(np.where(disc(shape, 20, (10, 50)), 0, -1))
    rows = pk.stxm.particle_statistics(cut, pk.stxm.label_particles(cut))
    assert rows["touches_border"].item()


def test_doubt_widens_fractions_within_their_bounds():
    rng = np.random.default_rng(5)
    inside = disc((70, 70), 28)
    phase = np.where(inside, np.where(np.arange(70) > 40, 1, 0), -1)
    doubtful = inside & (rng.random(inside.shape) < 0.3)
    status = np.where(inside, np.where(doubtful, StxmStatus.AMBIGUOUS, StxmStatus.OK), StxmStatus.BACKGROUND)
    confidence = np.where(doubtful, 0.6, 1.0)
    runner_up = np.where(inside, np.where(phase == 0, 1, 0), -1)
    phases = phases_of(phase, status=status, confidence=confidence, runner_up=runner_up)
    rows = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases), correlated_px=1)
    n = inside.sum()
    fraction = rows["phase_fraction"].values[0]
    np.testing.assert_allclose(fraction.sum(), 1)
    low, high = rows["phase_fraction_low"].values[0], rows["phase_fraction_high"].values[0]
    assert (low <= fraction).all()
    assert (fraction <= high).all()
    np.testing.assert_allclose(low[1], ((phase == 1) & ~doubtful).sum() / n)
    np.testing.assert_allclose(high[1], ((phase == 1) | (doubtful & (phase == 0))).sum() / n)
    assert high[2] == 0  # no pixel may be Na1
    np.testing.assert_allclose(rows["phase_fraction_error"][0, 0], np.sqrt(0.24 * doubtful.sum()) / n)
    wide = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases), correlated_px=9)
    np.testing.assert_allclose(wide["phase_fraction_error"], 3 * rows["phase_fraction_error"])
    sure = phases_of(phase)
    assert pk.stxm.particle_statistics(sure, pk.stxm.label_particles(sure))["phase_fraction_error"].max().item() == 0


def test_stated_error_of_a_fraction_is_its_scatter():
    """Names drawn with the stated confidence, in patches of 3 x 3 that err together."""
    rng = np.random.default_rng(6)
    inside = disc((72, 72), 30)
    truth = np.where(inside, np.where(np.arange(72) > 36, 1, 0), -1)
    runner_up = np.where(inside, 1 - truth, -1)
    pulls = []
    for _ in range(60):
        wrong = np.kron(rng.random((24, 24)) < 0.2, np.ones((3, 3))).astype(bool)
        phase = np.where(inside, np.where(wrong, 1 - truth, truth), -1)
        phases = phases_of(phase, confidence=0.8, runner_up=runner_up)
        rows = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases, min_domain_width_px=1))
        expected = np.mean(np.where(truth[inside] == 0, 0.8, 0.2))
        pulls.append((float(rows["phase_fraction"][0, 0]) - expected) / float(rows["phase_fraction_error"][0, 0]))
    assert abs(np.mean(pulls)) < 0.5
    assert 0.75 < np.std(pulls) < 1.3


def test_error_of_the_mean_composition_is_its_scatter():
    rng = np.random.default_rng(7)
    inside = disc((60, 60), 22)
    phase = np.where(inside, np.where(np.arange(60) > 30, 1, 0), -1)
    exact = np.where(inside, 3.0 - phase, np.nan)
    means, errors = [], []
    for _ in range(80):
        phases = phases_of(phase, composition=exact + rng.normal(0, 0.2, inside.shape))
        rows = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases), correlated_px=1)
        means.append(rows["composition_mean"].item())
        errors.append(rows["composition_error"].item())
    assert np.mean(errors) == pytest.approx(0.2 / np.sqrt(inside.sum()), rel=0.05)
    assert np.std(means) == pytest.approx(np.mean(errors), rel=0.3)
    assert np.mean(means) == pytest.approx(np.nanmean(exact), abs=0.002)
    # the spread is that of the particle, two phases and noise
    assert rows["composition_std"].item() == pytest.approx(np.hypot(np.nanstd(exact), 0.2), rel=0.05)


def test_thickness_weighs_by_volume():
    inside = disc((50, 50), 18)
    right = np.arange(50) > 24
    phases = phases_of(np.where(inside, np.where(right, 1, 0), -1))
    thickness = np.where(inside, np.where(right, 300.0, 100.0), -5.0)
    map_ = xr.Dataset(dict.fromkeys(("thickness", "thickness_error"), (SCAN, thickness)), sides((50, 50)))
    particles = pk.stxm.label_particles(phases)
    rows = pk.stxm.particle_statistics(phases, particles, thickness=map_)
    n = [(inside & (right == side)).sum() for side in (False, True)]
    assert rows["volume"].item() == pytest.approx(400 * (100 * n[0] + 300 * n[1]))
    share = 300 * n[1] / (100 * n[0] + 300 * n[1])
    np.testing.assert_allclose(rows["phase_fraction"].values[0], [1 - share, share, 0])
    assert rows["composition_mean"].item() == pytest.approx(3 - share)


# ---- transitions


@pytest.mark.parametrize("sigma_px", [0.8, 1.5, 2.5])
def test_width_of_a_transition_is_found_with_its_error(sigma_px):
    rng = np.random.default_rng(8)
    pulls, widths = [], []
    for _ in range(20):
        phases, seen = tilted_edge(
            (70, 70), 28, sigma_px, rng.uniform(0, np.pi), noise=0.1, offset=rng.uniform(-0.5, 0.5), rng=rng
        )
        rows = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases), fitted=seen)
        widths.append(rows["transition_width"].item())
        pulls.append((widths[-1] - 2.563 * sigma_px * 20) / rows["transition_error"].item())
    assert np.mean(widths) == pytest.approx(2.563 * sigma_px * 20, rel=0.06)
    assert np.std(pulls) < 1.4
    assert abs(np.mean(pulls)) < 1.0


def test_the_probe_is_taken_off_and_what_it_explains_alone_is_bounded():
    rng = np.random.default_rng(9)
    probe = 2.0  # px
    own, resolved, bound = 1.5, [], []
    for _ in range(12):
        angle = rng.uniform(0, np.pi)
        wide, seen = tilted_edge((70, 70), 28, np.hypot(own, probe / 2.355), angle, noise=0.05, rng=rng)
        rows = pk.stxm.particle_statistics(wide, pk.stxm.label_particles(wide), fitted=seen, probe_fwhm_nm=40)
        resolved.append(rows["transition_width"].item())
        jump, seen = tilted_edge((70, 70), 28, probe / 2.355, angle, noise=0.05, rng=rng)
        rows = pk.stxm.particle_statistics(jump, pk.stxm.label_particles(jump), fitted=seen, probe_fwhm_nm=40)
        bound.append((rows["transition_width"].item(), rows["transition_upper"].item()))
    assert np.mean(resolved) == pytest.approx(2.563 * own * 20, rel=0.06)
    bound = np.array(bound)
    assert np.isnan(bound[:, 0]).mean() > 0.8  # a jump is seldom taken for a zone
    assert (bound[:, 1] > 0).all()
    assert np.median(bound[:, 1]) < 40  # and bounded below the probe


def test_upper_bound_covers_the_truth():
    rng = np.random.default_rng(10)
    own, covered = 0.5, []
    for _ in range(40):
        phases, seen = tilted_edge((70, 70), 28, np.hypot(own, 2 / 2.355), rng.uniform(0, np.pi), noise=0.15, rng=rng)
        rows = pk.stxm.particle_statistics(phases, pk.stxm.label_particles(phases), fitted=seen, probe_fwhm_nm=40)
        covered.append(rows["transition_upper"].item() > 2.563 * own * 20)
    assert np.mean(covered) > 0.85


# ---- on a simulated stack


@pytest.fixture(scope="module")
def simulated():
    """Stack, true phases as PHASES, composition fitted to the noisy stack."""
    stack = pk.synthetic.stxm_stack(seed=1, frame_drift_px=0.0)
    refs = pk.synthetic.vanadium_references()
    od = pk.stxm.optical_density(stack)
    fit = pk.stxm.fit_references(od, refs).compute()
    phase = stack["truth_phase"]
    full = xr.ones_like(stack["truth_composition"]).where(phase >= 0)
    phases = xr.Dataset(
        {
            "phase": phase,
            "status": (1 * (phase < 0)).astype(np.int8),
            "margin": full,
            "confidence": full,
            "composition": stack["truth_composition"],
            "pearson": full.expand_dims(reference=refs["reference"].values, axis=2),
        }
    )
    return stack, phases, pk.stxm.fitted_composition(fit, refs)


def test_simulated_particles_are_counted_and_sized(simulated):
    stack, phases, _ = simulated
    particles = pk.stxm.label_particles(phases)
    require(particles, PARTICLES, step="test")
    rows = pk.stxm.particle_statistics(phases, particles)
    assert rows.sizes["particle_number"] == 6
    assert int(rows["n_pixels"].sum()) == int((stack["truth_phase"] >= 0).sum())
    label = particles["particle"].values
    for index in range(6):
        mean = np.nanmean(stack["truth_composition"].values[label == index])
        assert float(rows["composition_mean"][index]) == pytest.approx(mean)


def test_simulated_rims_have_their_width(simulated):
    """Rims of 15 nm standard deviation under a probe of 35 nm."""
    _, phases, fitted = simulated
    particles = pk.stxm.label_particles(phases)
    rows = pk.stxm.particle_statistics(phases, particles, fitted=fitted, probe_fwhm_nm=35)
    width, error = rows["transition_width"].values, rows["transition_error"].values
    assert np.nanmean(width) == pytest.approx(2.563 * 15, rel=0.25)
    assert (np.abs(width - 2.563 * 15) < 4 * error).all()
    seen = pk.stxm.particle_statistics(phases, particles, fitted=fitted)["transition_width"]
    assert float(seen.mean()) == pytest.approx(2.563 * np.hypot(15, 35 / 2.355), rel=0.15)


def test_fitted_composition_is_straight_and_its_error_no_smaller_than_the_scatter(simulated):
    stack, _, fitted = simulated
    thick = (stack["truth_thickness"] > 100) & ~stack["truth_transition"]
    away = (fitted["composition"] - stack["truth_composition"]).where(thick)
    assert abs(float(away.mean())) < 0.06
    assert float((away / fitted["composition_error"]).std()) < 1.2
    assert float(fitted["composition"].max()) <= 3.0 + 1e-9


# ---- the house's own rules


def test_lazy_maps_give_the_same_and_inputs_stay():
    phases, seen = tilted_edge((60, 60), 24, 1.2, 0.4, noise=0.1, rng=np.random.default_rng(0))
    before = phases.copy(deep=True)
    found = pk.stxm.label_particles(phases)
    rows = pk.stxm.particle_statistics(phases, found, fitted=seen)
    lazy = phases.chunk(scan_y=17, scan_x=23)
    assert isinstance(lazy["phase"].data, da.Array)
    xr.testing.assert_identical(pk.stxm.label_particles(lazy), found)
    again = pk.stxm.particle_statistics(lazy, found.chunk(scan_y=9), fitted=seen.chunk(scan_x=11))
    xr.testing.assert_identical(again, rows)
    xr.testing.assert_identical(phases, before)


def test_other_data_and_settings_are_refused():
    phases = phases_of(np.where(disc((30, 30), 10), 0, -1))
    found = pk.stxm.label_particles(phases)
    with pytest.raises(SchemaError, match=r"label_phases makes one"):
        pk.stxm.label_particles(found)
    for settings, words in (
        ({"neck": 1.2}, "neck=1.2"),
        ({"min_area_px": 0}, "min_area_px=0"),
        ({"min_domain_width_px": 0.5}, "at least 1, 0 and 1"),
    ):
        with pytest.raises(SchemaError, match=words):
            pk.stxm.label_particles(phases, **settings)
    with pytest.raises(SchemaError, match=r"no coordinate \['scan_y', 'scan_x'\], needs positions in nm"):
        pk.stxm.label_particles(phases.drop_vars(list(SCAN)))
    uneven = phases.assign_coords(scan_y=("scan_y", np.arange(30.0) ** 2, {"units": "nm"}))
    with pytest.raises(SchemaError, match="'scan_y' is not evenly spaced"):
        pk.stxm.label_particles(uneven)
    with pytest.raises(SchemaError, match="Make the particles of these phases"):
        pk.stxm.particle_statistics(phases, found.isel(scan_x=slice(0, 20)))
    with pytest.raises(SchemaError, match="label_particles makes one"):
        pk.stxm.particle_statistics(phases, phases)
    with pytest.raises(SchemaError, match="probe_fwhm_nm=-1"):
        pk.stxm.particle_statistics(phases, found, probe_fwhm_nm=-1)
    with pytest.raises(SchemaError, match="fitted_composition makes one"):
        pk.stxm.particle_statistics(phases, found, fitted=found)
    with pytest.raises(SchemaError, match="'domain_phase'"):
        pk.stxm.particle_statistics(phases, found.drop_vars("domain_phase"))
    assert found["reference"].values.tolist() == NAMES
