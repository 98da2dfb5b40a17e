"""The factorisation workflow on its sample: every public step, with few values of k and few runs."""

from pathlib import Path
from typing import Any

from .steps import Recorder

K = 7


def run_nmf(run: Recorder, samples: Path) -> None:
    patterns = run("io.open_4dstem", samples / "nmf_grains.nc")
    mask = run("nmf.find_mask", patterns)
    run("nmf.estimate_gain", patterns)
    features = run("nmf.to_features", patterns, mask=mask)
    _other_features(run, patterns)
    ranks = run("nmf.scan_ranks", features, range(5, 9), n_runs=2, seed=0, progress=False)
    _choose(run, ranks)
    fitted = run("nmf.factorise", features, K, seed=0)
    _other_fits(run, features)
    background = run("nmf.propose_background", fitted)
    factors = run("nmf.separate_background", fitted, background=background)
    _judge(run, patterns, features, factors, background)
    variants = {"scaled": {}, "anscombe": {"scale": "anscombe"}}
    run("nmf.compare_variants", patterns, K, variants, seed=0)
    small = {"n_components": 3, "shape": (16, 16), "detector": (32, 32)}
    run("synthetic.overlapping_grains", **small)


def _other_features(run: Recorder, patterns: Any) -> None:
    run("nmf.to_features", patterns, bin=2, scan_mean=True, step="nmf.to_features binned, mean")
    run("nmf.to_features", patterns, scale="anscombe", step="nmf.to_features anscombe")
    run("nmf.to_features", patterns, scale=None, step="nmf.to_features unscaled")


def _choose(run: Recorder, ranks: Any) -> None:
    run("nmf.rank_votes", ranks)
    for rule in ("combined", "published"):
        run("nmf.choose_rank", ranks, rule=rule, step=f"nmf.choose_rank {rule}")
    knee = run("nmf.published_knee", [9.0, 5.0, 2.0, 1.8, 1.7], [2, 3, 4, 5, 6])
    run("nmf.published_window", knee)


def _other_fits(run: Recorder, features: Any) -> None:
    loss = {"loss": "kullback-leibler", "tolerance": 1e-3}
    run("nmf.factorise", features, 3, n_starts=2, step="nmf.factorise KL", **loss)
    wishes = {"sparsity": 0.1, "n_starts": 1, "max_iterations": 60}
    run("nmf.factorise", features, 3, step="nmf.factorise sparse", **wishes)
    run("nmf.factorise_ranks", features, (3, 5), n_starts=2, seed=0, progress=False)


def _judge(run: Recorder, patterns: Any, features: Any, factors: Any, background: Any) -> None:
    run("nmf.component_quality", factors, patterns)
    first, second = patterns["intensity"][10, 10], patterns["intensity"][11, 10]
    run("nmf.image_quality", first.astype("float64"), second.astype("float64"))
    run("nmf.find_overlap", factors, threshold=0.75, background=background)
    run("nmf.overlap_fraction", factors, 0.75, background=background)
    run("nmf.overlap_evolution", factors)
    loadings = run("nmf.fit_loadings", features, factors)
    probable = run("nmf.overlap_probability", loadings, factors, threshold=0.75, background=background)
    run("nmf.compare_overlap", patterns, factors, probable)
    run("nmf.truth_as_factors", patterns)
    matches = run("nmf.match_components", factors, patterns)
    run("nmf.relabel", patterns["truth_loading"].argmax("component"), matches)
    run("nmf.component_patterns", factors)
    run("nmf.to_detector", features, features["feature_value"].isel(scan_y=3, scan_x=4))
