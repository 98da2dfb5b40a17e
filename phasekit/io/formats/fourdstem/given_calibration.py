"""Calibration that the caller gives: it wins over what the file states."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ....errors import SchemaError
from .axes import Axis, find_inverse_angstrom, has_scale


class GivenCalibration(NamedTuple):
    """Steps [nm] and [1/angstrom per pixel], direct beam [pixels] and voltage of the caller; None: not given."""

    voltage_kv: float | None
    step_nm: tuple[float, float] | None
    q_step: tuple[float, float] | None
    direct_beam_px: tuple[float, float] | None


def check_given(options: Any) -> GivenCalibration:
    """Read ``voltage_kv, step_nm, q_step, direct_beam_px`` of the options.

    Raises
    ------
    SchemaError
        One of them is no number, no pair, or not positive.
    """
    voltage = _read_positive("voltage_kv", options.voltage_kv)
    return GivenCalibration(
        voltage[0] if voltage else None,
        _read_positive("step_nm", options.step_nm),
        _read_positive("q_step", options.q_step),
        _read_numbers("direct_beam_px", options.direct_beam_px),
    )


def _read_numbers(name: str, value: float | Sequence[float] | None) -> tuple[float, float] | None:
    if value is None:
        return None
    # One number stands for both axes.
    try:
        both = [float(value)] * 2 if isinstance(value, int | float) else [float(one) for one in value]
    except (TypeError, ValueError):
        both = []
    if len(both) != 2 or not all(map(math.isfinite, both)):
        raise SchemaError(f"open_4dstem: {name}={value!r}, needs a number or two (y, x). Give e.g. {name}=(1.0, 1.0).")
    return both[0], both[1]


def _read_positive(name: str, value: float | Sequence[float] | None) -> tuple[float, float] | None:
    both = _read_numbers(name, value)
    if both is not None and min(both) <= 0:
        raise SchemaError(f"open_4dstem: {name}={value!r} is not positive. Give the size without sign.")
    return both


def apply_given(axes: Sequence[Axis], given: GivenCalibration, voltage_kv: float | None) -> list[Axis]:
    """Axes (scan_y, scan_x, qy, qx) with the steps and the origin that the caller gives.

    Raises
    ------
    SchemaError
        ``direct_beam_px`` on a detector without a scale, whose pixels count from 0.
    """
    scan, detector = list(axes[:2]), list(axes[2:])
    if given.step_nm is not None:
        scan = [Axis(step, 0.0, "nm") for step in given.step_nm]
    if given.q_step is not None:
        detector = [_rescale(axis, step) for axis, step in zip(detector, given.q_step, strict=True)]
    if given.direct_beam_px is None:
        return [*scan, *detector]
    if any(find_inverse_angstrom(axis, voltage_kv) is None for axis in detector):
        raise SchemaError(
            f"open_4dstem: direct_beam_px={given.direct_beam_px!r}, but the detector has no scale in the file. "
            "Give q_step=<1/angstrom per pixel>, too."
        )
    places = zip(detector, given.direct_beam_px, strict=True)
    return [*scan, *(replace(axis, offset=-place * float(axis.scale or 0), has_origin=True) for axis, place in places)]


def _rescale(axis: Axis, step: float) -> Axis:
    """The axis in 1/angstrom; the pixel of its origin stays."""
    place = axis.offset / float(axis.scale or 1) if has_scale(axis) else 0.0
    signed = math.copysign(step, axis.scale or 1.0)
    return replace(axis, scale=signed, offset=place * signed, units="1/A")
