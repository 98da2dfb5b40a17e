"""Candidate energies, and the limits that a choice of them must keep."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SchemaError

Array = NDArray[np.float64]
Index = NDArray[np.intp]
_DISTINCT_EV = 1e-6  # an energy is measured once


class Candidates(NamedTuple):
    """Candidate energies [eV, ascending], indices of those that must be chosen, and the least distance [eV]."""

    energies: Array
    fixed: Index
    spacing: float


def select_candidates(
    energies: Array, energy_range: tuple[float, float] | None, include: Sequence[float], spacing: float, *, step: str
) -> Candidates:
    """Select the energies in the range (ends included), and find those that must be chosen."""
    low, high = energy_range if energy_range is not None else (-np.inf, np.inf)
    # Candidates outside the range can never be chosen, so indices refer to those inside.
    inside = energies[(energies >= low) & (energies <= high)]
    if not spacing >= 0:
        raise SchemaError(f"{step}: min_spacing_ev={spacing}, needs 0 or more. Use the beamline's resolution.")
    if inside.size == 0:
        raise SchemaError(
            f"{step}: no candidate in energy_range={energy_range}; the candidates are "
            f"{energies.min():g}..{energies.max():g} eV. Leave energy_range out for all of them."
        )
    fixed = np.array([int(np.abs(inside - energy).argmin()) for energy in include], dtype=np.intp)
    # Two requested energies with the same nearest candidate are an error, not one energy.
    fixed = np.unique(fixed)
    if fixed.size < len(include) or np.any(np.diff(inside[fixed]) < spacing - 1e-9):
        raise SchemaError(
            f"{step}: include={list(include)} holds energies less than {spacing:g} eV apart. "
            "Lower min_spacing_ev, or leave one out."
        )
    return Candidates(inside, fixed, max(spacing, _DISTINCT_EV))


def check_room(candidates: Candidates, n: int, n_references: int, n_nuisances: int, *, step: str) -> None:
    """Check that there are as many energies as unknowns, and as many as must be included."""
    if n < n_references + n_nuisances:
        raise SchemaError(
            f"{step}: n={n} energies for {n_references} references + {n_nuisances} for the background and the energy "
            f"offset. Ask for at least {n_references + n_nuisances}, use fewer references, or set offset_robust=False."
        )
    if n < candidates.fixed.size:
        raise SchemaError(f"{step}: n={n}, but 'include' holds {candidates.fixed.size} energies. Raise n.")
