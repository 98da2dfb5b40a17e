"""What a view of an explorer shows, as data: a map, or a plot. The live and the static twin draw the same picture."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..palettes import BACKGROUND_GREY, GESTURE_COLOUR
from ..value_range import display_range

#: Pixels along each axis that a map sends to the screen at most.
SCREEN_PIXELS = 512
#: Text and neutral lines: seen on white and on black paper.
INK = "#7F7F7F"
#: What the user marked: pins, regions, apertures.
GESTURE = GESTURE_COLOUR
#: Index of missing values in an encoded map of numbers; 0 to 254 are the colours.
_MISSING = 255


class Marks(NamedTuple):
    """Points on a map or in a plot."""

    x: Sequence[float]
    y: Sequence[float]
    labels: Sequence[str]  # shown where the mouse is
    colour: str
    size: float = 9.0  # diameter on the screen [px]
    marker: str = "circle"
    filled: bool = False
    name: str = ""  # entry in the key of a plot


class Outline(NamedTuple):
    """A closed or open line on a map, in its coordinates."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str


class Label(NamedTuple):
    """A word in a plot."""

    x: float
    y: float
    text: str


class MapPicture(NamedTuple):
    """A map, and what lies on it. One of ``names``, ``colours`` or ``label`` says what its values are.

    ``values`` (y, x): index into ``names``, below 0 the background; or a number [``label``]; or colours (y, x, rgb).
    """

    values: xr.DataArray
    title: str = ""
    names: Sequence[str] = ()  # of the classes
    colours: Sequence[str] = ()
    background: str = "background"  # name of a class below 0
    shown: Sequence[int] | None = None  # classes in the key; None: all
    label: str = ""  # quantity and unit of numbers
    limits: tuple[float, float] | None = None  # ends of the colour scale; None: by `display_range`
    cmap: str = "cividis"
    key: str = ""  # HTML below the map, where colours need one
    power: float = 1.0  # numbers are drawn to this power
    marks: Sequence[Marks] = ()
    outlines: Sequence[Outline] = ()
    shaded: NDArray[np.bool_] | None = None  # (y, x): pixels that are drawn darker, because others were marked
    missing: str = BACKGROUND_GREY  # colour of missing numbers

    @property
    def is_colours(self) -> bool:
        """Whether the values are colours."""
        return self.values.ndim == 3

    @property
    def scale(self) -> tuple[float, float]:
        """Values at the ends of the colour map, different from each other."""
        low, high = self.limits or display_range(self.values)
        low, high = (0.0, 1.0) if low is None or high is None else (float(low), float(high))
        return (low, high) if high > low else (low - 0.5, low + 0.5)


class Line(NamedTuple):
    """One line of a plot."""

    x: Sequence[float] | NDArray[Any]
    y: Sequence[float] | NDArray[Any]
    name: str
    colour: str
    dash: str = "solid"
    width: float = 1.5
    error: Sequence[float] | NDArray[Any] | None = None  # half width of the band around the line


class Bars(NamedTuple):
    """Bars at whole numbers, each with a name below and a colour."""

    heights: Sequence[float]
    names: Sequence[str]
    colours: Sequence[str]


class PlotPicture(NamedTuple):
    """Lines, points or bars against an axis."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    marks: Sequence[Marks] = ()
    bars: Bars | None = None
    verticals: Sequence[float] = ()  # dashed lines across the plot
    note: str = ""  # one sentence below the title
    labels: Sequence[Label] = ()
    half_width: float = 0.0  # above 0: a drawing without axes about 0, x right, y down, equal lengths on the screen


Picture = MapPicture | PlotPicture


def find_stride(sizes: Sequence[int], most: int = SCREEN_PIXELS) -> int:
    """Smallest step between pixels with which at most ``most`` remain along each axis."""
    return max(-(-max(sizes) // most), 1)


def thin_for_screen(data: Any, dims: tuple[str, str] = ("scan_y", "scan_x")) -> Any:
    """Dataset or array with every n-th pixel along both axes, so that at most 512 remain along each.

    The pixel nearest the middle of each block of n x n is kept, never a mean: a mean of two phases is a third one.
    """
    step = find_stride([data.sizes[dim] for dim in dims])
    # A line of pixels is thinner than half a step.
    starts = {dim: min((step - 1) // 2, max(data.sizes[dim] - 1, 0) // 2) for dim in dims}
    return data.isel({dim: slice(start, None, step) for dim, start in starts.items()}) if step > 1 else data


def encode_map(picture: MapPicture) -> tuple[NDArray[np.uint8], list[str]]:
    """Map as bytes (y, x) and the colour of each byte; colours as bytes (y, x, rgba) and no list."""
    values = np.asarray(picture.values)
    if picture.is_colours:
        rgb = np.nan_to_num(np.clip(values[..., :3], 0, 1)) * 255 if values.dtype.kind == "f" else values[..., :3]
        return np.dstack([rgb.astype(np.uint8), np.full(values.shape[:2], 255, np.uint8)]), []
    if picture.names:
        n = len(picture.names)
        valid = (values >= 0) & (values < n)
        index = np.where(valid, np.nan_to_num(values), n).astype(np.uint8)
        return index, [*(picture.colours[i % len(picture.colours)] for i in range(n)), BACKGROUND_GREY]
    low, high = picture.scale
    share = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1)
    share = share**picture.power if picture.power != 1 else share
    scaled = np.nan_to_num(share * 254)
    colours = list(_sample_colours(picture.cmap, picture.missing))
    return np.where(np.isnan(share), _MISSING, scaled).astype(np.uint8), colours


@cache
def _sample_colours(cmap: str, missing: str) -> tuple[str, ...]:
    """The 255 colours of a colour map, and that of what is missing."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    # One copy of the map for all colours: matplotlib makes a new one each time it is asked for by name.
    colours = colormaps[cmap]
    return (*(to_hex(colours(i / 254)) for i in range(255)), missing)


def find_edges(coordinate: xr.DataArray) -> tuple[float, float]:
    """Outer edges of the first and the last pixel along an axis."""
    values = np.asarray(coordinate, dtype=float)
    half = (values[-1] - values[0]) / (values.size - 1) / 2 if values.size > 1 else 0.5
    return float(values[0] - half), float(values[-1] + half)
