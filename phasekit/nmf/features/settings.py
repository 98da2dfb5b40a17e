"""Settings of the step from patterns to features, and the check that each of them has a meaning."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...errors import SchemaError
from .polar import LAYOUTS
from .weighting import SCALES


class FeatureSettings(NamedTuple):
    """Arguments of :func:`phasekit.nmf.to_features`, in the order of its signature."""

    mask: xr.DataArray | str | None = "auto"
    bin: int = 1  # [px]
    scan_mean: bool = False
    scale: str | None = "poisson"
    centre: Any = None  # "measured", None, a pair (qy, qx) of numbers or arrays [px], or a dataset
    peaks: xr.Dataset | None = None
    layout: str = "cartesian"
    n_sectors: int = 12
    missing: str = "refuse"
    gain: float = 1.0  # counts per electron

    @property
    def keep_missing(self) -> bool:
        """True when NaN stays in the features as "not measured"."""
        return self.missing == "keep"

    @property
    def is_single_pixel(self) -> bool:
        """True when every used detector pixel is a feature of its own."""
        return self.layout == "cartesian" and self.bin == 1


def check_settings(settings: FeatureSettings, width: int) -> None:
    """Refuse settings that have no meaning; ``width`` [px] is the shorter side of the detector."""
    if settings.scale not in SCALES:
        raise SchemaError(f"to_features: scale = {settings.scale!r}, needs 'poisson', 'anscombe' or None.")
    if settings.layout not in LAYOUTS:
        raise SchemaError(f"to_features: layout = {settings.layout!r}, needs one of {', '.join(LAYOUTS)}.")
    if settings.missing not in ("refuse", "keep"):
        raise SchemaError(f"to_features: missing = {settings.missing!r}, needs 'refuse' or 'keep'.")
    # bool is a subclass of int, but bin=True is more likely a mistake than a bin of one pixel.
    for name, value, most, reason in (
        ("bin", settings.bin, width, "the detector's width"),
        ("n_sectors", settings.n_sectors, 360, "360"),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value <= most:
            raise SchemaError(f"to_features: {name} = {value!r}, needs a whole number from 1 to {reason}.")
    # ``not 0 < gain < inf`` is also true for NaN.
    gain = settings.gain
    if not isinstance(gain, int | float | np.number) or not 0 < float(gain) < np.inf:
        raise SchemaError(
            f"to_features: gain = {gain!r}, needs a positive number of counts per electron. "
            "pk.nmf.estimate_gain(patterns) measures it."
        )
