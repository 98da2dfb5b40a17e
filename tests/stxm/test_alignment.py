import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import phasekit as pk
from phasekit.errors import FrameStatus, SchemaError
from tests.stxm.field import field


def _error(aligned, stack):
    y = (aligned["shift_y"] - stack["truth_shift_y"]).values
    x = (aligned["shift_x"] - stack["truth_shift_x"]).values
    return np.sqrt(np.mean(y**2 + x**2))


@pytest.mark.parametrize(("photons", "seed"), [(300, 0), (1500, 1), (5000, 2)])
def test_known_drift_is_found(photons, seed):
    stack = field(photons=photons, drift=0.8, seed=seed)
    assert np.hypot(stack["truth_shift_y"], stack["truth_shift_x"]).max() > 0.8
    assert _error(pk.stxm.align(stack, progress=False), stack) < 0.3


def test_stated_error_is_the_size_of_the_true_one():
    true, stated = [], []
    for seed in range(4):
        stack = field(photons=600, drift=0.8, seed=seed)
        aligned = pk.stxm.align(stack, progress=False)
        true.append(_error(aligned, stack))
        stated.append(np.sqrt((aligned["shift_error"] ** 2).mean()))
    assert 0.5 < np.mean(stated) / np.mean(true) < 2.5


def _inverting_stack(seed):
    """A texture of grains whose contrast turns over between the third and the fourth frame."""
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(size=(90, 100)), 3.0)
    texture /= texture.std()
    contrast = np.array([0.25, 0.22, 0.18, -0.15, -0.2, -0.25, -0.22])
    shift = np.concatenate([[[0, 0]], rng.uniform(-3, 3, (6, 2))])
    frames = [
        ndimage.shift(np.exp(c * texture), s, order=3, mode="nearest") for c, s in zip(contrast, shift, strict=True)
    ]
    counts = rng.poisson(2000 * np.stack(frames)[:, 12:-12, 12:-12])
    energy = ("energy", 510.0 + np.arange(7), {"units": "eV"})
    stack = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), counts)}, coords={"energy": energy})
    return stack.assign(truth_shift_y=("energy", shift[:, 0]), truth_shift_x=("energy", shift[:, 1]))


@pytest.mark.parametrize("seed", [0, 1])
def test_contrast_inversion_does_no_harm(seed):
    stack = _inverting_stack(seed)
    aligned = pk.stxm.align(stack, progress=False)
    assert _error(aligned, stack) < 0.3
    assert (aligned["frame_status"] == FrameStatus.OK).all()


def test_a_frame_without_the_specimen_is_reported_and_takes_its_neighbours_shift(stack):
    broken = stack.copy(deep=True)
    rng = np.random.default_rng(0)
    broken["intensity"][5] = rng.poisson(800, broken["intensity"].shape[1:])
    aligned = pk.stxm.align(broken, progress=False)
    assert aligned["frame_status"].values[5] == FrameStatus.FAILED
    assert np.flatnonzero(aligned["frame_status"]).tolist() == [5]
    between = (aligned["shift_y"].values[4] + aligned["shift_y"].values[6]) / 2
    assert aligned["shift_y"].values[5] == pytest.approx(between)
    others = np.delete(np.arange(12), 5)
    assert _error(aligned.isel(energy=others), stack.isel(energy=others)) < 0.3


def test_a_dark_frame_is_reported(stack):
    broken = stack.copy(deep=True)
    broken["intensity"][3] = 0
    assert pk.stxm.align(broken, progress=False)["frame_status"].values[3] == FrameStatus.FAILED


def test_seen_is_what_every_frame_covers():
    stack = field(drift=0.0, shape=(32, 40))
    moved = stack.copy(deep=True)
    moved["intensity"][6:] = np.roll(moved["intensity"][6:].values, (2, -3), axis=(1, 2))
    aligned = pk.stxm.align(moved, progress=False)
    np.testing.assert_allclose(aligned["shift_y"].values[6:], 2, atol=0.2)
    np.testing.assert_allclose(aligned["shift_x"].values[6:], -3, atol=0.2)
    assert not aligned["seen"].values[-1].any()
    assert not aligned["seen"].values[:, 0].any()
    assert aligned["seen"].values[4:-4, 5:-5].all()


def test_reference_frame_stays_in_place(stack):
    aligned = pk.stxm.align(stack, reference=4, order=1, despike_sigma=None, progress=False)
    assert aligned["shift_y"].values[4] == 0
    np.testing.assert_array_equal(aligned["intensity"][4], stack["intensity"][4])


def test_lazy_stays_lazy_and_any_chunking_gives_the_same(stack, aligned):
    for chunks in ({"energy": 5, "scan_y": 20, "scan_x": 33}, {"energy": 1}):
        lazy = pk.stxm.align(stack.chunk(chunks), progress=False)
        assert isinstance(lazy["intensity"].data, da.Array)
        np.testing.assert_allclose(lazy["intensity"], aligned["intensity"], rtol=1e-5)
        np.testing.assert_array_equal(lazy["shift_y"], aligned["shift_y"])


def test_input_is_untouched_and_i0_is_passed_on(stack):
    before = stack.assign(i0=("energy", np.arange(1.0, 13.0), {"units": "counts"}))
    given = before.copy(deep=True)
    aligned = pk.stxm.align(given, progress=False)
    xr.testing.assert_identical(given, before)
    np.testing.assert_array_equal(aligned["i0"], before["i0"])


def test_hot_pixels_are_removed_before_they_are_smeared():
    stack = field(photons=1000, drift=0.5, seed=5)
    hot = stack.copy(deep=True)
    rng = np.random.default_rng(0)
    for index in range(hot.sizes["energy"]):
        hot["intensity"][index, rng.integers(48), rng.integers(60)] = 30_000
    cleaned = pk.stxm.align(hot, progress=False)
    assert _error(cleaned, stack) < 0.3
    assert float(cleaned["intensity"].max()) < 2000


def test_noise_factor_is_the_variance_that_interpolation_leaves():
    rng = np.random.default_rng(0)
    from phasekit.stxm.preprocessing.count_statistics import compute_noise_response
    from phasekit.stxm.preprocessing.frame_interpolation import apply_shifts

    noise = rng.normal(size=(1, 300, 300))
    for order in (1, 3):
        for shift in ((0.5, 0.5), (0.3, -1.2), (2.0, 0.0)):
            out = apply_shifts(noise, np.array([shift[0]]), np.array([shift[1]]), order)[0, 20:-20, 20:-20]
            expected = compute_noise_response(*shift, order)
            assert out.var() == pytest.approx(expected[0], rel=0.03)
            assert (out[:, 1:] * out[:, :-1]).mean() + (out[1:] * out[:-1]).mean() == pytest.approx(
                2 * expected[1], abs=0.02
            )


def test_wrong_settings_say_the_cure(stack):
    with pytest.raises(SchemaError, match=r"Choose 0\.\.11"):
        pk.stxm.align(stack, reference=12)
    with pytest.raises(SchemaError, match="order"):
        pk.stxm.align(stack, order=5)
    with pytest.raises(SchemaError, match="max_shift_px"):
        pk.stxm.align(stack, max_shift_px=-1)
    with pytest.raises(SchemaError, match="needs 'eV'"):
        pk.stxm.align(stack.assign_coords(energy=("energy", stack.energy.values / 1000, {"units": "keV"})))
    with pytest.raises(SchemaError, match="open_stxm"):
        pk.stxm.align(stack.rename(intensity="counts"))


def test_one_energy_passes_through(stack):
    aligned = pk.stxm.align(stack.isel(energy=[0]), despike_sigma=None, progress=False)
    np.testing.assert_array_equal(aligned["intensity"], stack["intensity"][:1])
    assert aligned["seen"].all()
