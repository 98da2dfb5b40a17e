"""Bank of simulated spot patterns, one for each direction of the beam in the crystal."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .. import rotations
from ..diffraction import (
    Reflections,
    excitation_error,
    phase_record,
    precessed_shape,
    reflections,
    wavelength,
)
from ..errors import SchemaError
from ..schema import TEMPLATES, describe
from .symmetry import adopt_symmetry, proper_rotations

Array = NDArray[np.float64]


def build_templates(
    phases: Sequence[Any],
    *,
    voltage_kv: float = 200.0,
    resolution_deg: float = 1.0,
    g_max: float = 1.5,
    precession_deg: float = 0.0,
    thickness_nm: float = 20.0,
    min_intensity: float = 1e-2,
) -> xr.Dataset:
    r"""Simulate a bank of spot patterns of one or several phases, of any crystal system.

    The beam directions are spread evenly over the asymmetric part of the sphere under the Laue group of the phase. This
    is 1/48 of the sphere for fcc, and half of it for a triclinic crystal. ``match_orientations`` adds the rotation in
    the plane. Because of Friedel's law it also adds the opposite direction, whose pattern is the mirror image.

    The kinematic intensity of a reflection g is

    .. math:: I_g = |F_g|^2 \; w \, \mathrm{Re} \, \frac{1}{\sqrt{(w + i s_g)^2 + A_g^2}}, \qquad
              s_g = -\left(g_z + \frac{\lambda |g|^2}{2}\right), \qquad w = \frac{1}{\pi t}

    with the structure factor F, the excitation error s and the thickness t. :math:`A_g = |g_\perp| \sin \alpha` is the
    amplitude of the precession.

    Parameters
    ----------
    phases
        orix ``Phase`` objects with all atoms of the cell (``pk.io.open_phase``); their order gives the phase index.
    voltage_kv
        Accelerating voltage, kV.
    resolution_deg
        Distance between neighbouring beam directions. 1 gives about 900 templates for a cubic and 5200 for an
        orthorhombic phase; 2 a quarter of that, and with ``refine_orientations`` the same accuracy.
    g_max
        Largest |g|, 1/angstrom. Take the largest |q| on the detector.
    precession_deg
        Precession semi-angle of the experiment; 0 = a static beam.
    thickness_nm
        Foil thickness; 20 nm lets spots appear up to about 0.005 1/angstrom off the Ewald sphere.
    min_intensity
        Spots weaker than this fraction of the template's strongest are left out.

    Returns
    -------
    xarray.Dataset
        TEMPLATES: ``quaternion(template, wxyz)``, ``phase(template)``, ``spot_qy``, ``spot_qx`` [1/angstrom] and
        ``spot_intensity(template, spot)``, strongest first and padded with NaN; ``attrs["phases"]`` and the settings.
        Templates of one phase stand together.

    Warns
    -----
    SymmetryWarning
        The atoms of a phase have more symmetry than its point group. The bank and all steps after it use that of the
        atoms. Phases of ``pk.io.open_phase`` have it already.

    Raises
    ------
    SchemaError
        No phases, an orix ``Phase`` without atoms, a point group that its atoms do not have, or a setting outside its
        range.

    See Also
    --------
    match_orientations : Step after: compares calibrated peaks with the bank.
    simulate_peaks : Spots of the matched orientations, to be drawn over the patterns.
    calibrate_peaks : Prepares the peaks.
    refine_orientations : Takes the settings of the simulation from the bank.

    Examples
    --------
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> bank = build_templates([nickel], resolution_deg=4, precession_deg=1)
    >>> bank.sizes["template"] > 50, bank.spot_qx.dims
    (True, ('template', 'spot'))
    """
    # One phase alone is a common argument.
    phases = [phases] if hasattr(phases, "structure") else list(phases)
    _check_settings(phases, resolution_deg, g_max, precession_deg, thickness_nm)
    # Bank, grains and colours read one point group from the record of the phase.
    phases = [adopt_symmetry(phase) for phase in phases]
    settings = {
        "voltage_kv": float(voltage_kv),
        "resolution_deg": float(resolution_deg),
        "g_max": float(g_max),
        "precession_deg": float(precession_deg),
        "thickness_nm": float(thickness_nm),
        "min_intensity": float(min_intensity),
    }
    parts = [_simulate_phase(phase, settings) for phase in phases]
    # Phases with few spots are padded to the longest pattern of all.
    width = max(spots.shape[1] for _, spots in parts)
    spots = np.concatenate(
        [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=np.nan) for _, s in parts]
    )
    index = np.repeat(np.arange(len(parts)), [len(q) for q, _ in parts]).astype(np.int16)
    out = xr.Dataset(
        {
            "quaternion": (("template", "wxyz"), np.concatenate([q for q, _ in parts])),
            "phase": ("template", index),
            "spot_qy": (("template", "spot"), spots[..., 0].astype(np.float32)),
            "spot_qx": (("template", "spot"), spots[..., 1].astype(np.float32)),
            "spot_intensity": (("template", "spot"), spots[..., 2].astype(np.float32)),
        },
        coords={"wxyz": list("wxyz")},
        attrs={"phases": json.dumps([phase_record(phase) for phase in phases]), **settings},
    )
    return describe(out, TEMPLATES, step="build_templates", settings=settings)


def _check_settings(phases: list[Any], resolution: float, g_max: float, precession: float, thickness: float) -> None:
    """Refuse missing phases, objects that are no phase, and settings outside their range, which is often a unit."""
    if not phases:
        raise SchemaError("build_templates: got no phases, needs at least one. Open one with pk.io.open_phase(...).")
    wrong = [phase for phase in phases if not hasattr(phase, "structure")]
    if wrong:
        raise SchemaError(
            f"build_templates: got a {type(wrong[0]).__name__}, needs orix Phases. Open the CIF with pk.io.open_phase."
        )
    for name, value, low, high in (
        ("resolution_deg", resolution, 0.2, 10),
        ("g_max", g_max, 0.1, 6),
        ("precession_deg", precession, 0, 10),
        ("thickness_nm", thickness, 1, 1000),
    ):
        if not low <= value <= high:
            raise SchemaError(f"build_templates: {name} = {value}, needs {low} .. {high}. Check the unit.")


def _simulate_phase(phase: Any, settings: dict[str, float]) -> tuple[Array, Array]:
    """Orientations (n, 4) and spots (n, spot, 3: qy, qx, intensity) of one phase."""
    table = reflections(phase, settings["g_max"])
    directions = sample_beam_directions(proper_rotations(phase), settings["resolution_deg"])
    quaternions = align_beam(directions)
    patterns = [simulate_spots(table, quaternion, settings) for quaternion in quaternions]
    width = max(len(pattern) for pattern in patterns)
    padded = np.full((len(patterns), max(width, 1), 3), np.nan)
    for row, pattern in zip(padded, patterns, strict=True):
        row[: len(pattern)] = pattern
    return quaternions, padded


def simulate_spots(table: Reflections, quaternion: Array, settings: dict[str, float]) -> Array:
    """Spots (n, 3: qy, qx [1/angstrom], intensity) of a crystal in one orientation (4,), strongest first."""
    return simulate_indexed_spots(table, quaternion, settings)[0]


def simulate_indexed_spots(
    table: Reflections, quaternion: Array, settings: dict[str, float]
) -> tuple[Array, NDArray[np.int64]]:
    r"""Spots of :func:`simulate_spots`, and the Miller indices (n, 3) of each.

    The tilt half-way to the neighbouring template is averaged in with the precession. Otherwise a reflection could be
    missing from both of two neighbouring templates. The semi-angle of the average is

    .. math:: \alpha = \sqrt{\alpha_{precession}^2 + (\Delta / 2)^2}

    with the resolution Delta of the bank.
    """
    g = table.g @ rotations.to_matrix(quaternion)
    swing_deg = float(np.hypot(settings["precession_deg"], settings["resolution_deg"] / 2))
    s = excitation_error(g, wavelength(settings["voltage_kv"]))
    # Precession moves a reflection through the sphere by its in-plane length times the sine of the angle.
    radius = np.hypot(g[:, 0], g[:, 1])
    # 20 half-widths beyond the swing of the beam the shape factor is below 0.3 %.
    near = np.abs(s) < radius * np.sin(np.radians(swing_deg)) + 2 / (np.pi * settings["thickness_nm"])
    g, radius, hkl = g[near], radius[near], table.hkl[near]
    shape = precessed_shape(s[near], radius, thickness_nm=settings["thickness_nm"], precession_deg=swing_deg)
    intensity = table.strength[near] * shape
    order = np.argsort(-intensity, kind="stable")
    # Weak spots would only cost time: their peaks are rarely found.
    order = order[intensity[order] > settings["min_intensity"] * intensity.max(initial=0.0)]
    return np.stack([g[order, 1], g[order, 0], intensity[order]], axis=1), hkl[order]


def sample_beam_directions(symmetry: Array, resolution_deg: float) -> Array:
    r"""Unit vectors (n, 3) spread over one asymmetric part of the sphere under ``symmetry`` (n, 4) and the inversion.

    The part is the set of directions nearer to one general direction than to any of its images. This needs no table of
    sectors. The points are a Fibonacci lattice, which is nearly uniform for any number N:

    .. math:: z_i = 1 - \frac{2 i + 1}{N}, \qquad \varphi_i = \pi (1 + \sqrt{5}) \, i .

    Points just outside the part are replaced by their images inside, where these close gaps along the rim.
    """
    matrices = rotations.to_matrix(symmetry)
    # Friedel's law: a direction and its opposite share a pattern up to a mirror.
    operations = np.concatenate([matrices, -matrices])
    count = int(np.ceil(4 * np.pi / np.radians(resolution_deg) ** 2))
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    points = np.stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z], axis=1)
    # A general direction: no symmetry of any crystal system maps it onto itself.
    centre = np.array([0.13, 0.29, 0.947]) / np.linalg.norm([0.13, 0.29, 0.947])
    images = operations @ centre
    own, best = points @ centre, (points @ images.T).max(axis=1)
    inside = points[own >= best - 1e-9]
    # A rim of 1.5 steps holds the points whose images can close a gap.
    rim = points[(own < best - 1e-9) & (own > best - 1.5 * np.radians(resolution_deg))]
    moved = _move_into_sector(rim, operations, centre)
    # 0.6 of a step: nearer images would make pairs of nearly equal templates.
    gap = np.cos(0.6 * np.radians(resolution_deg))
    chosen = list(inside)
    for point in moved:
        if not chosen or np.max(np.abs(np.array(chosen) @ point)) < gap:
            chosen.append(point)
    return np.array(chosen)


def _move_into_sector(points: Array, operations: Array, centre: Array) -> Array:
    """Of each point (n, 3) the image under ``operations`` (m, 3, 3) nearest to ``centre`` (3,)."""
    images = np.einsum("oij,pj->poi", operations, points)
    return images[np.arange(len(points)), np.argmax(images @ centre, axis=1)] if len(points) else points


def align_beam(directions: Array) -> Array:
    """Orientations (n, 4) whose sample z axis (the beam) lies along unit vectors of the crystal frame (n, 3)."""
    x, y, z = directions.T
    # The shortest rotation from z to the direction; for -z any half turn about an in-plane axis.
    w = np.sqrt(np.maximum((1 + z) / 2, 0))
    safe = np.where(w > 1e-9, 2 * w, 1.0)
    return np.where(
        (w > 1e-9)[:, None],
        np.stack([w, -y / safe, x / safe, np.zeros_like(w)], axis=1),
        np.array([0.0, 1.0, 0.0, 0.0]),
    )
