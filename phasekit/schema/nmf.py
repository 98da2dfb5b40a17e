"""Kinds of datasets of the NMF workflow: features, criteria for the number of components, factors, overlap."""

from functools import partial

from .core import ANY, Schema, Variable

_SCAN = ("scan_y", "scan_x")
_DETECTOR = ("qy", "qx")
# Short, because most variables of RANKS are optional.
_o = partial(Variable, optional=True)

FEATURES = Schema(
    "FEATURES", (Variable("feature_value", (*_SCAN, "feature"), ANY, "feature value"),), "pk.nmf.to_features"
)
RANKS = Schema(
    "RANKS",
    (
        Variable("loss", ("rank", "run"), ANY, "K-component loss, mean |V - W H|"),
        Variable("held_out_error", ("rank", "run"), ANY, "error on data the fit has not seen"),
        Variable("stability", ("rank",), "1", "agreement of components between runs"),
        Variable("redundancy", ("rank",), "1", "largest similarity between two components of one fit"),
        # Optional: which criteria there are depends on the settings of the scan over k.
        _o("relative_error", ("rank",), "1", "squared error of the best fit to all data, relative to their square sum"),
        _o("deviance", ("rank", "run"), "1", "Poisson deviance per electron the fit has not seen"),
        _o("gain", ("rank",), "1", "standard errors by which k predicts better than the k before"),
        _o("log_evidence", ("rank",), "1", "logarithm of the evidence for k"),
        _o("unseen", ("rank",), "1", "probability that one more pattern is too weak to be seen"),
        _o("electron_excess", ("rank",), "1", "standard deviations above noise, found again in held-out electrons"),
        _o("neighbour_excess", ("rank",), "1", "standard deviations above noise, coherence of neighbours"),
        _o("scree", ("rank",), "1", "direction number k over the edge of the noise"),
        _o("psnr", ("rank",), ANY, "peak signal-to-noise ratio of held-out patterns"),
        _o("ssim", ("rank",), "1", "structural similarity of held-out patterns"),
        _o("ms_ssim", ("rank",), "1", "multi-scale structural similarity of held-out patterns"),
        _o("gmsd", ("rank",), "1", "gradient magnitude deviation of held-out patterns (0 is best)"),
        _o("mdsi", ("rank",), "1", "mean deviation similarity of held-out patterns (0 is best)"),
        _o("fsim", ("rank",), "1", "feature similarity of held-out patterns"),
        _o("vif_p", ("rank",), "1", "visual information fidelity of held-out patterns"),
    ),
    "pk.nmf.scan_ranks",
)
FACTORS = Schema(
    "FACTORS",
    (
        Variable("loading", ("component", *_SCAN), ANY, "weight of the component"),
        # Factors have the sum 1, so that loadings are in the unit of the data.
        Variable("factor", ("component", *_DETECTOR), "1", "pattern of the component (sum 1)"),
        _o("explained", ("component",), "1", "share of the modelled counts"),
    ),
    "pk.nmf.factorise",
)
OVERLAP = Schema(
    "OVERLAP",
    (
        Variable("label", _SCAN, "1", "dominant component"),
        Variable("partner", _SCAN, "1", "overlapping component"),
        Variable("overlap", _SCAN, "1", "two components overlap here"),
        # The ratio is kept beside the flag: another threshold needs no new fit.
        Variable("ratio", _SCAN, "1", "weight of the partner over that of the label"),
        _o("probability", _SCAN, "1", "probability that two components overlap"),
    ),
    "pk.nmf.find_overlap",
)
