"""The three phases of the benchmark: cubic, orthorhombic and trigonal, from published cells and Wyckoff positions."""

from typing import Any

from phasekit.crystals import crystal
from phasekit.synthetic.structures import LIFEPO4, NICKEL

#: LiCoO2 on hexagonal axes; the oxygen height and the displacement parameters are rounded.
LICOO2: dict[str, Any] = {
    "name": "LiCoO2",
    "space_group": 166,
    "symbol": "R -3 m",
    "lattice": (2.8161, 2.8161, 14.0536, 90.0, 90.0, 120.0),
    "atoms": [("Li", 0.0, 0.0, 0.5, 1.0, 1.0), ("Co", 0.0, 0.0, 0.0, 1.0, 0.3), ("O", 0.0, 0.0, 0.2397, 1.0, 0.5)],
    "source": "J. Akimoto, Y. Gotoh and Y. Oosawa, J. Solid State Chem. 141, 298 (1998)",
}

ENTRIES = (NICKEL, LIFEPO4, LICOO2)


def bench_phases() -> list[Any]:
    """Return orix phases of Ni (Fm-3m), LiFePO4 (Pnma) and LiCoO2 (R-3m), with every atom of the cell."""
    return [crystal(*(entry[key] for key in ("name", "space_group", "lattice", "atoms"))) for entry in ENTRIES]
