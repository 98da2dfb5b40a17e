"""Structures of the American Mineralogist database as CIF texts, from the SQLite file of the larixite wheel."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

# The file holds coordinates as integers: six digits.
_SCALE = 4e6
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_COLUMNS = {
    "atoms_x": "fract_x",
    "atoms_y": "fract_y",
    "atoms_z": "fract_z",
    "atoms_occupancy": "occupancy",
    "atoms_u_iso": "U_iso_or_equiv",
}
_QUERY = """
    SELECT cif.*, minerals.name AS mineral, spacegroups.hm_notation, spacegroups.symmetry_xyz
    FROM cif JOIN minerals ON minerals.id = cif.mineral_id JOIN spacegroups ON spacegroups.id = cif.spacegroup_id
    ORDER BY cif.id
"""


class Entry(NamedTuple):
    """One structure: its number, its CIF text, the density its file states [g/cm^3], and the labels of its atoms."""

    number: int
    text: str
    density: float
    labels: tuple[str, ...]


def read_entries(path: Path) -> Iterator[Entry]:
    """Read the structures in the order of their numbers."""
    with sqlite3.connect(path) as database:
        database.row_factory = sqlite3.Row
        for row in database.execute(_QUERY):
            labels = tuple(json.loads(row["atoms_sites"]))
            yield Entry(row["id"], _write_text(row, labels), _read_number(row["crystal_density"]), labels)


def _read_number(text: str | None) -> float:
    try:
        return float((text or "").split("(")[0])
    except ValueError:
        return float("nan")


def _write_text(row: sqlite3.Row, labels: tuple[str, ...]) -> str:
    symbol = row["hm_notation"].split("%var")[0]
    lines = ["data_global", f"_database_code_amcsd {row['id']:07d}", f'_chemical_name_mineral "{row["mineral"]}"']
    lines += [f"_chemical_formula_sum '{row['formula']}'"]
    lines += [f"_cell_{tag} {row[name]}" for name, tag in zip(_CELL, _CELL_TAGS, strict=True)]
    lines += [f"_cell_volume {row['cell_volume']}", f"_exptl_crystal_density_diffrn {row['crystal_density']}"]
    lines += [f"_symmetry_space_group_name_H-M '{symbol}'", "loop_", "_space_group_symop_operation_xyz"]
    lines += [f"'{line}'" for line in json.loads(row["symmetry_xyz"])]
    columns = {tag: _decode(row[name]) for name, tag in _COLUMNS.items() if row[name] not in (None, "0")}
    lines += ["loop_", "_atom_site_label", *(f"_atom_site_{tag}" for tag in columns)]
    lines += [" ".join(values) for values in zip(labels, *columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def _decode(text: str) -> list[str]:
    """Decode a column of numbers; 2 and 3 stand for '?' and '.' there."""
    values = np.frombuffer(base64.b64decode(text), dtype=np.int32) / _SCALE
    return [{2.0: "?", 3.0: "."}.get(float(value), f"{value:.6f}") for value in values]
