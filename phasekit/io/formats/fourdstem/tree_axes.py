"""Axes and calibration of HyperSpy, py4DSTEM and EMD in an HDF5 file or zarr store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import ReadError
from .axes import Axis, read_voltage_kv
from .scan import RawScan

# Places of the calibration in successive versions of py4DSTEM.
_CALIBRATIONS = (
    "metadatabundle/calibration",
    "calibration",
    "_metadata/calibration",
    "metadata/metadata_0/calibration",
)
_MICROSCOPES = ("metadatabundle/microscope", "metadata/metadata_0/microscope")
# Names of the pixel sizes in successive versions of py4DSTEM; R is the scan, Q the detector.
_STEP_KEYS = {"R": ("R_pixel_size", "R_pix_size"), "Q": ("Q_pixel_size", "K_pix_size", "Q_pix_size")}
_UNIT_KEYS = {
    "R": ("R_pixel_units", "R_pixel_size_units", "R_pix_units"),
    "Q": ("Q_pixel_units", "Q_pixel_size_units", "Q_pix_units", "K_pix_units"),
}
# The measured origin [px]: its mean, or one value per pattern. py4DSTEM's x is the first axis, the row.
_ORIGIN_KEYS = (("qx0_mean", "qx0", "qx0_meas"), ("qy0_mean", "qy0", "qy0_meas"))
_VOLTAGE_KEYS = ("accelerating_voltage", "beam_energy", "voltage")


def read_text(value: Any) -> str:
    """Text of an attribute or scalar, which writers store as bytes, text or an array of one."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    value = value[()] if getattr(value, "shape", None) == () else value
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read_number(value: Any) -> float | None:
    try:
        found = float(np.ravel(value[()] if hasattr(value, "dtype") else value)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return found if np.isfinite(found) else None


# ---- HyperSpy (.hspy, .zspy)


def read_hyperspy_axes(path: Path, group: Any, raw: RawScan, shape: tuple[int, ...]) -> None:
    """Read scale, offset, unit, name and flag of every axis, and the voltage."""
    entries = [group[f"axis-{n}"] for n in range(len(shape)) if f"axis-{n}" in group]
    sizes = tuple(int(_read_number(e.attrs.get("size", n)) or 0) for e, n in zip(entries, shape, strict=False))
    if sizes != tuple(shape):
        found = f"data of shape {tuple(shape)} with axes of size {sizes}"
        raise ReadError(path, found=found, cure="save it again with HyperSpy, or give its data as a plain array")
    raw.axes = [_read_hyperspy_axis(entry) for entry in entries]
    tem = "metadata/Acquisition_instrument/TEM"
    if tem in group:
        raw.voltage_kv = read_voltage_kv(_read_number(group[tem].attrs.get("beam_energy", "none")))


def _read_hyperspy_axis(entry: Any) -> Axis:
    attrs = dict(entry.attrs)
    scale, offset = _read_number(attrs.get("scale")), _read_number(attrs.get("offset", 0.0)) or 0.0
    # A DataAxis lists its values instead.
    if scale is None and "axis" in entry:
        listed = _read_vector(entry["axis"])
        scale, offset = listed.scale, listed.offset
    name, flag = _read_unit(attrs.get("name", "")), attrs.get("navigate")
    return Axis(scale, offset, _read_unit(attrs.get("units", "")), name, None if flag is None else bool(flag))


def _read_unit(value: Any) -> str:
    text = read_text(value)
    return "" if text in ("_None_", "None", "<undefined>", "t", "undefined") else text


# ---- py4DSTEM and EMD: dim vectors beside the data, a calibration elsewhere in the tree


def read_emd_axes(root: Any, group: Any, name: str, raw: RawScan, shape: tuple[int, ...]) -> None:
    """Read the dim vectors, over which the calibration of py4DSTEM wins."""
    first = 0 if "dim0" in group else 1
    axes = [_read_vector(group.get(f"dim{n + first}") if hasattr(group, "get") else None) for n in range(len(shape))]
    calibration = _find_group(root, name, _CALIBRATIONS)
    # Axes of py4DSTEM are R, R, Q, Q: scan rows, scan columns, detector rows, detector columns.
    for position, letter in enumerate("RRQQ" if len(shape) == 4 else ""):
        keys = _ORIGIN_KEYS[position - 2] if letter == "Q" else ()
        own = _select_axis(calibration, letter, position % 2)
        axes[position] = _apply_calibration(axes[position], own, letter, keys, raw.notes)
    raw.axes = axes
    for values in (calibration, _find_group(root, name, _MICROSCOPES)):
        found = next((values[key] for key in _VOLTAGE_KEYS if key in values), None)
        raw.voltage_kv = raw.voltage_kv or read_voltage_kv(_read_number(found))
    # Rotation and mirroring of the detector against the scan change no pattern, but their angles.
    turned = [f"{key} = {calibration[key]}" for key in ("QR_rotation", "QR_flip") if key in calibration]
    if turned:
        raw.notes.append("not applied: " + ", ".join(turned))


def _read_vector(node: Any) -> Axis:
    if node is None or node.ndim != 1 or node.size < 2 or node.dtype.kind not in "iuf":
        return Axis()
    # Two values give the step of a regular axis; some writers store no more.
    head = np.asarray(node[:2], dtype=float)
    return Axis(float(head[1] - head[0]), float(head[0]), read_text(node.attrs.get("units", "")))


def _apply_calibration(
    axis: Axis, calibration: Mapping[str, Any], letter: str, origin_keys: Sequence[str], notes: list[str]
) -> Axis:
    """Step, unit and origin of the calibration where it has them, else those of the dim vector."""
    step = next((_read_number(calibration[key]) for key in _STEP_KEYS[letter] if key in calibration), None)
    unit = next((read_text(calibration[key]) for key in _UNIT_KEYS[letter] if key in calibration), "")
    if not step or unit in ("", "pixels", "px"):
        return axis
    # py4DSTEM 0.14 subtracts the origin in pixels from a dim vector in 1/angstrom, so the measured one wins.
    origin = _read_origin(calibration, origin_keys, notes)
    if origin is not None:
        # Calibration and dim vector agree where the detector was cropped after the origin was measured.
        alike = bool(axis.scale) and np.isclose(axis.offset, -origin * step, rtol=1e-3)
        return Axis(step, -origin * step, unit, has_origin=True, cropped=bool(alike))
    # A dim vector with the same step and an offset holds the origin, which the calibration lacks.
    same = axis.offset and axis.scale and np.isclose(axis.scale, step, rtol=1e-3)
    return Axis(step, axis.offset if same else 0.0, unit)


def _read_origin(calibration: Mapping[str, Any], keys: Sequence[str], notes: list[str]) -> float | None:
    """Mean position of the direct beam [px]; a beam that moves is noted."""
    for key in keys:
        values = np.ravel(np.asarray(calibration[key])) if key in calibration else np.empty(0)
        values = values[np.isfinite(values)] if values.dtype.kind in "iuf" else np.empty(0)
        if not values.size:
            continue
        if np.ptp(values) > 1:
            moved = f"{np.ptp(values):.1f} px over the scan ({key})"
            notes.append(f"the direct beam moves by {moved}; the origin is its mean")
        return float(values.mean())
    return None


def _find_group(root: Any, name: str, places: Sequence[str]) -> dict[str, Any]:
    """Values of the group of metadata nearest to the data: looked for in each group above it."""
    parts = name.strip("/").split("/")[:-1]
    # Several data cubes may lie in one file, each with its own calibration.
    for depth in range(len(parts), -1, -1):
        above = "/".join(parts[:depth])
        for place in places:
            full = f"{above}/{place}".strip("/")
            if full in root and hasattr(root[full], "keys"):
                return _read_values(root[full])
    return {}


def _read_values(node: Any) -> dict[str, Any]:
    """Attributes, sizes and units (one, or one per axis), and the origin of every pattern."""
    listed = {key for keys in (*_ORIGIN_KEYS, *_STEP_KEYS.values(), *_UNIT_KEYS.values()) for key in keys}
    values: dict[str, Any] = dict(node.attrs)
    for key in node:
        child = node[key]
        if hasattr(child, "shape") and (child.shape == () or key in listed):
            values[key] = child[()]
        # py4DSTEM 0.13 keeps lists of texts, and pairs of arrays, in groups.
        elif key in listed and "0" in child:
            values[key] = [child[name][()] for name in sorted(child)]
        elif key == "origin" and "1" in child:
            values |= {"qx0": child["0"][()], "qy0": child["1"][()]}
    return values


def _select_axis(calibration: Mapping[str, Any], letter: str, number: int) -> dict[str, Any]:
    """The calibration with the size and the unit of one axis, where it states one for each."""
    own = dict(calibration)
    for key in (*_STEP_KEYS[letter], *_UNIT_KEYS[letter]):
        value: Any = own.get(key)
        if isinstance(value, list) or getattr(value, "ndim", 0) == 1:
            own[key] = value[min(number, len(value) - 1)]
    return own
