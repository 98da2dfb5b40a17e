import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.stxm.clustering import network as net

TRAINING = pk.stxm.Training(n_steps=40, batch=256)


@pytest.fixture
def small():
    """Untrained network of 3 clusters with a nonlinear decoder, and five pixels, in double precision."""
    torch.manual_seed(0)
    model = net.Network(6, 1, 3, 8).double()
    with torch.no_grad():
        model.shape_mean.copy_(torch.tensor([-1.0, -0.5, 0.2, 1.0, 0.6, -0.3]))
        model.basis.copy_(torch.tensor([[0.3, -0.2, 0.1, 0.2, -0.3, -0.1]]))
        model.project.copy_(model.basis / (model.basis**2).sum())
        model.prior_mean.copy_(torch.tensor([[-1.0], [0.2], [1.5]]))
        model.prior_log_variance.copy_(torch.tensor([[-2.0], [-1.0], [-3.0]]))
        model.prior_logit.copy_(torch.tensor([0.3, 0.0, -0.5]))
        model.log_precision.fill_(-2.0)
        for part in model.decode_more.parameters():
            part.copy_(0.2 * torch.randn_like(part))
    x = 0.8 * model.decode_shape(torch.tensor([[-1.0], [0.0], [0.3], [1.2], [1.6]]).double()).detach()
    return model, x + 0.05 * torch.randn_like(x), torch.full_like(x, 0.1)


def _log_evidence(model, x, noise):
    """log p(x) by brute force: a sum over clusters and a fine grid over z."""
    z = torch.linspace(-8, 8, 8001, dtype=torch.float64)[:, None]
    step = float(z[1] - z[0])
    likelihood = net.compute_log_likelihood(
        x[:, None], noise[:, None], model.decode_shape(z)[None], net.THICKNESS_SPREAD
    )
    deviation = torch.exp(0.5 * model.prior_log_variance)
    prior = torch.distributions.Normal(model.prior_mean, deviation).log_prob(z.T)  # (k, grid)
    joint = likelihood[:, None] + prior[None] + model.compute_log_prior()[None, :, None]
    return torch.logsumexp(joint, dim=(1, 2)) + np.log(step)


def test_bound_is_below_the_exact_evidence_and_close_to_it(small):
    model, x, noise = small
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        draws = torch.stack([net.compute_elbo(model, x, noise, generator).total for _ in range(400)])
        exact = _log_evidence(model, x, noise)
    error = draws.std(0) / 20
    assert (draws.mean(0) <= exact + 4 * error).all()
    # a bound that ignored the data would lie tens of nat lower
    assert (exact - draws.mean(0)).max() < 5.0


def test_marginal_over_thickness_and_constant_equals_the_dense_gaussian():
    rng = np.random.default_rng(0)
    shape, noise, x = rng.normal(size=(4, 7)), rng.uniform(0.05, 0.3, (4, 7)), rng.normal(size=(4, 7))
    found = net.compute_log_likelihood(
        *(torch.tensor(part)[:, None] for part in (x, noise)), torch.tensor(shape)[:, None], 3.0
    )
    from scipy.stats import multivariate_normal

    for index in range(4):
        one = np.ones(7)
        covariance = np.diag(noise[index] ** 2) + 9.0 * np.outer(shape[index], shape[index])
        covariance += net.CONSTANT_SPREAD**2 * np.outer(one, one)
        expected = multivariate_normal(np.zeros(7), covariance).logpdf(x[index])
        assert float(found[index, 0]) == pytest.approx(expected, rel=1e-8)


def test_likelihood_does_not_see_a_constant_and_hardly_the_thickness():
    rng = np.random.default_rng(1)
    shapes = torch.tensor(rng.normal(size=(1, 3, 8)))
    x, noise = 0.5 * shapes[:, :1], torch.full((1, 1, 8), 0.05).double()
    plain = net.compute_log_likelihood(x, noise, shapes, net.THICKNESS_SPREAD)
    for other in (x + 0.9, 1.7 * x):
        changed = net.compute_log_likelihood(other, noise, shapes, net.THICKNESS_SPREAD)
        assert int(changed.argmax()) == int(plain.argmax()) == 0


def test_divergences_are_not_negative_and_zero_for_equal_distributions():
    generator = torch.Generator().manual_seed(0)
    mean, prior = torch.randn(2, 50, 3, generator=generator)
    log_variance, variance = torch.randn(50, 3, generator=generator), torch.rand(50, 3, generator=generator) + 0.1
    assert (net.compute_gaussian_kl(mean, variance, prior, log_variance) > 0).all()
    assert net.compute_gaussian_kl(mean, torch.exp(log_variance), mean, log_variance).abs().max() < 1e-5
    log_q, log_p = torch.log_softmax(torch.randn(2, 50, 4, generator=generator), -1)
    assert (net.compute_categorical_kl(log_q, log_p) > 0).all()
    assert net.compute_categorical_kl(log_q, log_q).abs().max() < 1e-6


def test_gaussian_divergence_equals_torch(small):
    mean, variance, prior, log_variance = torch.randn(4, 10, 2, generator=torch.Generator().manual_seed(3))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, variance.exp().sqrt()),
        torch.distributions.Normal(prior, (0.5 * log_variance).exp()),
    ).sum(-1)
    torch.testing.assert_close(net.compute_gaussian_kl(mean, variance.exp(), prior, log_variance), expected)


def test_posterior_is_exact_bayes_for_a_gaussian_message(small):
    model, x, noise = small
    with torch.no_grad():
        message, posterior = model.encode_message(x, noise), model.compute_posterior(x, noise)
    z = torch.linspace(-10, 10, 20001, dtype=torch.float64)
    prior = torch.distributions.Normal(model.prior_mean, torch.exp(0.5 * model.prior_log_variance)).log_prob(z)
    overlap_log = torch.distributions.Normal(message.mean, message.precision**-0.5).log_prob(z)
    joint = prior[None] + overlap_log[:, None] + model.compute_log_prior()[None, :, None]
    log_cluster = torch.log_softmax(torch.logsumexp(joint, -1), -1)
    torch.testing.assert_close(posterior.log_cluster, log_cluster.detach(), atol=1e-6, rtol=1e-6)
    density = torch.softmax(joint, -1)
    torch.testing.assert_close(posterior.mean[..., 0], (density * z).sum(-1).detach(), atol=1e-5, rtol=1e-5)


def test_same_seed_same_result_and_another_seed_another(od):
    first, again, other = (
        pk.stxm.fit_gmvae(od, n_clusters=4, seed=seed, progress=False, training=TRAINING) for seed in (5, 5, 6)
    )
    for name, values in first.parameters.items():
        np.testing.assert_array_equal(values, again.parameters[name])
    assert any(not np.array_equal(values, other.parameters[name]) for name, values in first.parameters.items())


def test_torch_state_is_left_alone(od):
    torch.manual_seed(3)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    pk.stxm.fit_gmvae(od, n_clusters=3, progress=False, training=TRAINING)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_training_raises_the_bound(od):
    history = pk.stxm.fit_gmvae(
        od, n_clusters=6, seed=2, progress=False, training=pk.stxm.Training(n_steps=200, batch=512)
    ).history
    bound = history["reconstruction"] - history["kl_latent"] - history["kl_cluster"]
    assert float(bound[-30:].mean()) > float(bound[:30].mean())


def test_clusters_are_phases_not_thicknesses(stack, clusters, od):
    both = ((stack["truth_phase"] >= 0) & (clusters["label"] >= 0)).values
    label, truth = clusters["label"].values[both], stack["truth_phase"].values[both]
    purity = sum(np.bincount(truth[label == index]).max() for index in np.unique(label)) / label.size
    assert purity > 0.9
    assert float(clusters["share"].sum()) == pytest.approx(1.0)


def test_responsibilities_sum_to_one_and_background_has_none(od, clusters):
    material = od["valid"] & ~od["empty"]
    total = clusters["responsibility"].sum("cluster", skipna=False)
    np.testing.assert_allclose(total.values[material.values], 1.0, atol=1e-6)
    assert np.isnan(total.values[~material.values]).all()
    assert (clusters["label"].values[~material.values] == -1).all()
    assert (clusters["label"].values[material.values] >= 0).all()


def test_mean_spectra_are_weighted_means(od, clusters):
    weight = clusters["responsibility"].fillna(0.0)
    expected = (weight * od["optical_density"].fillna(0.0)).sum(("scan_y", "scan_x")) / weight.sum(("scan_y", "scan_x"))
    np.testing.assert_allclose(clusters["spectrum"], expected.transpose("cluster", "energy"), rtol=1e-6)
    assert (clusters["spectrum_error"] > 0).all()


def test_assignment_is_lazy_and_any_chunking_is_the_same(od, gmvae, clusters):
    lazy = pk.stxm.assign_clusters(od.chunk({"energy": 4, "scan_y": 17, "scan_x": 25}), gmvae)
    assert isinstance(lazy["responsibility"].data, da.Array)
    np.testing.assert_allclose(lazy["responsibility"], clusters["responsibility"], atol=1e-5)
    np.testing.assert_allclose(lazy["spectrum"], clusters["spectrum"], atol=1e-5)


def test_input_untouched_and_round_trip(od, gmvae, clusters, tmp_path):
    before = od.copy(deep=True)
    pk.stxm.assign_clusters(od, gmvae)
    xr.testing.assert_identical(od, before)
    pk.io.save(clusters, tmp_path / "clusters.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "clusters.nc").compute(), clusters)


def test_wrong_input_says_the_cure(od, gmvae):
    with pytest.raises(SchemaError, match="at least 4"):
        pk.stxm.fit_gmvae(od.isel(energy=[0, 1, 2]))
    with pytest.raises(SchemaError, match="Lower n_clusters"):
        pk.stxm.fit_gmvae(od, n_clusters=10_000)
    nothing = od.assign(empty=xr.ones_like(od["valid"]))
    with pytest.raises(SchemaError, match="0 material pixels"):
        pk.stxm.fit_gmvae(nothing)
    with pytest.raises(SchemaError, match="Train it on this energy list"):
        pk.stxm.assign_clusters(od.isel(energy=slice(0, 8)), gmvae)


def test_several_runs_agree_with_themselves_and_make_a_consensus(od):
    fitted = pk.stxm.fit_gmvae(od, n_clusters=5, n_runs=3, seed=2, progress=False, training=TRAINING)
    assert len(fitted.others) == 2
    assert sorted(run.settings["seed"] for run in (fitted, *fitted.others)) == [2, 3, 4]
    np.testing.assert_allclose(np.diag(fitted.agreement), 1.0)
    np.testing.assert_allclose(fitted.agreement, fitted.agreement.T)
    sums = fitted.agreement.sum(axis=1)
    assert sums[0] == sums.max()
    single = pk.stxm.fit_gmvae(od, n_clusters=5, seed=fitted.settings["seed"], progress=False, training=TRAINING)
    for name, values in single.parameters.items():
        np.testing.assert_array_equal(values, fitted.parameters[name])
    together, one = pk.stxm.assign_clusters(od, fitted), pk.stxm.assign_clusters(od, single)
    material = (one["label"] >= 0).values
    np.testing.assert_allclose(together["responsibility"].sum("cluster").values[material], 1.0, atol=1e-5)
    # clusters of the other runs were matched to those of the first, so most pixels keep their label
    assert (together["label"] == one["label"]).values[material].mean() > 0.7
    assert float(together["responsibility"].max("cluster").mean()) <= float(one["responsibility"].max("cluster").mean())


def test_training_stops_when_held_out_pixels_no_longer_gain(od):
    training = pk.stxm.Training(n_steps=600, batch=128, learning_rate=0.05, patience=1)
    history = pk.stxm.fit_gmvae(od, n_clusters=4, progress=False, training=training).history
    looks = history["held_out"].dropna("step")
    assert history.sizes["step"] < 600
    assert float(looks[-1]) <= float(looks.max())
    never = pk.stxm.Training(n_steps=60, batch=128, held_out=0.0)
    assert pk.stxm.fit_gmvae(od, n_clusters=4, progress=False, training=never).history["held_out"].isnull().all()


def test_stray_light_is_found_without_references():
    from tests.stxm.field import references

    rng = np.random.default_rng(0)
    energy = np.linspace(512, 527, 14)
    at = references()["reference_spectrum"].interp(energy=energy).values
    depth = rng.uniform(0.05, 0.5, (9, 10)).repeat(6, axis=0).repeat(6, axis=1)
    density = depth[..., None] * at[np.arange(60) // 15][None]
    for truth in (0.0, 0.06):
        cube = -np.log((1 - truth) * np.exp(-density) + truth) + rng.normal(0, 0.01, density.shape)
        data = xr.Dataset(
            {
                "optical_density": (("energy", "scan_y", "scan_x"), cube.transpose(2, 0, 1)),
                "noise": (("energy", "scan_y", "scan_x"), np.full((14, 54, 60), 0.01)),
                "valid": (("scan_y", "scan_x"), np.ones((54, 60), bool)),
            },
            coords={"energy": ("energy", energy, {"units": "eV"})},
        )
        fitted = pk.stxm.fit_gmvae(data, n_clusters=4, progress=False, training=TRAINING)
        assert fitted.stray_light == pytest.approx(truth, abs=0.02)
        assert "stray light" in repr(fitted)
