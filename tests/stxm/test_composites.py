import numpy as np
import pytest
import xarray as xr
from skimage.color import rgb2lab

import phasekit as pk
from phasekit.errors import SchemaError, StxmStatus
from phasekit.schema import COMPOSITE, HISTOGRAM, require
from phasekit.stxm.particles.composites import RGB, SAFE
from tests.stxm.shapes import NAMES, SCAN, composition_map, disc, phases_of, sides

#: How protan, deutan and tritan vision see linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def fit_of(amount, units="um"):
    amount = xr.DataArray(
        np.asarray(amount, float), dims=(*SCAN, "reference"), coords={"reference": NAMES, **sides(np.shape(amount)[:2])}
    ).assign_attrs(units=units)
    one = xr.ones_like(amount[..., 0], dtype=float).drop_vars("reference")
    return xr.Dataset(
        {"amount": amount, "amount_error": amount, "fraction": amount, "baseline": one, "residual": one}
        | {"chi_square": one}
    )


def least_distance(colours):
    """Smallest CIELAB distance among the colours, their mixtures, white and black, over all kinds of vision."""
    a, b, c = (np.array(colour) for colour in colours)
    seen = np.array([a, b, c, a + b, a + c, b + c, a + b + c, 0 * a]).clip(0, 1)
    linear = np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)
    out = []
    for matrix in VISION.values():
        there = np.clip(linear @ np.array(matrix).T, 0, 1)
        display = np.where(there <= 0.0031308, 12.92 * there, 1.055 * there ** (1 / 2.4) - 0.055)
        lab = rgb2lab(display[None])[0]
        apart = np.linalg.norm(lab[:, None] - lab, axis=-1)
        out.append(apart[~np.eye(len(lab), dtype=bool)].min())
    return min(out)


def test_safe_colours_stay_apart_for_every_kind_of_vision():
    assert least_distance(SAFE[3]) > 22
    assert least_distance(RGB[3]) < 9
    np.testing.assert_allclose(np.sum(SAFE[2], axis=0), 1)  # magenta and green add to white


def test_amounts_are_scaled_by_their_percentile_and_mixed():
    rng = np.random.default_rng(0)
    amount = rng.uniform(0, 1, (20, 30, 3)) * [0.2, 0.1, 0.4]
    found = pk.stxm.rgb_composite(fit_of(amount), NAMES, colours="rgb", percentile=90)
    require(found, COMPOSITE, step="test")
    full = np.percentile(amount.reshape(-1, 3), 90, axis=0)
    np.testing.assert_allclose(found["full"], full)
    assert found["full"].attrs["units"] == "um"
    np.testing.assert_allclose(found["rgb"], np.clip(amount / full, 0, 1))
    common = pk.stxm.rgb_composite(fit_of(amount), NAMES, colours="rgb", percentile=90, scaling="common")
    np.testing.assert_allclose(common["full"], full.max())
    swapped = pk.stxm.rgb_composite(fit_of(amount), NAMES[::-1], colours="rgb", percentile=90)
    np.testing.assert_allclose(swapped["rgb"], found["rgb"][..., ::-1])
    safe = pk.stxm.rgb_composite(fit_of(amount), NAMES, percentile=90)
    np.testing.assert_allclose(safe["rgb"], np.clip(np.clip(amount / full, 0, 1) @ np.array(SAFE[3]), 0, 1))


def test_negative_is_none_unknown_stays_unknown_and_an_empty_channel_works():
    amount = np.zeros((2, 3, 3))
    amount[0, 0] = [1, -5, 0]
    amount[0, 1] = np.nan
    found = pk.stxm.rgb_composite(fit_of(amount), NAMES, colours="rgb", percentile=100)
    np.testing.assert_allclose(found["rgb"][0, 0], [1, 0, 0])
    assert np.isnan(found["rgb"][0, 1]).all()
    assert (found["rgb"][1] == 0).all()


def test_doubt_fades_to_a_grey_as_bright():
    amount = np.zeros((1, 3, 3))
    amount[..., 0] = 1.0
    confidence = xr.DataArray([[1.0, 0.5, np.nan]], dims=SCAN)
    found = pk.stxm.rgb_composite(fit_of(amount), NAMES, confidence=confidence)["rgb"].values[0]
    np.testing.assert_allclose(found[0], SAFE[3][0])
    np.testing.assert_allclose(np.ptp(found[2]), 0, atol=1e-12)
    luma = found @ [0.2126, 0.7152, 0.0722]
    np.testing.assert_allclose(luma, luma[0])
    np.testing.assert_allclose(found[1], 0.5 * (found[0] + found[2]))


def test_a_phase_map_shows_name_and_runner_up():
    phase = np.array([[0, 1, -1]])
    runner_up = np.array([[1, 2, -1]])
    phases = phases_of(phase, confidence=0.8, runner_up=runner_up)
    found = pk.stxm.rgb_composite(phases, NAMES, colours="rgb", percentile=100, scaling="common")
    np.testing.assert_allclose(found["rgb"][0, 0], [1.0, 0.25, 0.0])
    np.testing.assert_allclose(found["rgb"][0, 1], [0.0, 1.0, 0.25])
    assert np.isnan(found["rgb"][0, 2]).all()


def test_composite_settings_are_checked():
    fit = fit_of(np.ones((2, 2, 3)))
    for channels in ([], ["Na3", "Na3"], ["LiFePO4"], "Na3"):
        with pytest.raises(SchemaError, match="needs one to three different ones"):
            pk.stxm.rgb_composite(fit, channels)
    with pytest.raises(SchemaError, match="percentile=0"):
        pk.stxm.rgb_composite(fit, NAMES, percentile=0)
    with pytest.raises(SchemaError, match="label_phases makes one"):
        pk.stxm.rgb_composite(fit.drop_vars("amount"), NAMES)
    with pytest.raises(SchemaError, match="'confidence' has dimensions"):
        pk.stxm.rgb_composite(fit, NAMES, confidence=xr.DataArray(np.ones(3), dims="scan_x"))


def test_histogram_counts_every_material_pixel_once():
    rng = np.random.default_rng(1)
    inside = disc((40, 50), 15)
    phase = np.where(inside, rng.integers(0, 3, inside.shape), -1)
    status = np.where(inside, rng.choice([0, 3, 6], inside.shape), StxmStatus.BACKGROUND)
    x = np.where(inside, rng.uniform(0.5, 3.0, inside.shape), np.nan)
    phases = phases_of(phase, status=status, composition=x)
    found = pk.stxm.composition_histogram(phases, bins=25)
    require(found, HISTOGRAM, step="test")
    assert int(found["count"].sum()) == int(inside.sum())
    for word, code in (("ok", 0), ("ambiguous", 3), ("transition", 6), ("background", None)):
        expected = int((inside & (status == code)).sum()) if code is not None else 0
        assert int(found["count"].sel(status_word=word).sum()) == expected
    counts, _ = np.histogram(x[inside], np.append(found["bin_low"], found["bin_high"][-1]))
    np.testing.assert_array_equal(found["count"].sum("status_word"), counts)
    np.testing.assert_allclose(found["weight"], 400.0 * found["count"])
    assert found["weight"].attrs["units"] == "nm^2"
    few = pk.stxm.composition_histogram(phases, bins=10, limits=(1.0, 2.0))
    assert int(few["count"].sum()) == int((inside & (x >= 1) & (x <= 2)).sum())


def test_pure_phases_lie_inside_a_bin():
    phases = phases_of(np.array([[0, 0, 1, 2, -1]]))
    found = pk.stxm.composition_histogram(phases, bins=3)
    assert found["count"].sum("status_word").values.tolist() == [1, 1, 2]
    assert found["composition_bin"].values.tolist() == [1.0, 2.0, 3.0]


def test_histogram_by_volume_or_of_another_composition():
    phases = phases_of(np.array([[0, 0, 1, -1]]))
    thickness = xr.Dataset(
        dict.fromkeys(("thickness", "thickness_error"), (SCAN, [[100.0, -3.0, np.nan, 500.0]])), sides((1, 4))
    )
    found = pk.stxm.composition_histogram(phases, bins=2, thickness=thickness)
    np.testing.assert_allclose(found["weight"].sum("status_word"), [0, 400 * 100])
    assert found["weight"].attrs["units"] == "nm^3"
    other = composition_map(np.array([[2.5, 2.6, 1.0, 9.0]]))
    fitted = pk.stxm.composition_histogram(phases, bins=4, composition=other)
    assert int(fitted["count"].sum()) == 3  # the pixel without material is not counted
    assert float(fitted["bin_high"].max()) < 3


def test_a_map_of_nothing_counts_nothing():
    found = pk.stxm.composition_histogram(phases_of(np.full((4, 5), -1)))
    assert int(found["count"].sum()) == 0
    assert found.sizes["composition_bin"] == 40


def test_histogram_settings_are_checked():
    phases = phases_of(np.zeros((4, 5), int))
    for settings in ({"bins": 0}, {"limits": (2.0, 1.0)}):
        with pytest.raises(SchemaError, match="at least 1 bin and limits"):
            pk.stxm.composition_histogram(phases, **settings)
    with pytest.raises(SchemaError, match="Use one field for both"):
        pk.stxm.composition_histogram(phases, composition=composition_map(np.ones((3, 5))))


def test_lazy_inputs_stay_and_files_round_trip(tmp_path):
    amount = np.random.default_rng(2).uniform(0, 1, (12, 15, 3))
    fit, phases = fit_of(amount), phases_of(np.where(disc((12, 15), 5), 0, -1))
    before = fit.copy(deep=True), phases.copy(deep=True)
    made = {"rgb": pk.stxm.rgb_composite(fit, NAMES), "histogram": pk.stxm.composition_histogram(phases)}
    chunks = {"scan_y": 5, "scan_x": 4}
    xr.testing.assert_identical(pk.stxm.rgb_composite(fit.chunk(chunks), NAMES), made["rgb"])
    xr.testing.assert_identical(pk.stxm.composition_histogram(phases.chunk(chunks)), made["histogram"])
    xr.testing.assert_identical(fit, before[0])
    xr.testing.assert_identical(phases, before[1])
    for name, data in made.items():
        for suffix in ("nc", "zarr"):
            pk.io.save(data, tmp_path / f"{name}.{suffix}")
            xr.testing.assert_identical(pk.io.load(tmp_path / f"{name}.{suffix}").compute(), data)
