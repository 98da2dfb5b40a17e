"""The few numbers of a result that the index page shows beside its map."""

import json
from pathlib import Path

import numpy as np
import xarray as xr

from phasekit.io import load


def key_numbers(path: Path) -> dict[str, str]:
    """Numbers of a saved result as label and text, read from what is in it.

    A notebook may state them itself in the JSON attribute ``numbers``; else they are taken from the variables.
    """
    data = load(path)
    if "numbers" in data.attrs:
        return {str(key): str(value) for key, value in json.loads(data.attrs["numbers"]).items()}
    found: dict[str, str] = {}
    for dim, name in (("energy", "energies"), ("reference", "references"), ("cluster", "clusters"), ("component", "k")):
        if dim in data.sizes:
            found[name] = str(data.sizes[dim])
    if {"scan_y", "scan_x"} <= set(data.sizes):
        found["map"] = f"{data.sizes['scan_y']} x {data.sizes['scan_x']} pixels"
    if "status" in data:
        found |= _status_shares(data["status"])
    if "overlap" in data:
        found["overlap"] = f"{100 * float((data['overlap'] > 0).mean()):.1f} % of pixels"
    return found


def _status_shares(status: xr.DataArray) -> dict[str, str]:
    """Share of pixels with each status word that occurs."""
    words = str(status.attrs.get("flag_meanings", "")).split()
    codes = np.atleast_1d(status.attrs.get("flag_values", np.arange(len(words))))
    values = status.values
    shares = {word: float((values == code).mean()) for word, code in zip(words, codes, strict=True)}
    return {f"status {word}": f"{100 * share:.1f} % of pixels" for word, share in shares.items() if share > 0}
