"""What a map of a mixture is compared with."""

import json
from enum import IntEnum
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .fields import Mixture
from .images import average_pixels, blur_by_probe

Array = NDArray[np.float64]
#: Under the probe a pixel is pure when the lesser references have at most this share.
LESSER_SHARE = 0.1


class MixtureClass(IntEnum):
    """Why the probe sees one reference, or several."""

    EMPTY = 0
    PURE = 1
    BOUNDARY = 2
    TRANSITION = 3


def label_mixture_truth(mixture: Mixture, refs: xr.Dataset, probe_px: float) -> dict[str, xr.Variable]:
    """Truth per pixel: fractions under the probe and of the specimen, phase, class, thickness, composition."""
    mass = np.stack([blur_by_probe(one * mixture.thickness, probe_px, 0.0) for one in mixture.share])
    seen, total = _divide_pixels(mass)
    own, thickness = _divide_pixels(mixture.share * mixture.thickness)
    # Half of the pixel covered: less is the border of a particle.
    material = (average_pixels((mixture.thickness > 0).astype(float)) >= 0.5) & (total > 0)
    # A fall of the share within the probe's width cannot be told from a sharp boundary.
    mixed = mixture.mixed & (mixture.width > probe_px)
    mixed_mass = average_pixels(blur_by_probe(mixed * mixture.thickness, probe_px, 0.0))
    pure = seen.max(axis=0) >= 1 - LESSER_SHARE
    kind = np.where(2 * mixed_mass >= total, MixtureClass.TRANSITION, MixtureClass.BOUNDARY)
    kind = np.where(material, np.where(pure, MixtureClass.PURE, kind), MixtureClass.EMPTY)
    values: dict[str, NDArray[Any]] = {
        "phase": np.where(material, seen.argmax(axis=0), -1).astype(np.int16),
        "class": kind.astype(np.int8),
        "thickness": thickness,
        "fraction": np.where(material, seen, np.nan),
        "specimen_fraction": np.where(material, own, np.nan),
    }
    if "composition" in refs:
        values["composition"] = np.einsum("k,kyx->yx", refs["composition"].values.astype(float), values["fraction"])
    out = _label_variables(values)
    # The names go with the map, which is often taken out of the stack and compared with a result of fewer phases.
    out["truth_phase"].attrs["phase_names"] = json.dumps([str(name) for name in refs["reference"].values])
    return out


def _divide_pixels(fine: Array) -> tuple[Array, Array]:
    """Fractions (reference, y, x) of the pixels' masses, and their sum."""
    mass = average_pixels(fine)
    total = mass.sum(axis=0)
    return mass / np.where(total > 0, total, 1.0), total


def _label_variables(values: dict[str, NDArray[Any]]) -> dict[str, xr.Variable]:
    words = {
        "phase": ("true phase of the largest fraction (index into reference)", "1"),
        "class": ("why the probe sees one reference or several", "1"),
        "thickness": ("true mean thickness", "nm"),
        "fraction": ("true fraction of the mass under the probe", "1"),
        "specimen_fraction": ("true fraction of the mass in the pixel", "1"),
        "composition": ("true mean composition under the probe", "1"),
    }
    out = {}
    for name, data in values.items():
        order = np.moveaxis(data, 0, -1) if data.ndim == 3 else data
        dims = ("scan_y", "scan_x", "reference")[: data.ndim]
        out[f"truth_{name}"] = xr.Variable(dims, order, {"long_name": words[name][0], "units": words[name][1]})
    flags = {
        "flag_values": np.array([int(one) for one in MixtureClass], dtype=np.int8),
        "flag_meanings": " ".join(one.name.lower() for one in MixtureClass),
    }
    out["truth_class"].attrs.update(flags)
    return out
