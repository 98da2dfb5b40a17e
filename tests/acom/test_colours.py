"""IPF colours: corners, symmetry, and what has no colour."""

import numpy as np
import pytest

from phasekit.acom import ipf_colours
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis, from_matrix, multiply, random
from tests.acom.maps import NICKEL, orientation_map

CUBIC = np.asarray(NICKEL.point_group.laue_proper_subgroup.data)


def along_z(direction):
    """An orientation that puts the crystal direction along sample z."""
    z = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    x = np.cross([0.3, 0.5, 0.8], z)
    x /= np.linalg.norm(x)
    return from_matrix(np.stack([x, np.cross(z, x), z], axis=1)[None])[0]  # columns: images of sample x, y, z


@pytest.mark.parametrize(("direction", "rgb"), [((0, 0, 1), (1, 0, 0)), ((1, 0, 1), (0, 1, 0)), ((1, 1, 1), (0, 0, 1))])
def test_cubic_corners_are_red_green_blue(direction, rgb):
    colours = ipf_colours(orientation_map(along_z(direction)[None, None]))
    np.testing.assert_allclose(colours.values[0, 0], rgb, atol=0.02)


def test_equivalents_and_turns_about_the_direction_share_a_colour():
    base = random(1, np.random.default_rng(2))[0]
    alike = np.concatenate([multiply(CUBIC, base), multiply(base, about_axis([0, 0, 1], np.arange(0.0, 360, 15)))])
    colours = ipf_colours(orientation_map(alike[None])).values[0]
    np.testing.assert_allclose(colours, colours[:1] * np.ones((len(alike), 1)), atol=1e-6)


def test_each_phase_has_its_own_group_and_vacuum_none():
    quaternion = np.ones((1, 3, 1)) * along_z((1, 0, 0))
    quaternion[0, 2] = np.nan
    colours = ipf_colours(orientation_map(quaternion, np.array([[0, 1, 0]]))).values[0]
    np.testing.assert_allclose(colours[0], (1, 0, 0), atol=0.02)  # cubic: [100] is a <001>
    assert not np.allclose(colours[1], (1, 0, 0), atol=0.1)  # orthorhombic: it is not
    assert np.isnan(colours[2]).all()


def test_colour_blind_key_stays_within_its_corners():
    rng = np.random.default_rng(5)
    colours = ipf_colours(orientation_map(random(60, rng)[None]), ipf_key="cvd").values[0]
    assert colours.min() >= 0
    assert colours.max() <= 1
    vermilion = ipf_colours(orientation_map(along_z((0, 0, 1))[None, None]), ipf_key="cvd").values[0, 0]
    np.testing.assert_allclose(vermilion, (0.835, 0.369, 0.0), atol=0.03)


def test_lazy_stays_lazy_and_gives_the_same():
    orientations = orientation_map(random(24, np.random.default_rng(1)).reshape(4, 6, 4))
    lazy = ipf_colours(orientations.chunk(scan_y=1, scan_x=4))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.compute(), ipf_colours(orientations))


def test_unknown_words_are_refused():
    orientations = orientation_map(random(1, np.random.default_rng(1))[None])
    with pytest.raises(SchemaError, match="direction 'w'"):
        ipf_colours(orientations, direction="w")
    with pytest.raises(SchemaError, match="ipf_key 'pink'"):
        ipf_colours(orientations, ipf_key="pink")
