"""The colour key of an inverse pole figure: the fundamental sector in its colours."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phasekit.acom.maps.colours import direction_colours
from phasekit.code_cache import import_alone
from phasekit.crystals import direct_basis, find_standard_group, phase_from_record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Pixels along each side of the key, fine enough for a panel of 3 inches.
_PIXELS = 240


def draw_colour_key(axis: "Axes", record: dict[str, Any], ipf_key: Literal["tsl", "cvd"] = "tsl") -> None:
    r"""Draw the key of one phase (an entry of ``attrs["phases"]``), with its corners labelled as directions.

    Directions are projected stereographically, :math:`(X, Y) = (x, y) / (1 + z)`.
    """
    import_alone("orix.quaternion.symmetry")
    from orix.vector import Vector3d

    group = phase_from_record(record).point_group
    laue, turn = find_standard_group(group)
    sector = laue.fundamental_sector
    low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    for _ in range(2):  # coarse over the hemisphere, then fine over the sector
        x, y = np.meshgrid(np.linspace(low[0], high[0], _PIXELS), np.linspace(low[1], high[1], _PIXELS))
        square = x**2 + y**2
        # Inverse stereographic projection from the lower pole: (X, Y) -> upper hemisphere.
        vectors = Vector3d(np.stack([2 * x, 2 * y, 1 - square], axis=-1) / (1 + square)[..., None])
        inside = (vectors <= sector) & (square <= 1)
        extent = (low[0], high[0], low[1], high[1])
        step = (high - low) / (_PIXELS - 1)
        low = np.maximum(np.array([x[inside].min(), y[inside].min()]) - step, -1)
        high = np.minimum(np.array([x[inside].max(), y[inside].max()]) + step, 1)
    colours = np.ones((*x.shape, 4))
    # Transparent outside the sector, so that the page shows whatever its colour.
    colours[..., 3] = inside
    colours[inside, :3] = direction_colours(vectors.data[inside], laue, ipf_key)
    axis.imshow(colours, extent=extent, origin="lower", interpolation="bilinear")
    margin = 0.18 * max(high - low)
    axis.set_xlim(low[0] - margin, high[0] + margin)
    axis.set_ylim(low[1] - margin, high[1] + margin)
    axis.set_aspect("equal")
    axis.set_axis_off()
    axis.set_title(f"key: {record['name']} ({record['point_group']})", fontsize="medium")
    _label_corners(axis, sector.vertices, direct_basis(record["lattice"]) @ turn.T)


def _label_corners(axis: "Axes", corners: Any, basis: Any) -> None:
    """Directions [uvw] at the corners of the sector; ``basis`` holds the cell vectors as rows."""
    for corner in np.atleast_2d(corners.data):
        # Corners below the equator are not in the picture.
        if corner[2] < -1e-6:
            continue
        position = corner[:2] / (1 + corner[2])
        axis.annotate(
            _format_direction(corner @ np.linalg.inv(basis)),
            position,
            ha="center",
            va="center",
            fontsize="small",
            xytext=_shift_outwards(axis, position),
        )


def _shift_outwards(axis: "Axes", corner: Any) -> tuple[float, float]:
    """Position of a label: 9 % of the width further from the middle of the sector than its corner."""
    middle = np.array([np.mean(axis.get_xlim()), np.mean(axis.get_ylim())])
    distance = 0.09 * (axis.get_xlim()[1] - axis.get_xlim()[0])
    step = np.asarray(corner) - middle
    label = np.asarray(corner) + distance * step / max(float(np.linalg.norm(step)), 1e-9)
    return float(label[0]), float(label[1])


def _format_direction(vector: Any) -> str:
    """Smallest whole numbers along a direction, as [u v w]."""
    scaled = np.asarray(vector) / max(np.abs(vector))
    # Corners are directions of low indices, but only to the precision of the stored lattice.
    for factor in range(1, 13):
        whole = np.round(scaled * factor)
        if np.abs(scaled * factor - whole).max() < 0.02 * factor:
            return "[" + " ".join(f"{int(n)}" for n in whole) + "]"
    return "[" + " ".join(f"{n:.2f}" for n in scaled) + "]"
