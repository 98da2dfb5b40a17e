"""Views of an explorer: which picture, made from which of the chosen values, and which gestures it takes."""

from collections.abc import Callable
from typing import NamedTuple

from .gestures import Grid
from .pictures import Picture


class View(NamedTuple):
    """One view of an explorer."""

    draw: Callable[..., Picture]  # pure function of the values in ``needs``, by name
    needs: tuple[str, ...]
    grid: Grid | None = None  # pixels of a map; None: a plot
    cursor: str = ""  # value that its cursor sets: (y, x) of a pixel
    pins: str = ""  # value that a click or Enter adds a pixel to: at most two
    outline: str = ""  # value that a drawn box or lasso sets: corners x, y
    width: int = 310  # of a map on the screen [px]
    height: int = 300  # of a plot on the screen [px]
    is_slow: bool = False  # drawn after the others, which must not wait for it
    background: tuple[str, ...] = ()  # values after whose change it is computed in a thread of its own
