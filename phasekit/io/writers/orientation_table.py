"""An orientation map in memory, checked, on its way to the format of another program."""

import json
import unicodedata
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...code_cache import import_alone
from ...errors import SchemaError
from ...schema import ORIENTATIONS, require

# Variables that every orientation map has; what only some have is asked for by name.
_NEEDED = ("quaternion", "correlation", "phase", "reliability", "phase_reliability", "status")


def make_orientation_table(orientations: xr.Dataset, step: str, *more: str) -> tuple[xr.Dataset, NDArray[np.bool_]]:
    """Checked dataset in memory (with what it has of ``more``), and which positions (flat) have an orientation."""
    require(orientations, ORIENTATIONS, step=step, argument="orientations")
    data = orientations[[*_NEEDED, *(name for name in more if _is_on_scan(orientations, name))]].compute()
    data.attrs = dict(orientations.attrs)
    highest, phases = int(data["phase"].max()), read_phase_records(data)
    # An index without a phase would be written as a phase the reader does not know.
    if highest >= len(phases):
        raise SchemaError(
            f"{step}: phase index {highest}, but attrs['phases'] names {len(phases)} phases. "
            "Keep the attributes match_orientations wrote (orientations.attrs)."
        )
    for dim in ("scan_y", "scan_x"):
        # A map without positions is written on a grid of 1 nm.
        if dim not in data.coords:
            data = data.assign_coords({dim: np.arange(data.sizes[dim], dtype=float)})
    best = data["quaternion"].isel(match=0)
    # A quaternion of zeros is no rotation.
    indexed = (data["phase"] >= 0) & best.notnull().all("wxyz") & ((best**2).sum("wxyz") > 0)
    return data, indexed.values.ravel()


def _is_on_scan(orientations: xr.Dataset, name: str) -> bool:
    return name in orientations and orientations[name].dims[:2] == ("scan_y", "scan_x")


def read_phase_records(orientations: xr.Dataset) -> list[dict[str, Any]]:
    """Entries of ``attrs["phases"]``, none where a dataset has no such attribute."""
    return list(json.loads(orientations.attrs.get("phases", "[]")))


def make_ascii_name(record: dict[str, Any], number: int) -> str:
    """Name of a phase in letters that every program reads, in any locale: the text formats state no encoding.

    A name of which no letter or digit is left becomes ``phase_<number>``.

    Examples
    --------
    >>> [make_ascii_name({"name": name}, 3) for name in ("γ-MnO₂", "Wüstite", "正極")]
    ['gamma-MnO2', 'Wustite', 'phase_3']
    """
    # The compatible decomposition parts accents from letters and turns subscripts into digits.
    letters = unicodedata.normalize("NFKD", " ".join(str(record.get("name") or "").split()))
    plain = "".join(_convert_letter(letter) for letter in letters)
    return plain if any(letter.isalnum() for letter in plain) else f"phase_{number}"


def _convert_letter(letter: str) -> str:
    """The letter, the name of a Greek one, a hyphen for every dash, nothing for an accent, "_" for the rest."""
    if letter.isascii():
        return letter
    if unicodedata.combining(letter):
        return ""
    if unicodedata.category(letter) == "Pd" or letter == "\N{MINUS SIGN}":
        return "-"
    words = unicodedata.name(letter, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        name = words[words.index("LETTER") + 1]
        return name.capitalize() if "CAPITAL" in words else name.lower()
    return "_"


def compute_step(values: NDArray[np.floating[Any]]) -> float:
    """Step of a regular axis, 1 for a single position."""
    # The mean step, since positions may jitter.
    return float((values[-1] - values[0]) / (len(values) - 1)) if len(values) > 1 else 1.0


def compute_euler_angles(data: xr.Dataset, indexed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bunge angles phi1, Phi, phi2 [rad] of the best match, shape (position, 3); 0 where not indexed."""
    import_alone("orix.quaternion.symmetry")
    from orix.quaternion import Rotation

    # orix normalises, so positions without orientation get the identity first.
    quaternion: NDArray[Any] = data["quaternion"].isel(match=0).values.reshape(-1, 4)
    euler = Rotation(np.where(indexed[:, None], quaternion, [1.0, 0, 0, 0])).to_euler()
    return np.asarray(euler, dtype=float).reshape(-1, 3)
