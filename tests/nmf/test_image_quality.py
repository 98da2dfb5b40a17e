import json

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from skimage import metrics as theirs

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.nmf.image_metrics import ALL, METRICS, Reference, phase_congruency
from phasekit.nmf.image_metrics import filters as _filters
from phasekit.schema import COMPONENT_QUALITY, IMAGE_QUALITY, require

# of a noisy copy and of another image, 160 x 160 px, by an independent implementation in double precision
KNOWN = {
    "psnr": (32.25032, 21.26238),
    "ssim": (0.61826, 0.81712),
    "ms_ssim": (0.94705, 0.57655),
    "gmsd": (0.03921, 0.30309),
    "mdsi": (0.33767, 0.48757),
    "fsim": (0.73119, 0.83300),
    "vif_p": (0.46222, 0.23147),
}
PERFECT = {"psnr": 80, "ssim": 1, "ms_ssim": 1, "gmsd": 0, "mdsi": 0, "fsim": 1, "vif_p": 1}


def spots(n=1, size=100, seed=0):
    """Images of round spots on a diffuse halo, values 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size + 4))
    images = []
    for _ in range(n):
        centres = rng.uniform(8, size - 8, (15, 2))
        heights = rng.uniform(0.2, 1, 15)
        image = 0.3 * np.exp(-np.hypot(y - size / 2, x - size / 2) / 20)
        for (cy, cx), height in zip(centres, heights, strict=True):
            image = image + height * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 8)
        images.append(image / image.max())
    return np.array(images, dtype=np.float32)


@pytest.fixture(scope="module")
def images():
    return spots(3)


@pytest.fixture(scope="module")
def noise(images):
    return np.random.default_rng(5).normal(size=images.shape).astype(np.float32)


@pytest.fixture(scope="module")
def pair():
    """A reference and a noisy copy, (scan_y, scan_x, qy, qx), the reference with a masked corner."""
    clean = xr.DataArray(spots(6, 48).reshape(2, 3, 48, 52) * 70, dims=("scan_y", "scan_x", "qy", "qx"))
    noisy = clean + np.random.default_rng(1).normal(0, 2, clean.shape)
    return clean.where((clean.qy > 5) | (clean.qx > 5)), noisy


@pytest.fixture(scope="module")
def scan():
    return pk.synthetic.overlapping_grains(n_components=3, shape=(10, 12), detector=(32, 32), dose=2000, seed=3)


@pytest.fixture(scope="module")
def factors(scan):
    """The true components, with the middle of the detector masked."""
    truth = pk.nmf.truth_as_factors(scan)
    return truth.assign(factor=truth.factor.where(np.hypot(*(np.indices((32, 32)) - 15.5)) > 3))


# --- what a metric must do whatever the images -----------------------------------------------------------------------


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("size", [41, 64, 97, 128])
def test_identical_images_get_the_best_value(metric, size):
    same = spots(2, size)
    np.testing.assert_allclose(Reference(same).scores(same, [metric])[metric], PERFECT[metric], atol=1e-5)


@pytest.mark.parametrize("metric", ALL)
def test_more_noise_is_worse(metric, images, noise):
    reference = Reference(images)
    scores = np.array([reference.scores(images + level * noise, [metric])[metric] for level in (0.005, 0.02, 0.08)])
    steps = np.diff(np.vstack([np.full(3, PERFECT[metric]), scores]), axis=0)
    assert ((steps < 0) if METRICS[metric].higher_is_better else (steps > 0)).all()


@pytest.mark.parametrize("metric", ["psnr", "ssim", "ms_ssim", "gmsd", "fsim"])
def test_symmetric_metrics_are(metric, images, noise):
    other = images[::-1] + 0.02 * noise
    forth, back = Reference(images).scores(other, [metric]), Reference(other).scores(images, [metric])
    np.testing.assert_allclose(forth[metric], back[metric], atol=1e-5)


@pytest.mark.parametrize("metric", ALL)
def test_mirrored_and_turned_pairs_score_alike(metric, images, noise):
    other = images + 0.02 * noise
    first = Reference(images).scores(other, [metric])[metric]
    even = metric in ("ssim", "psnr", "mdsi", "fsim")  # the others keep every second pixel, which a mirror exchanges
    for turn in (lambda a: a[:, ::-1], lambda a: a.transpose(0, 2, 1)):
        again = Reference(turn(images)).scores(turn(other), [metric])[metric]
        np.testing.assert_allclose(again, first, atol=1e-4 if even else 2e-2)


@pytest.mark.parametrize("metric", ALL)
def test_unit_of_the_images_does_not_matter(metric, images, noise):
    other = images + 0.02 * noise
    counts = Reference(images * 4000, data_range=4000).scores(other * 4000, [metric])[metric]
    np.testing.assert_allclose(counts, Reference(images).scores(other, [metric])[metric], rtol=1e-4)


def test_batch_equals_one_by_one_and_remembered_equals_fresh(monkeypatch):
    reference, others = spots(7, 48), spots(14, 48, seed=9)
    monkeypatch.setattr("phasekit.nmf.image_metrics.reference._BATCH_PIXELS", 3 * 48 * 52)
    one = Reference(reference)
    one.scores(others[:7])
    batch = one.scores(others[7:])
    for i in range(7):
        alone = Reference(reference[i : i + 1]).scores(others[7 + i : 8 + i])
        for metric in ALL:
            np.testing.assert_allclose(alone[metric], batch[metric][i], rtol=2e-5, atol=1e-6)


def test_what_depends_on_the_reference_is_computed_once(images, noise, monkeypatch):
    seen = []
    congruency = phase_congruency.compute_phase_congruency
    monkeypatch.setattr(phase_congruency, "compute_phase_congruency", lambda a: seen.append(len(a)) or congruency(a))
    reference = Reference(images)
    for level in (0.01, 0.02, 0.03):
        reference.scores(images + level * noise, ["fsim"])
    assert sum(seen) == 4 * len(images)


# --- against independent code and closed forms -----------------------------------------------------------------------


@pytest.mark.parametrize("metric", ALL)
def test_every_metric_equals_an_independent_implementation(metric):
    reference = spots(2, 160)[:, :, :160]
    noise = np.random.default_rng(1).normal(size=reference.shape)
    image = (reference + 0.03 * noise).clip(0, 1).astype(np.float32)
    image[1] = reference[0]
    found = Reference(reference).scores(image, [metric])[metric]
    np.testing.assert_allclose(found, KNOWN[metric], rtol=0, atol=1e-4)


def test_psnr_and_ssim_equal_scikit_image(images, noise):
    other = (images + 0.03 * noise).astype(np.float32)
    found = Reference(images).scores(other, ("psnr", "ssim"))
    settings = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for i, (a, b) in enumerate(zip(images.astype(float), other.astype(float), strict=True)):
        assert found["psnr"][i] == pytest.approx(theirs.peak_signal_noise_ratio(a, b, data_range=1), abs=1e-4)
        assert found["ssim"][i] == pytest.approx(theirs.structural_similarity(a, b, **settings), abs=1e-5)


def test_ms_ssim_of_one_scale_is_ssim_with_the_small_window():
    from scipy.ndimage import gaussian_filter

    a = spots(1, 48)[:, 20:31, 20:31]
    b = (a + 0.05 * np.random.default_rng(2).normal(size=a.shape)).astype(np.float32)
    mean = lambda image: gaussian_filter(image.astype(float), 1.5, truncate=2)[3:-3, 3:-3]  # noqa: E731
    mean_a, mean_b, product = mean(a[0]), mean(b[0]), mean(a[0] * b[0])
    spread = mean(a[0] ** 2) - mean_a**2 + mean(b[0] ** 2) - mean_b**2
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    expected = (luminance * (2 * (product - mean_a * mean_b) + 9e-4) / (spread + 9e-4)).mean()
    assert Reference(a).scores(b, ["ms_ssim"])["ms_ssim"][0] == pytest.approx(expected, abs=1e-5)
    assert 0.2 < expected < 0.95


def test_gradients_equal_scipy(images):
    from scipy.ndimage import correlate

    for across in (_filters.PREWITT, _filters.SCHARR):
        x = np.outer(across, [-1, 0, 1])
        expected = np.hypot(*(correlate(images[0], k, mode="constant") for k in (x, x.T)))
        np.testing.assert_allclose(_filters.compute_gradient(images, across)[0], expected, atol=1e-6)


def test_local_means_equal_scipy(images):
    from scipy.ndimage import correlate

    weights = _filters.make_gaussian(9, 1.8)
    expected = correlate(images[0], np.outer(weights, weights))[4:-4:2, 4:-4:2]
    np.testing.assert_allclose(_filters.compute_local_mean(images, weights, 2)[0], expected, atol=1e-6)


def test_halving_odd_images():
    odd = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    np.testing.assert_allclose(_filters.halve_images(odd, "edge")[0], [[2, 3.5], [6.5, 8]])
    np.testing.assert_allclose(_filters.halve_images(odd, "constant")[0], [[2, 1.75], [3.25, 2]])


def test_large_images_are_shrunk():
    image = np.arange(512 * 513, dtype=np.float32).reshape(1, 512, 513)
    small = _filters.shrink_images(image)
    assert small.shape == (1, 256, 256)
    assert small[0, 0, 0] == image[0, :2, :2].mean()
    assert _filters.shrink_images(image[:, :383]).shape == (1, 383, 513)


def test_phase_congruency_sees_steps_whatever_their_height():
    step = np.zeros((2, 64, 64), dtype=np.float32)
    step[0, :, 32:], step[1, :, 32:] = 0.1, 1.0
    faint, strong = phase_congruency.compute_phase_congruency(step)
    np.testing.assert_allclose(faint, strong, atol=0.01)
    assert strong[32, 30:34].max() > 0.7
    assert strong[32, 36:42].max() < 0.35  # beyond, the middle between this edge and the periodic one is in phase


def test_vif_of_a_higher_contrast_exceeds_one(images):
    stronger = Reference(images).scores(1.3 * images, ["vif_p"])["vif_p"]
    assert (stronger > 1.01).all()


# --- the labelled doors ----------------------------------------------------------------------------------------------


def test_any_chunking_gives_the_same_scores_and_stays_lazy(pair):
    clean, noisy = pair
    whole = pk.nmf.image_quality(clean, noisy)
    for chunks in ({"scan_x": 2}, {"scan_y": 1, "qy": 20, "qx": 11}):
        lazy = pk.nmf.image_quality(clean.chunk(chunks), noisy.chunk({"scan_y": 1}))
        assert all(variable.chunks is not None for variable in lazy.data_vars.values())
        xr.testing.assert_allclose(lazy.compute(), whole, rtol=1e-5, atol=1e-6)
    half_lazy = pk.nmf.image_quality(clean, noisy.chunk({"scan_y": 1}))
    xr.testing.assert_allclose(half_lazy.compute(), whole, rtol=1e-5, atol=1e-6)


def test_doors_read_nothing_before_they_are_asked(pair, scan, factors):
    def explode(block):
        raise AssertionError("a block was read")

    def lazy(array):
        data = da.ones(array.shape, chunks=1).map_blocks(explode, dtype=float, meta=np.empty((0,) * array.ndim))
        return array.copy(data=data)

    pk.nmf.image_quality(lazy(pair[0]), pair[1])
    pk.nmf.component_quality(factors, scan.assign(intensity=lazy(scan.intensity)))


def test_scores_follow_the_leading_dimensions_and_their_order(pair):
    clean, noisy = pair
    found = pk.nmf.image_quality(clean, noisy.transpose("qx", "scan_x", "qy", "scan_y"), metrics=["ssim", "vif_p"])
    require(found, IMAGE_QUALITY, step="test")
    span = float(clean.max())
    one = Reference(clean[1, 2].fillna(0).values[None], data_range=span)
    expected = one.scores(noisy[1, 2].where(clean[1, 2].notnull(), 0).values[None], ["ssim"])["ssim"][0]
    assert float(found.ssim[1, 2]) == pytest.approx(expected, abs=1e-5)
    assert pk.nmf.image_quality(clean[0, 0], noisy[0, 0], metrics="psnr").psnr.shape == ()


def test_masked_pixels_do_not_count(pair):
    clean, noisy = pair
    seen = clean.notnull()
    wild = noisy.where(seen, 1e6)
    xr.testing.assert_equal(pk.nmf.image_quality(clean, wild), pk.nmf.image_quality(clean, noisy))
    other_side = pk.nmf.image_quality(clean.fillna(1e6), noisy.where(seen))
    xr.testing.assert_equal(other_side, pk.nmf.image_quality(clean, noisy))


def test_what_means_nothing_is_nan(pair):
    clean, noisy = pair
    gone = pk.nmf.image_quality(clean, noisy.where(noisy.scan_x != 1))
    for name, score in gone.data_vars.items():
        assert score.isnull().sum() == 2, name
        assert score[:, 1].isnull().all()
    assert pk.nmf.image_quality(0 * clean, noisy, metrics=["psnr"]).psnr.isnull().all()


def test_data_range_is_the_largest_reference_or_what_is_said(pair):
    clean, noisy = pair
    found = pk.nmf.image_quality(clean, noisy, metrics=["psnr"])
    said = pk.nmf.image_quality(clean, noisy, metrics=["psnr"], data_range=float(clean.max()))
    xr.testing.assert_allclose(found, said)
    twice = pk.nmf.image_quality(clean, noisy, metrics=["psnr"], data_range=2 * float(clean.max()))
    np.testing.assert_allclose(twice.psnr - found.psnr, 20 * np.log10(2), atol=1e-3)


def test_without_a_choice_every_metric_that_fits(pair):
    small = [array.isel(qy=slice(24), qx=slice(24)) for array in pair]
    assert set(pk.nmf.image_quality(*small).data_vars) == set(ALL) - {"vif_p"}
    assert set(pk.nmf.image_quality(*pair).data_vars) == set(ALL)


def test_input_untouched(pair, scan, factors):
    before = [data.copy(deep=True) for data in (*pair, scan, factors)]
    pk.nmf.image_quality(*pair, metrics=ALL)
    pk.nmf.component_quality(factors, scan)
    for data, old in zip((*pair, scan, factors), before, strict=True):
        xr.testing.assert_identical(data, old)
    images = spots(2, 48)
    copy = images.copy()
    Reference(images).scores(images)
    np.testing.assert_array_equal(images, copy)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda a: a.values, ["needs an xarray.DataArray", "patterns.intensity"]),
        (lambda a: a.rename(qy="y"), ["needs an xarray.DataArray", ".rename"]),
        (lambda a: a.astype(complex), ["complex128", "real numbers"]),
        (lambda a: a.isel(qx=slice(40)), ["need the same", "Crop"]),
        (lambda a: a.isel(scan_y=0), ["need the same", "broadcast"]),
        (lambda a: a.assign_coords(scan_y=[5, 6]), ["coordinates", "differ"]),
    ],
)
def test_what_cannot_be_compared_is_refused(pair, damage, words):
    clean = pair[0].assign_coords(scan_y=[0, 1])
    with pytest.raises(SchemaError, match=r"^image_quality: ") as caught:
        pk.nmf.image_quality(clean, damage(pair[1].assign_coords(scan_y=[0, 1])))
    for word in words:
        assert word in str(caught.value)


def test_wrong_settings_are_refused(pair):
    with pytest.raises(SchemaError, match=r"image_quality: metrics = .*needs some of .*'ssim'.*Leave out \['sim'\]"):
        pk.nmf.image_quality(*pair, metrics=["sim"])
    with pytest.raises(SchemaError, match="Name at least one"):
        pk.nmf.image_quality(*pair, metrics=[])
    with pytest.raises(SchemaError, match="data_range = 0"):
        pk.nmf.image_quality(*pair, data_range=0)
    with pytest.raises(SchemaError, match=r"40 x 52 px, needs at least 41 px for 'vif_p'"):
        pk.nmf.image_quality(*(array.isel(qy=slice(40)) for array in pair), metrics=["ssim", "vif_p"])
    with pytest.raises(SchemaError, match=r"needs \(n, y, x\)"):
        Reference(np.ones((5, 5)))
    with pytest.raises(SchemaError, match="needs a positive number"):
        Reference(np.ones((1, 5, 5)), data_range=float("nan"))
    with pytest.raises(SchemaError, match=r"one for each reference"):
        Reference(np.ones((2, 5, 5))).scores(np.ones((1, 5, 5)), ["psnr"])


# --- components ------------------------------------------------------------------------------------------------------


def test_component_quality_is_what_it_says(factors, scan):
    found = pk.nmf.component_quality(factors, scan, metrics=["psnr", "mdsi"])
    require(found, COMPONENT_QUALITY, step="test")
    factor, loading = (factors[name].values.astype(float) for name in ("factor", "loading"))
    seen = np.isfinite(factor[0])
    assert not seen.all()
    best = np.where(seen, factor, 0) * loading.max(axis=(1, 2))[:, None, None]
    strongest = (loading * np.sqrt((np.where(seen, factor, 0) ** 2).sum(axis=(1, 2)))[:, None, None]).argmax(axis=0)
    means = np.array([np.where(seen, scan.intensity.values[strongest == i].mean(axis=0), 0) for i in range(4)])
    np.testing.assert_array_equal(found.n_assigned, [(strongest == i).sum() for i in range(4)])
    fidelity = Reference(means, data_range=means.max()).scores(best, ["psnr", "mdsi"])
    pair = Reference(best[[2]], data_range=best.max()).scores(best[[0]], ["psnr", "mdsi"])
    for metric in ("psnr", "mdsi"):
        np.testing.assert_allclose(found[f"fidelity_{metric}"], fidelity[metric], atol=1e-4)
        assert float(found[f"pairwise_{metric}"][2, 0]) == pytest.approx(pair[metric][0], abs=1e-4)
        np.testing.assert_array_equal(found[f"pairwise_{metric}"].isnull(), np.eye(4, dtype=bool))


def test_doubled_component_shows_in_the_pairs(scan):
    truth = pk.nmf.truth_as_factors(scan).isel(component=[0, 1, 2, 0]).drop_vars("component", errors="ignore")
    pairs = pk.nmf.component_quality(truth, scan, metrics=["ssim"]).pairwise_ssim.values
    assert pairs[0, 3] == pytest.approx(1, abs=1e-6)
    assert np.nanmax(pairs[:3, :3]) < 0.99


def test_true_components_are_more_faithful_than_exchanged_ones(factors, scan):
    right = pk.nmf.component_quality(factors, scan, metrics=["ssim", "gmsd"])
    wrong = factors.assign(factor=factors.factor.copy(data=np.roll(factors.factor.values, 1, axis=0)))
    wrong = pk.nmf.component_quality(wrong, scan, metrics=["ssim", "gmsd"])
    assert float(right.fidelity_ssim.mean()) > float(wrong.fidelity_ssim.mean())
    assert float(right.fidelity_gmsd.mean()) < float(wrong.fidelity_gmsd.mean())


def test_scale_between_factor_and_loading_does_not_matter(factors, scan):
    scale = xr.DataArray([0.1, 5, 1, 30], dims="component")
    other = factors.assign(factor=factors.factor * scale, loading=factors.loading / scale)
    first, second = (pk.nmf.component_quality(data, scan) for data in (factors, other))
    xr.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)


def test_component_quality_with_any_chunking(factors, scan):
    whole = pk.nmf.component_quality(factors, scan)
    for chunks in ({"scan_y": 3}, {"scan_y": 4, "scan_x": 5, "qy": 9, "qx": 20}):
        lazy = pk.nmf.component_quality(factors, scan.chunk(chunks))
        assert lazy.fidelity_ssim.chunks is not None
        xr.testing.assert_allclose(lazy.compute(), whole, rtol=1e-5, atol=1e-6)
    lazy = pk.nmf.component_quality(factors.chunk(component=2, scan_y=3, qy=7), scan)
    assert lazy.pairwise_ssim.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), whole, rtol=1e-4, atol=1e-5)


def test_patterns_are_read_once(factors, scan):
    reads = []

    def count(block):
        reads.append(block.shape)
        return block

    lazy = scan.intensity.chunk(scan_y=5).data.map_blocks(count, dtype=scan.intensity.dtype, meta=np.empty((0,) * 4))
    pk.nmf.component_quality(factors, scan.assign(intensity=scan.intensity.copy(data=lazy))).compute()
    assert len(reads) == 2


def test_component_that_is_nowhere_strongest_or_empty(factors, scan):
    loading = factors.loading.copy(deep=True)
    loading[3] = 0
    found = pk.nmf.component_quality(factors.assign(loading=loading), scan, metrics=["psnr"])
    assert int(found.n_assigned[3]) == 0
    assert np.isnan(found.fidelity_psnr[3])
    assert found.fidelity_psnr[:3].notnull().all()
    assert int(found.pairwise_psnr.notnull().sum()) == 6
    alone = pk.nmf.component_quality(factors.isel(component=[1]), scan, metrics=["psnr"])
    assert alone.pairwise_psnr.shape == (1, 1)
    assert np.isnan(alone.pairwise_psnr).all()


def test_wrong_components_are_refused(factors, scan):
    with pytest.raises(SchemaError, match="no variable 'loading'"):
        pk.nmf.component_quality(scan, scan)
    with pytest.raises(SchemaError, match=r"need the same\. Hand in the patterns that were factorised"):
        pk.nmf.component_quality(factors, scan.isel(qy=slice(16)))
    with pytest.raises(SchemaError, match=r"32 x 32 px, needs at least 41 px for 'vif_p'"):
        pk.nmf.component_quality(factors, scan, metrics=["vif_p"])


def test_round_trips(pair, factors, scan, tmp_path):
    made = {"images": pk.nmf.image_quality(*pair), "components": pk.nmf.component_quality(factors, scan)}
    for name, data in made.items():
        for ending in ("nc", "zarr"):
            pk.io.save(data, tmp_path / f"{name}.{ending}")
            xr.testing.assert_identical(pk.io.load(tmp_path / f"{name}.{ending}").compute(), data)
    record = json.loads(made["components"].attrs["provenance"])[-1]
    assert record["settings"]["metrics"] == ["psnr", "ssim", "gmsd", "mdsi"]
    assert made["images"].psnr.attrs["units"] == "dB"


def test_schema_knows_every_metric():
    assert tuple(variable.name for variable in IMAGE_QUALITY.variables) == ALL
