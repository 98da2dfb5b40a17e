"""Kind of the noise measured on an X-ray stack."""

from .core import Schema, Variable

_BY_ESTIMATOR = ("estimator",)

NOISE = Schema(
    "NOISE",
    (
        Variable("gain", ("energy",), "counts", "variance over mean of the counts as they are"),
        Variable("gain_error", ("energy",), "counts", "standard error of the gain"),
        Variable("noise_source", (), "1", "estimator that was used"),
        # In optical density, since that is what later steps fit.
        Variable("noise_estimate", _BY_ESTIMATOR, "1", "noise of the optical density at the median counts"),
        Variable("noise_estimate_error", _BY_ESTIMATOR, "1", "standard error of the noise"),
        # Not zero after an interpolation, a smoothing, or with a beam that fluctuates slowly.
        Variable("noise_correlation", (), "1", "correlation of the noise of adjacent pixels"),
        Variable("noise_correlation_error", (), "1", "standard error of the correlation"),
        Variable("position_noise", (), "px", "random error of a pixel's position"),
        Variable("position_noise_error", (), "px", "standard error of the position's error"),
        Variable("n_components", (), "1", "components of the spectra that were removed"),
    ),
    "pk.stxm.estimate_noise",
)
