"""Kinematic electron diffraction of a crystal: wavelength, reflections, excitation error and spot intensity.

Frames, signs and units are those of docs/conventions.md. The Cartesian crystal frame has x along a and z along c*.
``|g| = 1/d`` is in 1/angstrom. The beam travels along +z of the sample frame.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .crystals import crystal, direct_basis, lattice_of, phase_from_record, phase_record
from .errors import SchemaError
from .rotations import from_matrix
from .scattering import scattering_factor

__all__ = [
    "Reflections",
    "crystal",
    "diffraction_symmetry",
    "excitation_error",
    "phase_from_record",
    "phase_record",
    "precessed_shape",
    "reflections",
    "scattering_factor",
    "wavelength",
]


def __dir__() -> list[str]:
    return list(__all__)


Array = NDArray[np.float64]

DEFAULT_B_ISO = 0.5  # angstrom^2, for an atom whose file gives no displacement parameter
_ABSENT = 1e-6  # |F|^2 below this fraction of the strongest is an absence, not a reflection


def wavelength(voltage_kv: float) -> float:
    r"""Relativistic electron wavelength [angstrom] at an accelerating voltage [kV].

    .. math:: \lambda = \frac{h}{\sqrt{2 m e U \left(1 + \frac{e U}{2 m c^2}\right)}}

    Raises
    ------
    SchemaError
        The voltage is not between 1 and 10 000 kV (volts given instead of kilovolts?).

    See Also
    --------
    excitation_error : Distance from the Ewald sphere at this wavelength.

    Examples
    --------
    >>> round(wavelength(200), 5)
    0.02508
    """
    if not 1 <= voltage_kv <= 1e4:
        raise SchemaError(f"wavelength: voltage_kv = {voltage_kv}, needs 1 .. 10000. Give kilovolts, as in 200.")
    volts = voltage_kv * 1e3
    return 12.2642596 / float(np.sqrt(volts * (1 + 0.978475638e-6 * volts)))


@dataclass(frozen=True)
class Reflections:
    """Reflections of a crystal.

    Attributes
    ----------
    hkl
        Miller indices ``(n, 3)``.
    g
        Reciprocal lattice vectors ``(n, 3)`` [1/angstrom], crystal frame.
    strength
        Squared structure factors |F|^2 ``(n,)`` [angstrom^2].
    """

    hkl: NDArray[np.int64]
    g: Array
    strength: Array


def reflections(phase: Any, g_max: float) -> Reflections:
    r"""All reflections of a phase with 0 < |g| <= ``g_max``, systematic absences left out.

    The strength is the squared kinematic structure factor

    .. math:: F(g) = \sum_j o_j \, f_{e,j}(s) \, e^{-B_j s^2} \, e^{2 \pi i (h x_j + k y_j + l z_j)}, \qquad s = |g| / 2

    over the atoms j of the cell, with occupancy o and displacement parameter B.

    Parameters
    ----------
    phase
        orix ``Phase`` whose structure lists every atom of the cell (as ``pk.io.open_phase`` gives it).
    g_max
        Largest |g| = 1/d, 1/angstrom. The number of reflections grows with its cube.

    Returns
    -------
    Reflections
        Sorted by |g|. ``strength`` is |F|^2 [angstrom^2]. B is 0.5 angstrom^2 where the file gives none.

    Raises
    ------
    SchemaError
        The structure has no atoms, an unknown element, or ``g_max`` holds no reflection.

    See Also
    --------
    scattering_factor : Scattering factors of the atoms.
    excitation_error, precessed_shape : Which of the reflections are excited, and how strongly.
    diffraction_symmetry : Rotations that leave the strengths unchanged.

    Examples
    --------
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> reflections(nickel, 0.6).hkl[[0, -1]]
    array([[-1, -1, -1],
           [ 2,  0,  0]])
    """
    basis = direct_basis(lattice_of(phase))
    # The index along a is at most g_max times the length of a.
    limits = np.floor(g_max * np.linalg.norm(basis, axis=1) + 1e-9).astype(int)
    grid = np.meshgrid(*(np.arange(-n, n + 1) for n in limits), indexing="ij")
    hkl = np.stack([axis.ravel() for axis in grid], axis=1)
    g = hkl @ np.linalg.inv(basis).T
    length = np.linalg.norm(g, axis=1)
    inside = np.flatnonzero((length > 1e-9) & (length <= g_max))
    # A stable sort: equal lengths keep the order of their indices on every machine.
    inside = inside[np.argsort(length[inside], kind="stable")]
    hkl, g = hkl[inside], g[inside]
    strength = _compute_intensities(phase, hkl, length[inside])
    # Systematic absences cancel to rounding errors, so that they need no table of conditions.
    present = strength > _ABSENT * strength.max(initial=0.0)
    if not present.any():
        raise SchemaError(
            f"reflections: '{phase.name}' has no reflection within g_max = {g_max:g} 1/angstrom. Raise g_max above 1/d "
            f"of the largest spacing, about {1 / np.linalg.norm(basis, axis=1).max():.3f}."
        )
    return Reflections(hkl[present], g[present], strength[present])


def _compute_intensities(phase: Any, hkl: NDArray[np.int64], length: Array) -> Array:
    """|F|^2 (n,) [angstrom^2] of hkl (n, 3) of the lengths |g| (n,) [1/angstrom]."""
    atoms = list(phase.structure)
    if not atoms:
        raise SchemaError(f"reflections: '{phase.name}' has no atoms. Open it with pk.io.open_phase(<CIF file>).")
    s = length / 2
    amplitude = np.zeros(len(hkl), dtype=complex)
    # Atoms of one element and displacement share their scattering factor.
    kinds = [(str(atom.element), float(atom.Bisoequiv) if atom.Bisoequiv > 0 else DEFAULT_B_ISO) for atom in atoms]
    for kind in dict.fromkeys(kinds):
        members = [atom for atom, other in zip(atoms, kinds, strict=True) if other == kind]
        turns = hkl @ np.array([atom.xyz for atom in members]).T
        weights = np.array([atom.occupancy for atom in members], dtype=float)
        amplitude += scattering_factor(kind[0], s) * np.exp(-kind[1] * s**2) * (np.exp(2j * np.pi * turns) @ weights)
    return np.abs(amplitude) ** 2


def excitation_error(g_sample: ArrayLike, wave: float) -> Array:
    r"""Excitation error [1/angstrom] of g (..., 3) [1/angstrom] in the sample frame, beam along +z.

    .. math:: s_g = -\left(g_z + \frac{\lambda |g|^2}{2}\right)

    It is the distance of the reflection from the Ewald sphere along the beam, negative outside the sphere.

    See Also
    --------
    wavelength : The electron wavelength [angstrom].
    precessed_shape : Intensity at this excitation error.

    Examples
    --------
    >>> float(excitation_error([1.0, 0.0, 0.0], 0.025))
    -0.0125
    """
    g = np.asarray(g_sample, dtype=float)
    return -(g[..., 2] + wave * np.sum(g * g, axis=-1) / 2)


def precessed_shape(s: ArrayLike, g_radius: ArrayLike, *, thickness_nm: float, precession_deg: float) -> Array:
    r"""Relative intensity (0..1) of a spot at excitation error ``s`` [1/angstrom], averaged over the precession cone.

    The shape factor is a Lorentzian of the half-width :math:`w = 1 / (\pi t)`. It has the area of
    :math:`\mathrm{sinc}^2(\pi s t)` without its zeros, as a real foil varies in thickness. During one turn of the beam
    s varies by :math:`A = |g_\perp| \sin \alpha`. The mean over the azimuth is exact:

    .. math:: \frac{1}{2 \pi} \int_0^{2 \pi} \frac{w^2 \, d\phi}{w^2 + (s + A \cos \phi)^2}
              = w \, \mathrm{Re} \, \frac{1}{\sqrt{(w + i s)^2 + A^2}} .

    Parameters
    ----------
    s, g_radius
        Excitation error and in-plane length of g, 1/angstrom.
    thickness_nm
        Foil thickness t; 20 nm gives w = 0.0016 1/angstrom.
    precession_deg
        Precession semi-angle alpha; 0 = a static beam.

    See Also
    --------
    excitation_error : The excitation error of a reflection.
    reflections : The strengths that this factor multiplies.

    Examples
    --------
    >>> float(precessed_shape(0.0, 1.0, thickness_nm=20, precession_deg=0))
    1.0
    """
    half_width = 1 / (np.pi * thickness_nm * 10)
    swing = np.asarray(g_radius, dtype=float) * np.sin(np.radians(precession_deg))
    inner = half_width + 1j * np.asarray(s, dtype=float)
    # Of the two roots the product below keeps the one that tends to `inner` where the swing vanishes.
    root = np.sqrt(inner + 1j * swing) * np.sqrt(inner - 1j * swing)
    return half_width * np.real(1 / root)


def diffraction_symmetry(phase: Any, *, g_max: float = 1.0) -> Array:
    """Proper rotations of the crystal frame that leave its diffraction unchanged, as quaternions (n, 4).

    They are every rotation of the lattice that keeps all |F|^2, found from the crystal itself. They therefore hold for
    the axes given, whatever a table calls the setting. They are the proper part of the Laue group. Because of
    Friedel's law kinematic diffraction shows no more: 24 for fcc and for diamond, 12 for zinc blende, 1 for triclinic.
    Bank and maps use the Laue group of the phase instead, which this group may exceed.

    Parameters
    ----------
    phase
        orix ``Phase`` with every atom of the cell.
    g_max
        Reflections up to here are compared, 1/angstrom; 1 % of the strongest is taken as equal.

    See Also
    --------
    reflections : The strengths that are compared.
    symmetric_angle_deg : Disorientation under these rotations (``phasekit.rotations``).

    Examples
    --------
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> diffraction_symmetry(nickel).shape
    (24, 4)
    """
    basis = direct_basis(lattice_of(phase))
    matrices = _find_lattice_rotations(basis @ basis.T)
    # The third order along the shortest axis lies inside, so that every axis is probed.
    table = reflections(phase, max(g_max, 3.01 / np.linalg.norm(basis, axis=1).min()))
    # Indices are exact integers, so that a dictionary finds the image of each reflection.
    strength = dict(zip(map(tuple, table.hkl.tolist()), table.strength.tolist(), strict=True))
    tolerance = 0.01 * table.strength.max()
    kept = []
    for matrix in matrices:
        turned = table.hkl @ matrix
        other = np.array([strength.get(tuple(hkl), 0.0) for hkl in turned.tolist()])
        if np.all(np.abs(other - table.strength) <= tolerance):
            kept.append(matrix)
    inverse_basis = np.linalg.inv(basis)
    # Row vectors: a lattice vector u (indices) becomes u @ W, so in Cartesian x becomes x @ (B^-1 W B).
    return from_matrix(np.array([(inverse_basis @ np.linalg.inv(matrix).T @ basis).T for matrix in kept]))


def _find_lattice_rotations(metric: Array) -> list[NDArray[np.int64]]:
    """Integer matrices (3, 3) with entries -1, 0, 1 that rotate indices hkl and keep the lattice of this metric (3, 3).

    These entries suffice for any reduced or conventional cell.
    """
    entries = np.stack(np.meshgrid(*[[-1, 0, 1]] * 9, indexing="ij"), axis=-1).reshape(-1, 3, 3)
    proper = entries[np.round(np.linalg.det(entries)).astype(int) == 1]
    reciprocal = np.linalg.inv(metric)
    turned = proper @ reciprocal @ proper.transpose(0, 2, 1)
    # Relative to the lengths: cells of very different axes are judged alike.
    scale = np.sqrt(np.outer(np.diag(reciprocal), np.diag(reciprocal)))
    return list(proper[np.all(np.abs(turned - reciprocal) < 1e-3 * scale, axis=(1, 2))])
