import numpy as np
import pytest

import phasekit as pk
from phasekit.errors import SchemaError

# Cao et al. 2025, K-component loss for k = 3..20, two runs; both curves have their knee at 8.
FIRST = [5035, 4570, 4136, 3716, 3445, 3287, 3256, 3124, 3080, 2896, 2890, 2807, 2807, 2694, 2835, 2826, 2763, 2637]
SECOND = [5008, 4440, 4062, 3823, 3531, 3288, 3174, 3125, 3080, 2939, 2926, 2863, 2828, 2784, 2875, 2783, 2739, 2771]


@pytest.mark.parametrize("curve", [FIRST, SECOND])
def test_published_curves_give_eight(curve):
    knee = pk.nmf.published_knee(np.array(curve) * 1e-6, range(3, 21))
    assert knee == 8
    assert pk.nmf.published_window(knee) == (4, 12)


def test_knee_does_not_depend_on_the_scale_of_the_loss():
    assert pk.nmf.published_knee(1e4 * np.array(FIRST) + 7, range(3, 21)) == 8


@pytest.mark.parametrize("curve", [[1, 2], [1, np.nan, 0], [1, 1, 1], [1, 2, 3]])
def test_curve_without_knee_is_refused(curve):
    with pytest.raises(SchemaError, match="published_knee"):
        pk.nmf.published_knee(curve, range(len(curve)))


@pytest.fixture(scope="module")
def features():
    scan = pk.synthetic.overlapping_grains(n_components=4, shape=(20, 24), detector=(40, 40), dose=3000, seed=21)
    return pk.nmf.to_features(scan)


@pytest.fixture(scope="module")
def ranks(features):
    return pk.nmf.scan_ranks(features, range(2, 9), n_runs=3, progress=False)


def test_chooses_the_true_number(ranks):
    assert ranks.attrs["held_out"] == "poisson_thinning"
    assert pk.nmf.choose_rank(ranks) == 5
    votes = pk.nmf.rank_votes(ranks)
    assert float(votes.probability.sum()) == pytest.approx(1)
    assert votes.attrs["k_low"] <= 5 <= votes.attrs["k_high"]
    assert pk.nmf.choose_rank(ranks, rule="published") == int(votes.vote.sel(rule="published"))


@pytest.mark.slow
@pytest.mark.parametrize(("grains", "dose", "seed"), [(2, 1000, 1), (6, 3000, 2), (8, 6000, 3)])
def test_chooses_the_true_number_elsewhere(grains, dose, seed):
    scan = pk.synthetic.overlapping_grains(n_components=grains, shape=(24, 28), detector=(48, 48), dose=dose, seed=seed)
    ranks = pk.nmf.scan_ranks(pk.nmf.to_features(scan), range(2, grains + 4), n_runs=3, progress=False)
    assert abs(pk.nmf.choose_rank(ranks) - (grains + 1)) <= 1


def test_training_loss_falls_where_held_out_error_rises(ranks):
    loss, held = ranks.loss.mean("run").to_numpy(), ranks.held_out_error.mean("run").to_numpy()
    assert loss[-1] <= loss[3] * 1.001
    assert held[-1] > held[3]


def test_what_are_no_counts_is_cross_validated_in_blocks(features):
    plain = features.assign_attrs(counts=0)
    ranks = pk.nmf.scan_ranks(plain, [3, 4, 5, 6], n_runs=2, progress=False)
    assert ranks.attrs["held_out"] == "bi_cross_validation"
    assert pk.nmf.choose_rank(ranks, rule="held_out") in (4, 5)


def test_every_rule_votes_and_evidence_is_complete(ranks):
    votes = pk.nmf.rank_votes(ranks).vote
    expected = {"combined", "published", "held_out", "deviance", "stability", "redundancy", "scree", "psnr", "ssim"}
    assert set(votes.rule.values) == expected
    assert all(abs(int(votes.sel(rule=name)) - 5) <= 1 for name in ("held_out", "deviance", "scree", "psnr"))
    assert (ranks.gain[1:4] > 5).all()
    assert (ranks.gain[4:] < -2).all()


def test_image_metrics_on_request(features):
    found = pk.nmf.scan_ranks(features, [4, 5, 6], n_runs=1, metrics=["gmsd", "vif_p", "ms_ssim"], progress=False)
    assert {"gmsd", "ms_ssim"} <= set(found) - {"psnr"}
    assert "vif_p" not in found  # needs 41 px, the detector has 40
    with pytest.raises(SchemaError, match="metrics"):
        pk.nmf.scan_ranks(features, [4, 5, 6], metrics=["beauty"], progress=False)


def test_any_chunking_same_evidence(features):
    settings = {"n_runs": 2, "progress": False}
    lazy = features.chunk(scan_y=7, scan_x=5)
    first, second = (
        pk.nmf.scan_ranks(features, [4, 5, 6], **settings),
        pk.nmf.scan_ranks(lazy, [4, 5, 6], in_memory=False, **settings),
    )
    for name in ("held_out_error", "loss", "relative_error"):
        np.testing.assert_allclose(second[name], first[name], rtol=1e-4)


def test_holes_cannot_be_held_out(features):
    with pytest.raises(SchemaError, match="missing values"):
        pk.nmf.scan_ranks(features.assign_attrs(missing=1), [2, 3, 4], progress=False)


def test_ranks_without_the_newer_evidence_still_give_a_choice(ranks):
    old = ranks[["loss", "held_out_error", "stability", "redundancy"]]
    votes = pk.nmf.rank_votes(old)
    assert abs(int(votes.vote.sel(rule="combined")) - 5) <= 1
    assert "scree" not in votes.rule


def test_same_seed_same_numbers(features):
    first, second = (pk.nmf.scan_ranks(features, [2, 3, 4], n_runs=2, seed=4, progress=False) for _ in range(2))
    np.testing.assert_array_equal(first.held_out_error, second.held_out_error)


def test_refusals(features, ranks):
    with pytest.raises(SchemaError, match="at least 3 ranks"):
        pk.nmf.scan_ranks(features, [2, 3], progress=False)
    with pytest.raises(SchemaError, match="needs 1 to"):
        pk.nmf.scan_ranks(features, [2, 3, 400], progress=False)
    with pytest.raises(SchemaError, match="needs one of"):
        pk.nmf.choose_rank(ranks, rule="aic")
    with pytest.raises(SchemaError, match="no evidence"):
        pk.nmf.choose_rank(ranks.assign(stability=np.nan * ranks.stability), rule="stability")
