"""The colour key of an inverse pole figure, drawn as a picture of the fundamental sector."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PIXELS = 240


def draw_key(axis: "Axes", record: dict[str, Any]) -> None:
    """Draw the key of one phase (an entry of ``attrs["phases"]``): stereographic, corners labelled as directions."""
    from orix.crystal_map import Phase
    from orix.plot import DirectionColorKeyTSL
    from orix.vector import Vector3d

    group = Phase(point_group=record["point_group"]).point_group.laue
    sector = group.fundamental_sector
    span = np.linspace(-1, 1, _PIXELS)
    x, y = np.meshgrid(span, span)
    square = x**2 + y**2
    # Inverse stereographic projection from the lower pole: (X, Y) -> upper hemisphere.
    vectors = Vector3d(np.stack([2 * x, 2 * y, 1 - square], axis=-1) / (1 + square)[..., None])
    inside = (vectors <= sector) & (square <= 1)
    colours = np.ones((*x.shape, 4))
    colours[..., 3] = inside
    colours[inside, :3] = DirectionColorKeyTSL(group).direction2color(vectors[inside])
    axis.imshow(colours, extent=(-1, 1, -1, 1), origin="lower", interpolation="bilinear")
    rows, columns = np.nonzero(inside)
    low, high = (np.array([span[columns].min(), span[rows].min()]), np.array([span[columns].max(), span[rows].max()]))
    margin = 0.18 * max(high - low)
    axis.set_xlim(low[0] - margin, high[0] + margin)
    axis.set_ylim(low[1] - margin, high[1] + margin)
    axis.set_aspect("equal")
    axis.set_axis_off()
    axis.set_title(f"key: {record['name']} ({group.name})", fontsize="medium")
    _label_corners(axis, sector.vertices, record)


def _label_corners(axis: "Axes", corners: Any, record: dict[str, Any]) -> None:
    """Directions [uvw] at the corners of the sector (Cartesian crystal frame where that is what it is)."""
    for corner in np.atleast_2d(corners.data):
        if corner[2] < -1e-6:
            continue
        where = corner[:2] / (1 + corner[2])
        axis.annotate(_name(corner), where, ha="center", va="center", fontsize="small", xytext=_outwards(axis, where))


def _outwards(axis: "Axes", where: Any) -> tuple[float, float]:
    """Place of a label: a little further from the middle of the sector than its corner."""
    middle = np.array([np.mean(axis.get_xlim()), np.mean(axis.get_ylim())])
    reach = 0.09 * (axis.get_xlim()[1] - axis.get_xlim()[0])
    step = np.asarray(where) - middle
    place = np.asarray(where) + reach * step / max(float(np.linalg.norm(step)), 1e-9)
    return float(place[0]), float(place[1])


def _name(vector: Any) -> str:
    """Smallest whole numbers along a direction, as [u v w]."""
    scaled = np.asarray(vector) / max(np.abs(vector))
    for factor in range(1, 13):
        whole = np.round(scaled * factor)
        if np.abs(scaled * factor - whole).max() < 0.02 * factor:
            return "[" + " ".join(f"{int(n)}" for n in whole) + "]"
    return "[" + " ".join(f"{n:.2f}" for n in scaled) + "]"
