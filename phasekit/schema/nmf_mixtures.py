"""Kinds of datasets computed from a factorisation: loadings with errors, overlap patterns, variants, crystals."""

from functools import partial

from .core import ANY, Schema, Variable

_SCAN = ("scan_y", "scan_x")
_DETECTOR = ("qy", "qx")
# As in the schemas of the factorisation.
_o = partial(Variable, optional=True)

LOADINGS = Schema(
    "LOADINGS",
    (
        Variable("loading", ("component", *_SCAN), ANY, "weight of the component"),
        Variable("loading_error", ("component", *_SCAN), ANY, "standard deviation of the weight"),
        # Loadings of similar patterns are correlated: a ratio needs their covariance.
        Variable("loading_covariance", ("component", "other", *_SCAN), ANY, "covariance of two weights"),
        Variable("share", ("component", *_SCAN), "1", "share of the component in the pattern"),
        Variable("chi_square", _SCAN, "1", "squared misfit per degree of freedom"),
    ),
    "pk.nmf.fit_loadings",
)
OVERLAP_PATTERN = Schema(
    "OVERLAP_PATTERN",
    (
        Variable("measured", _DETECTOR, "counts", "mean pattern of the overlapping scan points"),
        Variable("modelled", _DETECTOR, "counts", "sum of the two components"),
        Variable("first", _DETECTOR, "counts", "share of the first component"),
        Variable("second", _DETECTOR, "counts", "share of the second component"),
        # Stored although it is a difference: "everything modelled" includes the background.
        Variable("residual", _DETECTOR, "counts", "measured minus everything modelled"),
    ),
    "pk.nmf.overlap_pattern",
)
VARIANTS = Schema(
    "VARIANTS",
    (
        Variable("pattern_cosine", ("variant", "truth"), "1", "cosine of the patterns"),
        Variable("loading_correlation", ("variant", "truth"), "1", "Pearson correlation of the maps"),
        Variable("n_features", ("variant",), "1", "number of features"),
        Variable("iterations", ("variant",), "1", "passes over the data"),
    ),
    "pk.nmf.compare_variants",
)
COMPONENT_CRYSTALS = Schema(
    "COMPONENT_CRYSTALS",
    (
        # The names of ORIENTATIONS without the scan, so that both can be compared.
        Variable("phase", ("component",), "1", "phase (index into attrs['phases'], -1: none)"),
        Variable("quaternion", ("component", "wxyz"), "1", "rotation from the sample to the crystal frame"),
        Variable("correlation", ("component",), "1", "correlation index Q"),
        Variable("reliability", ("component",), "1", "orientation reliability (0..100)"),
        Variable("phase_reliability", ("component",), "1", "phase reliability (0..100)"),
        Variable("status", ("component",), "1", "status"),
        _o("explained", ("component",), "1", "share of the modelled counts"),
    ),
    "pk.nmf.component_orientations",
)
CRYSTAL_GROUPS = Schema(
    "CRYSTAL_GROUPS",
    (
        Variable("crystal", ("component",), "1", "crystal (-1: none)"),
        Variable("orientation_group", ("component",), "1", "crystals of one orientation (-1: none)"),
        Variable("evidence", ("component",), "1", "evidence for a crystal"),
        Variable("spot_share", ("component",), "1", "part of the pattern in spots"),
        Variable("order_p_value", ("component",), "1", "p-value of the order of the spots"),
        # Pairs: a decision at another error rate needs no new comparison.
        Variable("same_probability", ("component", "other"), "1", "probability of one orientation"),
        Variable("shared_spots", ("component", "other"), "1", "part of the spots that both patterns have"),
        Variable("rotation_angle", ("component", "other"), "degree", "rotation about the beam between two patterns"),
        Variable("touching", ("component", "other"), "1", "maps touch or overlap"),
        Variable("relation", ("component", "other"), "1", "relation of two components"),
    ),
    "pk.nmf.group_crystals",
)
CRYSTAL_COUNTS = Schema(
    "CRYSTAL_COUNTS",
    (
        Variable("n_crystals", ("rank",), "1", "number of crystals"),
        Variable("n_low", ("rank",), "1", "smallest number of crystals"),
        Variable("n_high", ("rank",), "1", "largest number of crystals"),
        Variable("n_background", ("rank",), "1", "number of components without crystal"),
    ),
    "pk.nmf.count_crystals",
)
