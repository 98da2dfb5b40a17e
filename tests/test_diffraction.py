"""Kinematic diffraction: known answers and symmetry."""

import json

import numpy as np
import pytest

from phasekit import diffraction
from phasekit.crystals import crystal, direct_basis, phase_from_record, phase_record
from phasekit.errors import SchemaError
from phasekit.rotations import symmetric_angle_deg, to_matrix

CUBE = (3.6, 3.6, 3.6, 90, 90, 90)
CELLS = {  # space group, cell, atoms, order of the proper rotations of the Laue group
    "cubic": (225, CUBE, [("Ni", 0, 0, 0)], 24),
    "cubic m-3": (205, (5.42, 5.42, 5.42, 90, 90, 90), [("Fe", 0, 0, 0), ("S", 0.385, 0.385, 0.385)], 12),
    "tetragonal": (136, (4.59, 4.59, 2.96, 90, 90, 90), [("Ti", 0, 0, 0), ("O", 0.305, 0.305, 0)], 8),
    "orthorhombic": (62, (10.33, 6.01, 4.69, 90, 90, 90), [("Fe", 0.282, 0.25, 0.975), ("O", 0.166, 0.046, 0.285)], 4),
    "hexagonal": (194, (3.21, 3.21, 5.21, 90, 90, 120), [("Mg", 1 / 3, 2 / 3, 0.25)], 12),
    "trigonal": (166, (2.82, 2.82, 14.05, 90, 90, 120), [("Co", 0, 0, 0.5), ("O", 0, 0, 0.24)], 6),
    "monoclinic": (14, (5.15, 5.21, 5.32, 90, 99.2, 90), [("Zr", 0.275, 0.04, 0.208), ("O", 0.07, 0.33, 0.345)], 2),
    "triclinic": (2, (7.1, 7.8, 5.6, 91, 101, 106), [("Si", 0.1, 0.2, 0.3), ("O", 0.31, 0.42, 0.77)], 1),
}


def make(system):
    group, cell, atoms, _ = CELLS[system]
    return crystal(system, group, cell, atoms)


@pytest.mark.parametrize(("voltage", "length"), [(100, 0.037014), (200, 0.025079), (300, 0.019687)])
def test_wavelength_is_relativistic(voltage, length):
    assert diffraction.wavelength(voltage) == pytest.approx(length, rel=2e-4)


def test_voltage_in_volts_is_refused():
    with pytest.raises(SchemaError, match="kilovolts"):
        diffraction.wavelength(200_000)


@pytest.mark.parametrize(  # parameterisation of Lobato & Van Dyck, Acta Cryst. A70, 636 (2014)
    ("element", "values"),
    [("O", (2.029, 1.842, 1.438, 1.046, 0.543)), ("Fe", (7.164, 5.596, 3.586, 2.479, 1.389))],
)
def test_scattering_factors_agree_with_an_independent_table(element, values):
    factor = diffraction.scattering_factor(element, [0.0, 0.1, 0.2, 0.3, 0.5])
    np.testing.assert_allclose(factor, values, rtol=0.03)


def test_scattering_factor_is_finite_and_falls():
    factor = diffraction.scattering_factor("Fe3+", np.linspace(0, 3, 200))
    assert np.all(np.diff(factor) < 0)
    assert factor[-1] > 0


def test_unknown_element_is_refused():
    with pytest.raises(SchemaError, match="no element 'Qq'"):
        diffraction.scattering_factor("Qq", 0.1)


def families(phase, g_max):
    return {tuple(sorted(map(abs, hkl), reverse=True)) for hkl in diffraction.reflections(phase, g_max).hkl.tolist()}


def test_fcc_shows_all_odd_or_all_even():
    hkl = diffraction.reflections(make("cubic"), 1.6).hkl
    assert set(np.unique((hkl % 2).sum(axis=1))) <= {0, 3}


def test_diamond_lacks_200_and_222():
    silicon = crystal("Si", 227, (5.43, 5.43, 5.43, 90, 90, 90), [("Si", 0, 0, 0)])
    found = families(silicon, 0.8)
    assert {(1, 1, 1), (2, 2, 0), (3, 1, 1), (4, 0, 0)} <= found
    assert not {(2, 0, 0), (2, 2, 2), (4, 2, 0)} & found


def test_pnma_lacks_its_glide_reflections():
    hkl = diffraction.reflections(make("orthorhombic"), 1.2).hkl
    h, k, l = hkl.T  # noqa: E741
    assert not np.any((h == 0) & ((k + l) % 2 == 1))
    assert not np.any((l == 0) & (h % 2 == 1))
    assert np.any((k == 0) & ((h + l) % 2 == 1))


def test_occupancy_scales_the_amplitude():
    full = crystal("x", 225, CUBE, [("Ni", 0, 0, 0, 1.0)])
    half = crystal("x", 225, CUBE, [("Ni", 0, 0, 0, 0.5)])
    ratio = diffraction.reflections(half, 1.0).strength / diffraction.reflections(full, 1.0).strength
    np.testing.assert_allclose(ratio, 0.25)


@pytest.mark.parametrize("system", CELLS)
def test_spacings_are_those_of_the_metric(system):
    phase = make(system)
    found = diffraction.reflections(phase, 0.9)
    basis = direct_basis(CELLS[system][1])
    np.testing.assert_allclose(found.g @ basis.T, found.hkl, atol=1e-9)  # g . a = h
    np.testing.assert_allclose(phase.structure.lattice.base, basis, atol=1e-6)
    assert basis[0, 1] == basis[0, 2] == 0
    assert np.linalg.inv(basis)[2, 2] > 0
    np.testing.assert_allclose(np.linalg.inv(basis).T[2, :2], 0, atol=1e-12)  # c* along z


@pytest.mark.parametrize("system", CELLS)
def test_symmetry_is_a_group_that_keeps_the_reflections(system):
    phase = make(system)
    symmetry = diffraction.diffraction_symmetry(phase)
    assert len(symmetry) == CELLS[system][3]
    found = diffraction.reflections(phase, 0.8)
    for matrix in to_matrix(symmetry):
        place = np.argmin(np.linalg.norm((found.g @ matrix.T)[:, None] - found.g, axis=-1), axis=1)
        np.testing.assert_allclose(found.g[place], found.g @ matrix.T, atol=1e-6)
        np.testing.assert_allclose(found.strength[place], found.strength, atol=0.02 * found.strength.max())


@pytest.mark.parametrize("system", CELLS)
def test_symmetry_agrees_with_the_point_group(system):
    phase = make(system)
    table = phase.point_group.laue_proper_subgroup.data
    symmetry = diffraction.diffraction_symmetry(phase)
    assert len(table) == len(symmetry)
    assert max(float(symmetric_angle_deg(q, [1, 0, 0, 0], symmetry)) for q in table) < 1e-3


def test_excitation_error_vanishes_on_the_ewald_sphere():
    wave = diffraction.wavelength(200)
    angle = np.linspace(0.001, 0.05, 7)
    on_sphere = np.stack([np.sin(angle), 0 * angle, np.cos(angle) - 1], axis=-1) / wave
    np.testing.assert_allclose(diffraction.excitation_error(on_sphere, wave), 0, atol=1e-9)


def test_precession_average_is_the_mean_over_the_cone():
    s, radius = np.meshgrid(np.linspace(-0.03, 0.03, 13), np.linspace(0.1, 1.5, 6))
    closed = diffraction.precessed_shape(s, radius, thickness_nm=20, precession_deg=1.0)
    phi = 2 * np.pi * (np.arange(4000) + 0.5) / 4000
    swing = radius[..., None] * np.sin(np.radians(1.0)) * np.cos(phi)
    width = 1 / (np.pi * 200)
    np.testing.assert_allclose(closed, np.mean(width**2 / (width**2 + (s[..., None] + swing) ** 2), axis=-1), rtol=1e-6)


@pytest.mark.parametrize("system", CELLS)
def test_record_survives_json(system):
    phase = make(system)
    back = phase_from_record(json.loads(json.dumps(phase_record(phase))))
    assert (back.name, back.point_group.name) == (phase.name, phase.point_group.name)
    first, second = diffraction.reflections(phase, 0.8), diffraction.reflections(back, 0.8)
    np.testing.assert_allclose(first.g, second.g, atol=1e-7)
    np.testing.assert_allclose(first.strength, second.strength, rtol=1e-5, atol=1e-5 * first.strength.max())


def test_incomplete_record_is_refused():
    with pytest.raises(SchemaError, match="incomplete"):
        phase_from_record({"name": "x"})


def test_phase_without_atoms_is_refused():
    from orix.crystal_map import Phase

    with pytest.raises(SchemaError, match="no atoms"):
        diffraction.reflections(Phase("empty", point_group="m-3m"), 2.0)


def test_too_small_g_max_is_refused():
    with pytest.raises(SchemaError, match="Raise g_max"):
        diffraction.reflections(make("cubic"), 0.1)


def test_something_else_than_a_phase_is_refused():
    with pytest.raises(SchemaError, match=r"got a str, needs an orix Phase. pk.io.open_phase"):
        diffraction.reflections("Ni.cif", 1.0)
