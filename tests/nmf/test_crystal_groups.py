"""Which components are one crystal: known lattices, simulated scans, orientations, and what is refused."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal, phase_record
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis

SIZE = 64


def net(a, b, angle=90.0, turn=0.0, laue=(0.0, 0.0), seed=0, keep=None):
    """Positions (y, x) [px from the beam] and intensities of the spots of a net, brightest near ``laue``."""
    rng = np.random.default_rng(seed)
    hk = np.array([(h, k) for h in range(-3, 4) for k in range(-3, 4) if (h, k) != (0, 0)])
    hk = hk if keep is None else hk[[keep(h, k) for h, k in hk]]
    turns = np.radians(turn + np.array([0.0, angle]))
    spots = hk @ (np.array([a, b])[:, None] * np.stack([np.sin(turns), np.cos(turns)], axis=1))
    strength = rng.lognormal(0, 0.4, len(hk)) * np.exp(-np.sum((spots - laue) ** 2, axis=1) / (2 * 16.0**2))
    inside = np.abs(spots).max(axis=1) < SIZE / 2 - 3
    return spots[inside], strength[inside]


def draw(spots, strength, *, counts=20000.0, diffuse=0.3, shift=(0.0, 0.0), seed=0):
    """Pattern with Poisson noise."""
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    image = sum(
        w / (1 + np.exp((np.hypot(y - sy - shift[0], x - sx - shift[1]) - 1.8) / 0.3))
        for (sy, sx), w in zip(spots, strength, strict=True)
    )
    haze = np.exp(-np.hypot(y, x) / 15)
    expected = (1 - diffuse) * image / np.sum(image) + diffuse * haze / haze.sum()
    return np.random.default_rng(seed).poisson(expected * counts).astype(float)


def make_factors(patterns, starts=None, width=6):
    """FACTORS of patterns whose maps are stripes that begin at ``starts``; by default they touch."""
    patterns = np.array(patterns)
    starts = [width * i for i in range(len(patterns))] if starts is None else starts
    loading = np.zeros((len(patterns), 8, max(starts) + width))
    for i, start in enumerate(starts):
        loading[i, :, start : start + width] = patterns[i].sum()
    q = {d: (d, 0.02 * (np.arange(SIZE) - (SIZE - 1) / 2), {"units": "1/angstrom"}) for d in ("qy", "qx")}
    factor = patterns / patterns.sum(axis=(1, 2), keepdims=True)
    return xr.Dataset(
        {"loading": (("component", "scan_y", "scan_x"), loading), "factor": (("component", "qy", "qx"), factor)}, q
    )


def group(factors, **settings):
    peaks = pk.acom.find_peaks(pk.nmf.component_patterns(factors))
    return pk.nmf.group_crystals(factors, peaks, **{"background": -1, **settings})


def counts_of(groups):
    return tuple(groups.attrs[f"n_crystals{end}"] for end in ("", "_low", "_high"))


def relation(groups, i=0, j=1):
    value, attrs = int(groups.relation[i, j]), groups.relation.attrs
    return attrs["flag_meanings"].split()[list(attrs["flag_values"]).index(value)]


@pytest.fixture(scope="module")
def bent():
    """Two ends of a bent grain, a second grain, and a background."""
    ends = [draw(*net(9, 9, laue=laue), seed=i) for i, laue in enumerate([(-6, 4), (6, -4)])]
    haze = draw(*net(9, 9), diffuse=1.0)
    return make_factors([*ends, draw(*net(8, 11, 80, 25, seed=5), seed=4), haze])


def test_a_bent_grain_is_one_crystal_and_two_patterns(bent):
    groups = group(bent)
    np.testing.assert_array_equal(groups.crystal, [0, 0, 1, -1])
    assert counts_of(groups) == (2, 2, 2)
    assert groups.attrs["n_patterns"] == 4
    assert groups.attrs["n_background"] == 1
    assert [relation(groups, 0, j) for j in (1, 2, 3)] == ["same_crystal", "different", "not_compared"]
    assert float(groups.same_probability[0, 1]) > 0.95
    assert np.isnan(groups.same_probability[:, 3]).all()


def test_pairs_do_not_depend_on_the_order(bent):
    order = [2, 3, 1, 0]
    groups, other = group(bent), group(bent.isel(component=order))
    np.testing.assert_array_equal(groups.crystal[order], other.crystal)
    pairs = groups.isel(component=order, other=order)
    np.testing.assert_allclose(pairs.shared_spots, other.shared_spots, atol=0.05)
    np.testing.assert_allclose(pairs.rotation_angle, other.rotation_angle, atol=0.1)


@pytest.mark.parametrize(("turn", "expected"), [(1.0, "same_crystal"), (4.0, "same_crystal"), (8.0, "different")])
def test_rotation_about_the_beam(turn, expected):
    first, second = net(9, 11, 80), net(9, 11, 80, turn=turn)
    groups = group(make_factors([draw(*first), draw(*second, shift=(0.8, -0.5), seed=1)]))
    assert relation(groups) == expected
    assert float(groups.rotation_angle[0, 1]) == pytest.approx(turn, abs=0.3)
    assert float(groups.rotation_angle[1, 0]) == pytest.approx(-turn, abs=0.3)


def test_turning_both_patterns_changes_nothing():
    groups = [
        group(make_factors([draw(*net(9, 11, 80, turn)), draw(*net(9, 11, 80, turn + 2), seed=1)])) for turn in (0, 35)
    ]
    assert {relation(one) for one in groups} == {"same_crystal"}
    np.testing.assert_allclose(groups[0].rotation_angle, groups[1].rotation_angle, atol=0.3)


def test_twins_share_a_row_and_are_two_crystals():
    # Mirrored about the row along x: an oblique net and its mirror image have this row in common.
    groups = group(make_factors([draw(*net(9, 9, 70, seed=1)), draw(*net(9, 9, 110, seed=2), seed=1)]))
    assert 0.1 < float(groups.shared_spots[0, 1]) < 0.5
    assert float(groups.same_probability[0, 1]) < 0.2
    assert groups.attrs["n_crystals"] == groups.attrs["n_crystals_high"] == 2


def test_a_superlattice_of_equal_spots_is_not_the_same():
    dense = draw(*net(8, 8, seed=1), counts=40000.0)
    coarse = draw(*net(8, 8, seed=1, keep=lambda h, k: (h + k) % 2 == 0))
    groups = group(make_factors([dense, coarse]))
    assert relation(groups) in ("different", "undecided")
    assert groups.attrs["n_crystals_high"] == 2


def test_grains_apart_are_two_crystals_of_one_orientation():
    ends = [draw(*net(9, 9, laue=laue), seed=i) for i, laue in enumerate([(-4, 2), (4, -2)])]
    groups = group(make_factors(ends, starts=[0, 20]))
    np.testing.assert_array_equal(groups.crystal, [0, 1])
    np.testing.assert_array_equal(groups.orientation_group, [0, 0])
    assert relation(groups) == "apart"


def test_few_spots_are_counted_both_ways():
    spots, strength = net(9, 9, keep=lambda h, k: (abs(h) + abs(k)) == 1 and h + k > 0)
    groups = group(make_factors([draw(spots, strength), draw(spots, strength[::-1], seed=1)]))
    assert relation(groups) == "undecided"
    assert groups.attrs["n_crystals_low"] <= 1
    assert groups.attrs["n_crystals_high"] == 2


def test_a_grain_proposed_as_background_stays_a_crystal():
    only = make_factors([draw(*net(9, 9)), draw(*net(8, 12, 85, 30), seed=1)])
    assert counts_of(group(only, background=None)) == (2, 2, 2)
    np.testing.assert_array_equal(group(only, background=0).crystal, [-1, 0])


def test_nothing_but_background():
    haze = [draw(*net(9, 9), diffuse=1.0, seed=i) for i in range(2)]
    groups = group(make_factors(haze))
    assert counts_of(groups) == (0, 0, 0)
    assert groups.attrs["n_background"] == 2
    np.testing.assert_array_equal(groups.crystal, [-1, -1])


def test_a_strong_direct_beam_hides_no_crystal():
    # Measured patterns keep the tail of the direct beam: the spots hold a tenth of the counts.
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    tail = 1 / (1 + (np.hypot(y, x) / 2) ** 2) ** 1.5
    patterns = [
        draw(*net(9, 9, laue=(3, 0)), diffuse=0.05, counts=1e5, seed=seed)
        + np.random.default_rng(seed).poisson(6e5 * tail / tail.sum())
        for seed in (1, 2)
    ]
    groups = group(make_factors(patterns))
    assert float(groups.spot_share.max()) < 0.15
    assert counts_of(groups) == (1, 1, 1)


def test_order_of_spots_is_measured():
    # Spots on a ring as of many small grains, spots at random, and a net.
    rng = np.random.default_rng(1)
    azimuth = rng.uniform(0, 2 * np.pi, 25)
    ring = np.stack([np.sin(azimuth), np.cos(azimuth)], axis=1) * 20
    noise = rng.uniform(-26, 26, (20, 2))
    patterns = [draw(spots, rng.lognormal(0, 0.4, len(spots)), counts=1e5) for spots in (ring, noise)]
    order = group(make_factors([*patterns, draw(*net(9, 9))])).order_p_value
    assert float(order[:2].min()) > 0.05
    assert float(order[2]) < 0.02


@pytest.fixture(scope="module")
def fits():
    scan = pk.synthetic.overlapping_grains(n_components=4, dose=20000, bend=0.3, seed=3, shape=(32, 36))
    return scan, pk.nmf.factorise_ranks(pk.nmf.to_features(scan), [5, 7], progress=False)


def test_too_many_components_do_not_make_more_crystals(fits):
    _, found = fits
    groups = {k: group(pk.nmf.separate_background(f), background=None) for k, f in found.items()}
    assert {one.attrs["n_crystals"] for one in groups.values()} == {4}
    assert groups[7].attrs["n_patterns"] == 7
    counted = pk.nmf.count_crystals(groups)
    np.testing.assert_array_equal(counted.n_crystals, [4, 4])
    assert counted.attrs["n_crystals_low"] <= 4 <= counted.attrs["n_crystals_high"]
    sure = xr.DataArray([0.0, 0.1, 0.9], coords={"rank": [4, 5, 7]}, dims="rank")
    assert pk.nmf.count_crystals(groups, sure).attrs["n_crystals"] == 4
    with pytest.raises(SchemaError, match="have no probability"):
        pk.nmf.count_crystals(groups, sure.isel(rank=slice(2)))
    with pytest.raises(SchemaError, match="no groups"):
        pk.nmf.count_crystals({})


def orient(angles, status=None, uncertainty=None):
    """ORIENTATIONS of one line of nickel, turned by ``angles`` about x."""
    n, line = len(angles), ("scan_y", "scan_x")
    nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    data = {name: (line, np.full((1, n), 40.0)) for name in ("reliability", "phase_reliability")}
    data |= {
        "phase": (line, np.zeros((1, n), int)),
        "status": (line, np.zeros((1, n), int) if status is None else status),
    }
    data["quaternion"] = ((*line, "match", "wxyz"), about_axis([1, 0, 0], np.array(angles))[None, :, None])
    data["correlation"] = ((*line, "match"), np.ones((1, n, 1)))
    if uncertainty is not None:
        data["uncertainty_deg"] = (line, np.full((1, n), uncertainty))
    return xr.Dataset(data, attrs={"phases": json.dumps([phase_record(nickel)])})


def test_orientations_decide_what_a_tilt_hides(bent):
    # A tilt of 3 degrees can change every visible spot: components 1 and 2 share none.
    peaks = pk.acom.find_peaks(pk.nmf.component_patterns(bent))
    settings = {"background": -1}
    tilted = pk.nmf.group_crystals(bent, peaks, orientations=orient([0, 1, 3, 0], uncertainty=0.1), **settings)
    np.testing.assert_array_equal(tilted.crystal, [0, 0, 0, -1])
    apart = pk.nmf.group_crystals(bent, peaks, orientations=orient([0, 1, 20, 0], uncertainty=0.1), **settings)
    np.testing.assert_array_equal(apart.crystal, [0, 0, 1, -1])


def test_orientations_against_coinciding_spots_leave_it_open(bent):
    peaks = pk.acom.find_peaks(pk.nmf.component_patterns(bent))
    groups = pk.nmf.group_crystals(bent, peaks, orientations=orient([0, 20, 45, 0], uncertainty=0.1), background=-1)
    assert relation(groups) == "undecided"
    assert counts_of(groups)[1:] == (2, 3)
    # Not indexed: the spots decide.
    unsure = orient([0, 20, 45, 0], status=np.array([[0, 5, 0, 1]]), uncertainty=0.1)
    assert relation(pk.nmf.group_crystals(bent, peaks, orientations=unsure, background=-1)) == "same_crystal"


def test_calibrated_peaks_give_the_same(bent):
    peaks = pk.acom.find_peaks(pk.nmf.component_patterns(bent))
    calibrated = pk.acom.calibrate_peaks(peaks, origin=None)
    first, second = (pk.nmf.group_crystals(bent, one, background=-1) for one in (peaks, calibrated))
    np.testing.assert_array_equal(first.crystal, second.crystal)
    np.testing.assert_allclose(first.shared_spots, second.shared_spots, atol=1e-3)


def test_lazy_factors_input_untouched_and_round_trips(bent, tmp_path):
    peaks = pk.acom.find_peaks(pk.nmf.component_patterns(bent))
    before = bent.copy(deep=True)
    groups = pk.nmf.group_crystals(bent, peaks)
    xr.testing.assert_identical(bent, before)
    lazy = pk.nmf.group_crystals(bent.chunk(scan_x=5, qy=20), peaks.chunk(scan_x=2))
    xr.testing.assert_identical(lazy, groups)
    for ending in ("nc", "zarr"):
        pk.io.save(groups, tmp_path / f"groups.{ending}")
        xr.testing.assert_identical(pk.io.load(tmp_path / f"groups.{ending}").compute(), groups)


def test_refusals(bent):
    peaks = pk.acom.find_peaks(pk.nmf.component_patterns(bent))
    with pytest.raises(SchemaError, match="one for each"):
        pk.nmf.group_crystals(bent.isel(component=slice(2)), peaks)
    with pytest.raises(SchemaError, match="one for each"):
        pk.nmf.group_crystals(bent, peaks, orientations=orient([0, 1]))
    with pytest.raises(SchemaError, match="disk_radius"):
        pk.nmf.group_crystals(bent, peaks.drop_vars("disk_radius"))
    with pytest.raises(SchemaError, match="max_angle_deg"):
        pk.nmf.group_crystals(bent, peaks, max_angle_deg=-1)
    with pytest.raises(SchemaError, match="error_rate"):
        pk.nmf.group_crystals(bent, peaks, error_rate=0.5)
    with pytest.raises(SchemaError, match="find_peaks makes one"):
        pk.nmf.group_crystals(bent, peaks.drop_vars("prominence"))


def test_crystals_stand_in_the_figure_of_components(bent):
    groups = group(bent)
    figure = pk.viz.nmf.components_figure(bent, groups=groups)
    assert figure.get_suptitle() == "4 patterns, 2 crystals"
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert [title.split("\n")[1] for title in titles] == ["crystal 0", "crystal 0", "crystal 1", "no crystal"]
    with pytest.raises(SchemaError, match="Group these factors"):
        pk.viz.nmf.components_figure(bent.isel(component=slice(2)), groups=groups)
