"""One pattern beside the sum of the components: the model, and the residual in standard errors."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def compute_model_pattern(loading: Array, factor: Array) -> Array:
    """Sum (qy, qx) of the factors (component, qy, qx) with their weights (component,); NaN where factors are."""
    return np.asarray(np.tensordot(np.nan_to_num(loading), factor, axes=1))


def standardise_residual(measured: Array, model: Array) -> Array:
    r"""Residual of counts in standard errors, :math:`(n - m) / \sqrt{m}`, with the variance that the model predicts.

    A model below 0.05 counts is taken as 0.05: one electron there is then worth 4 standard errors, not infinitely many.
    """
    return np.asarray((measured - model) / np.sqrt(np.maximum(model, 0.05)))
