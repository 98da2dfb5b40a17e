"""The orientation generator: its physics and its truth."""

import json

import numpy as np
import pytest

import phasekit as pk
from phasekit.crystals import crystal
from phasekit.diffraction import reflections, wavelength
from phasekit.disks import paint_disks
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis, multiply, to_matrix
from phasekit.synthetic import Microscope, Specimen, orientation_scan, structures
from phasekit.synthetic.spot_painting import simulate_spots

NICKEL, OLIVINE = structures.sample_phases()


@pytest.fixture(scope="module")
def scan():
    return orientation_scan(shape=(10, 12), detector=(96, 80), seed=4)


def test_same_seed_same_scan(scan):
    again = orientation_scan(shape=(10, 12), detector=(96, 80), seed=4)
    assert scan.identical(again)
    assert not scan.equals(orientation_scan(shape=(10, 12), detector=(96, 80), seed=5))


def test_dose_is_what_was_asked_for(scan):
    total = scan.intensity.sum(("qy", "qx"))
    vacuum = scan.truth_phase == -1
    assert float(total.where(vacuum).mean()) == pytest.approx(2000, rel=0.03)
    assert float(total.mean()) == pytest.approx(2000, rel=0.1)  # a few spots fall beside the detector


def test_truth_is_consistent(scan):
    vacuum = scan.truth_phase == -1
    assert 0.05 < float(vacuum.mean()) < 0.2
    assert bool((scan.truth_quaternion.isnull().all("wxyz") == vacuum).all())
    norm = (scan.truth_quaternion**2).sum("wxyz").where(~vacuum)
    np.testing.assert_allclose(norm.values[~vacuum.values], 1)
    assert not bool((scan.truth_interior & (scan.truth_overlap | vacuum)).any())
    assert float(scan.truth_partner_weight.max()) <= 0.5
    assert [record["name"] for record in json.loads(scan.attrs["phases"])] == ["Ni", "LiFePO4"]


def test_direct_beam_is_where_the_truth_says(scan):
    vacuum = np.argwhere(scan.truth_phase.values == -1)
    for y, x in vacuum[:5]:
        image = scan.intensity[y, x].where((scan.intensity[y, x] > 3), 0)
        for dim, origin in (("qy", scan.truth_origin_y), ("qx", scan.truth_origin_x)):
            centre = float((image * image[dim]).sum() / image.sum())
            assert centre == pytest.approx(float(origin[y, x]), abs=0.15 * 0.025)


def brute_force(phase, quaternion, thickness, tilt_deg):
    """Intensity of every reflection from the exact distance to the Ewald sphere of each tilted beam."""
    found, k = reflections(phase, 1.4), 1 / wavelength(200)
    g = np.einsum("ji,nj->ni", to_matrix(quaternion), found.g)
    total = np.zeros(len(g))
    for phi in np.linspace(0, 2 * np.pi, 480, endpoint=False):
        tilt = np.radians(tilt_deg)
        beam = k * np.array([np.sin(tilt) * np.cos(phi), np.sin(tilt) * np.sin(phi), np.cos(tilt)])
        s = k - np.linalg.norm(beam + g, axis=1)
        total += found.strength * np.sinc(thickness * 10 * s) ** 2 / 480
    return g, total


@pytest.mark.parametrize("phase", [NICKEL, OLIVINE], ids=lambda phase: phase.name)
@pytest.mark.parametrize("tilt", [0.0, 1.0])
def test_spots_agree_with_the_exact_ewald_construction(phase, tilt):
    quaternion = about_axis([0.3, -0.5, 0.8], 37.0)
    place, intensity = simulate_spots(
        reflections(phase, 1.4), quaternion, wave=wavelength(200), thickness_nm=12.0, precession_deg=tilt
    )
    g, exact = brute_force(phase, quaternion, 12.0, tilt)
    strong = np.flatnonzero(exact > 0.02 * exact.max())
    assert len(strong) >= 2
    for n in strong:
        near = np.argmin(np.hypot(*(place - g[n, 1::-1]).T))
        np.testing.assert_allclose(place[near], g[n, 1::-1], atol=1e-9)
        assert intensity[near] == pytest.approx(exact[n], rel=0.05, abs=0.01 * exact.max())


def test_turning_the_crystal_about_the_beam_turns_the_spots():
    found, quaternion, phi = reflections(NICKEL, 1.4), about_axis([1, 2, 3], 50.0), 25.0
    beam = {"wave": wavelength(200), "thickness_nm": 12.0, "precession_deg": 0.0}
    place, intensity = simulate_spots(found, quaternion, **beam)
    turned, same = simulate_spots(found, multiply(quaternion, about_axis([0, 0, 1], -phi)), **beam)
    c, s = np.cos(np.radians(phi)), np.sin(np.radians(phi))
    np.testing.assert_allclose(turned[:, 1], c * place[:, 1] - s * place[:, 0], atol=1e-9)
    np.testing.assert_allclose(turned[:, 0], s * place[:, 1] + c * place[:, 0], atol=1e-9)
    np.testing.assert_allclose(same, intensity, rtol=1e-6)


@pytest.mark.parametrize("painter", [paint_disks, paint_disks.py_func], ids=["compiled", "python"])
def test_disks_keep_counts_and_centre(painter):
    image = np.zeros((40, 30))
    painter(image, np.array([17.3]), np.array([11.8]), np.array([100.0]), 2.5, 5, False)
    y, x = np.indices(image.shape)
    assert image.sum() == pytest.approx(100, rel=0.03)
    assert (y * image).sum() / image.sum() == pytest.approx(17.3, abs=0.03)
    assert (x * image).sum() / image.sum() == pytest.approx(11.8, abs=0.03)


def test_disk_at_the_edge_loses_its_outer_part():
    image = np.zeros((20, 20))
    paint_disks(image, np.array([-0.5]), np.array([10.0]), np.array([100.0]), 3.0, 5, False)
    assert image.sum() == pytest.approx(50, rel=0.05)


def test_pixel_coordinates_and_distortion():
    still = {"drift_px": 0.0, "jitter_px": 0.0, "units": "px"}
    optics = Microscope(**still, ellipticity=1.2, ellipse_angle_deg=30.0)
    scan = orientation_scan([NICKEL], shape=(2, 2), detector=(64, 64), microscope=optics, seed=2)
    assert scan.qx.attrs["units"] == "px"
    assert scan.qx.values[0] == 0
    np.testing.assert_allclose(scan.truth_origin_y, 31.5)
    from phasekit.synthetic.orientation import distort_positions

    turn = np.linspace(0, 2 * np.pi, 361)
    ring = distort_positions(np.stack([np.sin(turn), np.cos(turn)], axis=1), optics)
    radius = np.hypot(*ring.T)
    assert radius.max() / radius.min() == pytest.approx(1.2, rel=1e-3)
    assert np.degrees(np.arctan2(*ring[np.argmax(radius[:180])])) == pytest.approx(30, abs=1)


def test_detector_rotation_follows_the_convention():
    from phasekit.synthetic.orientation import distort_positions

    on_detector = distort_positions(np.array([[0.0, 1.0]]), Microscope(detector_rotation_deg=30.0))
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    y, x = on_detector[0]
    np.testing.assert_allclose([s * x + c * y, c * x - s * y], [0, 1], atol=1e-12)  # turned by +30: the sample frame


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"electrons": 0}, "positive"), ({"phases": []}, "no phases"), ({"microscope": Microscope(units="mm")}, "units")],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(SchemaError, match=message):
        orientation_scan(**{"shape": (2, 2), **arguments})


@pytest.mark.parametrize("entry", [structures.NICKEL, structures.LIFEPO4], ids=lambda entry: entry["name"])
def test_bundled_cif_is_the_recipe(entry):
    path = pk.samples.root() / "data-samples" / f"{entry['name']}.cif"
    assert path.read_text(encoding="utf-8") == structures.cif_text(entry)
    phase = pk.io.open_phase(path)
    mine = crystal(entry["name"], entry["space_group"], entry["lattice"], entry["atoms"])
    first, second = (
        {tuple(hkl): f for hkl, f in zip(known.hkl.tolist(), known.strength, strict=True) if f > 0.1}
        for known in (reflections(phase, 0.7), reflections(mine, 0.7))
    )
    assert len(first) > 10
    for hkl in first.keys() | second.keys():
        assert first.get(hkl, 0.1) == pytest.approx(second.get(hkl, 0.1), rel=1e-3)


def test_overlap_mixes_two_grains():
    specimen = Specimen(n_grains=4, vacuum_fraction=0.0, overlap_px=2.0)
    scan = orientation_scan([NICKEL], shape=(10, 10), detector=(32, 32), specimen=specimen, seed=1)
    assert bool((scan.truth_phase == 0).all())
    assert 0.1 < float(scan.truth_overlap.mean()) < 0.95
    partner = scan.truth_partner.where(scan.truth_overlap)
    assert bool((partner != scan.truth_grain).where(scan.truth_overlap, True).all())
