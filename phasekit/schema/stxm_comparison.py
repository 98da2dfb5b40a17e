"""Kinds of datasets of the simpler methods that are compared with the GMVAE."""

from .core import ANY, Schema, Variable

_SCAN = ("scan_y", "scan_x")
_BY_REFERENCE = (*_SCAN, "reference")

BASELINE = Schema(
    "BASELINE",
    (
        Variable("phase", _SCAN, "1", "phase (index into reference)"),
        Variable("energy_offset", (), "eV", "energy added to the data's scale to reach the references'"),
        # Everything else depends on the method: fits give amounts, clusterings give labels.
        Variable("runner_up", _SCAN, "1", "second-best phase (index into reference)", optional=True),
        Variable("chi_square", _BY_REFERENCE, "1", "chi-square of the reference alone", optional=True),
        Variable("amount_alone", _BY_REFERENCE, ANY, "amount of the reference alone", optional=True),
        Variable("margin", _SCAN, "1", "chi-square of the runner-up less that of the phase", optional=True),
        Variable("pearson", _BY_REFERENCE, "1", "Pearson correlation with the reference", optional=True),
        Variable("pearson_phase", _SCAN, "1", "phase of the highest Pearson correlation", optional=True),
        # Of clusterings.
        Variable("label", _SCAN, "1", "cluster", optional=True),
        Variable("cluster_phase", ("cluster",), "1", "phase of the cluster (index into reference)", optional=True),
        Variable("cluster_pearson", ("cluster", "reference"), "1", "Pearson correlation of both", optional=True),
        # Of factorisations.
        Variable("explained", ("component",), "1", "share of the variance", optional=True),
        Variable("amount", (*_SCAN, "component"), ANY, "amount of the component", optional=True),
        Variable("component_phase", ("component",), "1", "phase of the component", optional=True),
    ),
    "pk.stxm.match_single_phase, cluster_kmeans, cluster_gaussian_mixture or fit_mcr_als",
)
