"""Half turns that noise decided: islands vanish where the grain's pixels add up, and nothing else changes."""

import numpy as np
import pytest
import xarray as xr

from phasekit.acom import compare_with_truth, resolve_180_ambiguity
from phasekit.errors import AcomStatus, SchemaError
from phasekit.io import load, save
from phasekit.rotations import about_axis, multiply, random, symmetric_angle_deg
from tests.acom.maps import NICKEL, OLIVINE, orientation_map

HALF = about_axis([0, 0, 1], 180.0)
SYMMETRY = [np.asarray(phase.point_group.laue_proper_subgroup.data) for phase in (NICKEL, OLIVINE)]
SHAPE = (24, 30)


def flipped_map(seed=0, safe_share=0.03, lead=0.01):
    """Four grains of two phases; the true family leads by ``lead`` on average under twice that noise, some are safe."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    grain = (x >= 14).astype(int) + 2 * (y >= 11)
    base = random(4, rng)
    phase = np.array([0, 1, 1, 0])[grain]
    true = multiply(base[grain], about_axis(rng.normal(size=(*SHAPE, 3)), rng.normal(scale=0.5, size=SHAPE)))
    true[:, 13] = np.nan
    other = multiply(true, HALF)
    safe = rng.uniform(size=SHAPE) < safe_share
    margin = np.where(safe, 0.15, np.clip(rng.normal(lead, 2 * lead, SHAPE), -0.035, 0.035))
    score = np.stack([0.8 + margin / 2, 0.8 - margin / 2], axis=-1)
    order = np.argsort(-score, axis=-1)
    return as_found(true, np.stack([true, other], axis=2), score, order, phase), safe


def as_found(true, solutions, score, order, phase):
    """ORIENTATIONS of solutions (y, x, match, 4) put in the order of their scores, with the truth beside them."""
    orientations = orientation_map(true, phase)
    known = np.isfinite(true[..., 0])
    quaternion = np.take_along_axis(solutions, order[..., None], axis=2)
    correlation = np.where(known[..., None], np.take_along_axis(score, order, axis=2), np.nan).astype(np.float32)
    reliability = 100 * (1 - correlation[..., 1] / correlation[..., 0])
    close = np.where(reliability < 5, AcomStatus.AMBIGUOUS_180.value, 0)
    scan = ("scan_y", "scan_x")
    orientations = orientations.drop_vars(["quaternion", "correlation"])
    orientations["quaternion"] = ((*scan, "match", "wxyz"), quaternion)
    orientations["correlation"] = ((*scan, "match"), correlation)
    orientations["reliability"] = (scan, reliability)
    orientations["status"] = (scan, np.where(known, close, 1).astype(np.int8))
    orientations["uncertainty_deg"] = (scan, np.where(known, 0.1, np.nan))
    orientations["truth_quaternion"] = ((*scan, "wxyz"), true)
    orientations["truth_phase"] = orientations["phase"]
    return orientations


def wrong(orientations):
    """Pixels whose first solution is not the true one."""
    first, true = orientations["quaternion"].isel(match=0).values, orientations["truth_quaternion"].values
    angles = [symmetric_angle_deg(first, true, symmetry) for symmetry in SYMMETRY]
    return np.where(orientations["phase"].values == 0, *angles) > 1.0


def test_islands_vanish_and_safe_pixels_stay():
    orientations, safe = flipped_map()
    before = wrong(orientations)
    assert before.mean() > 0.2
    solved = resolve_180_ambiguity(orientations)
    after = wrong(xr.merge([solved, orientations[["truth_quaternion"]]]))
    assert not after.any()
    np.testing.assert_array_equal(solved["changed"], before)
    assert not solved["changed"].values[safe].any()
    table = compare_with_truth(solved, orientations)
    assert float(table["within_2"].sel(counting="unfolded")) == 1.0


def test_only_kept_solutions_are_exchanged():
    orientations, _ = flipped_map(1)
    solved = resolve_180_ambiguity(orientations)
    changed = solved["changed"].values
    swapped = orientations.isel(match=[1, 0])
    for name in ("quaternion", "correlation"):
        np.testing.assert_array_equal(solved[name].values[changed], swapped[name].values[changed])
        np.testing.assert_array_equal(solved[name].values[~changed], orientations[name].values[~changed])
    assert (solved["reliability"].values[changed] == 0).all()
    assert np.isnan(solved["uncertainty_deg"].values[changed]).all()
    assert (solved["phase_reliability"].values[changed] <= orientations["phase_reliability"].values[changed]).all()
    np.testing.assert_array_equal(solved["reliability"].values[~changed], orientations["reliability"].values[~changed])
    np.testing.assert_array_equal(solved["status"], orientations["status"])


def test_doing_it_twice_changes_nothing_more():
    solved = resolve_180_ambiguity(flipped_map(2)[0])
    again = resolve_180_ambiguity(solved)
    xr.testing.assert_equal(again, solved)


def test_a_lone_pixel_stays():
    orientations, _ = flipped_map()
    lone = orientations.isel(scan_y=[0], scan_x=[3])
    assert not resolve_180_ambiguity(lone, min_gain=0)["changed"].any()
    vacuum = np.ones((3, 3), dtype=bool)
    vacuum[1, 1] = False
    ringed = orientations.isel(scan_y=slice(3), scan_x=slice(3))
    ringed["quaternion"] = ringed["quaternion"].where(~xr.DataArray(vacuum, dims=("scan_y", "scan_x")))
    assert not resolve_180_ambiguity(ringed, min_gain=0)["changed"].any()


def test_a_twin_with_safe_pixels_stays():
    orientations, _ = flipped_map(3, safe_share=0.0)
    twin = np.zeros(SHAPE, dtype=bool)
    twin[3:7, 3:9] = True
    keep = xr.DataArray(twin, dims=("scan_y", "scan_x"))
    first = wrong(orientations)
    turned = orientations.isel(match=[1, 0])[["quaternion"]]  # every pixel of the twin has the other family first
    orientations["quaternion"] = orientations["quaternion"].where(~(keep & ~first), turned["quaternion"])
    sure = keep & (np.indices(SHAPE).sum(axis=0) % 3 == 0)
    orientations["status"] = orientations["status"].where(~sure, 0)
    solved = resolve_180_ambiguity(orientations)
    assert not solved["changed"].values[twin].any()
    assert solved["changed"].values[~twin].any()
    assert (
        resolve_180_ambiguity(orientations, max_safe_share=1, min_gain=0)["changed"].values[twin & ~sure.values].all()
    )


def test_equal_evidence_decides_nothing():
    orientations, _ = flipped_map(4, lead=0.0)
    even = orientations.assign(
        correlation=orientations["correlation"] * 0 + 0.8, reliability=orientations["reliability"] * 0
    )
    assert not resolve_180_ambiguity(even)["changed"].any()


def test_symmetry_equivalent_input_gives_the_same_answer():
    orientations, _ = flipped_map(5)
    rng = np.random.default_rng(0)
    shape = orientations["quaternion"].shape[:-1]
    picks = [symmetry[rng.integers(0, len(symmetry), shape)] for symmetry in SYMMETRY]
    chosen = np.where((orientations["phase"].values == 0)[..., None, None], *picks)
    turned = orientations.assign(
        quaternion=(orientations["quaternion"].dims, multiply(chosen, orientations["quaternion"].values))
    )
    xr.testing.assert_equal(resolve_180_ambiguity(turned)["changed"], resolve_180_ambiguity(orientations)["changed"])


@pytest.mark.parametrize("name", ["solved.nc", "solved.zarr"])
def test_lazy_input_and_a_file_make_no_difference(tmp_path, name):
    orientations, _ = flipped_map()
    before = orientations.copy(deep=True)
    solved = resolve_180_ambiguity(orientations)
    xr.testing.assert_identical(orientations, before)
    xr.testing.assert_identical(resolve_180_ambiguity(orientations.chunk(scan_y=5, scan_x=7)).compute(), solved)
    save(solved, tmp_path / name)
    xr.testing.assert_identical(load(tmp_path / name).compute(), solved)


def test_bad_input_is_refused_with_a_cure():
    orientations, _ = flipped_map()
    with pytest.raises(SchemaError, match="n_matches=2"):
        resolve_180_ambiguity(orientations.isel(match=[0]))
    with pytest.raises(SchemaError, match=r"min_gain.*needs 0 or more"):
        resolve_180_ambiguity(orientations, min_gain=-1)
    with pytest.raises(SchemaError, match="match_orientations"):
        resolve_180_ambiguity(orientations.drop_vars("status"))
