"""The bank: its coverage, its spots, its files."""

import numpy as np
import pytest

import phasekit as pk
from phasekit.acom.templates import align_beam, build_templates, sample_beam_directions
from phasekit.diffraction import diffraction_symmetry
from phasekit.errors import SchemaError
from phasekit.rotations import to_matrix

from .patterns import CRYSTALS, make


@pytest.mark.parametrize("system", CRYSTALS)
def test_every_direction_has_a_template_within_the_resolution(system):
    symmetry = diffraction_symmetry(make(system))
    directions = sample_beam_directions(symmetry, 4.0)
    rng = np.random.default_rng(1)
    probes = rng.normal(size=(3000, 3))
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    images = np.einsum("sij,nj->sni", to_matrix(symmetry), directions).reshape(-1, 3)
    distance = np.degrees(np.arccos(np.clip(np.abs(probes @ images.T).max(axis=1), 0, 1)))
    assert distance.max() < 4.0 * 0.85  # a square net of this step would have 0.71


@pytest.mark.parametrize("system", CRYSTALS)
def test_the_bank_is_no_larger_than_the_symmetry_asks(system):
    symmetry = diffraction_symmetry(make(system))
    count = len(sample_beam_directions(symmetry, 2.0))
    area = 41253 / (2 * len(symmetry)) / 4
    assert area * 0.95 < count < area * 1.6 + 20


def test_beam_lies_along_the_direction():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[0] = 0, 0, -1
    matrices = to_matrix(align_beam(directions))
    np.testing.assert_allclose(matrices @ [0, 0, 1], directions, atol=1e-9)


@pytest.fixture(scope="module")
def bank():
    return build_templates([make("cubic"), make("orthorhombic")], resolution_deg=4, precession_deg=1)


def test_spots_are_padded_and_strongest_first(bank):
    intensity = bank.spot_intensity.values
    seen = np.isfinite(intensity)
    assert np.all(np.diff(seen.astype(int), axis=1) <= 0)
    assert np.all(np.diff(np.where(seen, intensity, -1), axis=1) <= 0)
    assert bank.spot_qx.attrs["units"] == "1/angstrom"
    assert set(np.unique(bank.phase)) == {0, 1}
    assert np.all(np.diff(bank.phase.values.astype(int)) >= 0)


def test_spots_lie_on_reciprocal_lattice_points(bank):
    template = bank.isel(template=5)
    matrix = to_matrix(template.quaternion.values)
    spots = np.stack([template.spot_qx, template.spot_qy], axis=1)[np.isfinite(template.spot_qx.values)]
    indices = np.array(np.meshgrid(*[range(-6, 7)] * 3)).reshape(3, -1).T / 3.52
    seen = (indices @ matrix)[:, :2]
    assert np.max(np.min(np.linalg.norm(spots[:, None] - seen, axis=-1), axis=1)) < 1e-5


def test_bank_survives_a_file(bank, tmp_path):
    again = pk.io.load(pk.io.save(bank, tmp_path / "bank.nc"))
    for name in bank.variables:
        np.testing.assert_array_equal(again[name], bank[name])
    assert again.attrs["phases"] == bank.attrs["phases"]


@pytest.mark.parametrize(
    ("phases", "settings", "message"),
    [
        ([], {}, "no phases"),
        (["Ni.cif"], {}, "open_phase"),
        (None, {"resolution_deg": 0}, "resolution_deg"),
        (None, {"g_max": 100}, "g_max"),
        (None, {"voltage_kv": 2e5}, "kilovolts"),
    ],
)
def test_wrong_input_is_refused(phases, settings, message):
    with pytest.raises(SchemaError, match=message):
        build_templates([make("cubic")] if phases is None else phases, **settings)
