"""Where calibrated positions lie on the detector."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def place_on_detector(position: Array, calibrated: Array, found: Array) -> Array:
    """Detector positions (n, 2: y, x) of calibrated ones [1/angstrom], from peaks known in both frames (peak, 2: y, x).

    Calibration is an affine map of the pattern: origin, scale, ellipse and rotation. Three peaks that are not on one
    line determine it. Rows with NaN are left out; NaN with fewer than three peaks.
    """
    usable = np.isfinite(calibrated).all(axis=1) & np.isfinite(found).all(axis=1)
    design = np.column_stack([calibrated[usable], np.ones(usable.sum())])
    if len(design) < 3 or np.linalg.matrix_rank(design) < 3:
        return np.full(position.shape, np.nan)
    frame = np.linalg.lstsq(design, found[usable], rcond=None)[0]
    return np.asarray(np.column_stack([position, np.ones(len(position))]) @ frame)
