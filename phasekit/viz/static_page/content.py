"""What a page shows, as plain data that its scripts read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError

from ..explorer import Slider
from ..linked.gestures import make_grid
from ..linked.pictures import GESTURE
from ..style import BACKGROUND_GREY, PHASE_COLOURS, STATUS_COLOURS
from ..value_range import display_range

_LONGEST = 300  # letters of a parameter's value that are shown


class Scale(NamedTuple):
    """A slider of the page: its positions are all values that it can take."""

    name: str
    label: str
    positions: list[float]  # ascending
    start: int  # index
    decimals: int
    help: str

    def describe(self) -> dict[str, Any]:
        """Plain data for the scripts."""
        return self._asdict()


def make_scale(name: str, slider: Slider) -> Scale:
    """Positions of an explorer's slider, with its start value among them, as exact numbers."""
    count = round((slider.end - slider.start) / slider.step)
    # Rounded, so that the third step of 0.001 is 0.003 and not 0.0030000000000000001.
    steps = {round(slider.start + i * slider.step, 9) for i in range(count + 1)}
    positions = sorted(steps | {float(slider.value)})
    return Scale(name, slider.label, positions, positions.index(float(slider.value)), slider.decimals, slider.help)


def choose_value(thresholds: Mapping[str, float] | None, name: str, otherwise: float, known: Sequence[str]) -> float:
    """Start of a slider: what was chosen, or the usual value.

    Raises
    ------
    SchemaError
        There is no such threshold, or a value is no number.
    """
    given = dict(thresholds or {})
    for key, value in given.items():
        if key not in known:
            raise SchemaError(f"save_page: thresholds has no {key!r}, needs one of {', '.join(known)}.")
        if not np.isfinite(value):
            raise SchemaError(f"save_page: thresholds[{key!r}] = {value}, needs a number.")
    return float(given.get(name, otherwise))


def describe_grid(data: xr.Dataset, step: int) -> dict[str, Any]:
    """Pixels of the maps: number, size in the unit of the scan, and which pixels of the scan they are."""
    grid = make_grid(data["scan_y"], data["scan_x"])
    first = (step - 1) // 2
    # One row or column has no step of its own: its pixels are as wide as those of the other axis.
    dy, dx = (grid.dx if grid.n_y == 1 else grid.dy), (grid.dy if grid.n_x == 1 else grid.dx)
    return {
        "ny": len(range(first, grid.n_y, step)),
        "nx": len(range(first, grid.n_x, step)),
        "step": step,
        "first": first,
        "dy": dy,
        "dx": dx,
        "y0": grid.y + grid.dy / 2,
        "x0": grid.x + grid.dx / 2,
        # A scan without coordinates counts in pixels.
        "unit": grid.unit,
        "scanY": grid.n_y,
        "scanX": grid.n_x,
    }


def keep_pixels(data: Any, step: int) -> Any:
    """Dataset or array with the pixel nearest the middle of each block, as the explorers thin a map."""
    first = (step - 1) // 2
    return data.isel({dim: slice(first, None, step) for dim in ("scan_y", "scan_x")}) if step > 1 else data


def limit_step(data: xr.Dataset, step: int) -> int:
    """A step that leaves at least one pixel along each axis."""
    return min(step, *(max(2 * data.sizes[dim] - 1, 1) for dim in ("scan_y", "scan_x")))


def describe_numbers(
    name: str, label: str, values: Any, *, limits: tuple[float, float] | None = None
) -> dict[str, Any]:
    """A map of numbers: its array, and the ends of its colour scale, which no hot pixel can spoil."""
    low, high = limits or display_range(values)
    low, high = (0.0, 1.0) if low is None or high is None else (float(low), float(high))
    high = high if high > low else low + 1.0
    return {"name": name, "label": label, "low": low, "high": high}


def list_parameters(parameters: Mapping[str, Any] | None, workflow: str) -> list[list[str]]:
    """Names and values of the parameters as text; of ``globals()`` only those that the notebook declares."""
    given = dict(parameters or {})
    if "__name__" in given:
        from phasekit.batch import find_notebook, notebook_parameters

        declared = notebook_parameters(find_notebook(workflow))
        given = {name: given[name] for name in declared if name in given}
    texts = [[str(name), repr(value)] for name, value in _hide_secrets(given).items()]
    return [[name, text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."] for name, text in texts]


def _hide_secrets(value: Any) -> Any:
    """A parameter without what opens a storage: the page is made to be given away."""
    if isinstance(value, Mapping):
        return {_hide_secrets(name): _hide_secrets(item) for name, item in value.items() if name != "storage_options"}
    if isinstance(value, list | tuple):
        return [_hide_secrets(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(_hide_secrets, value), key=repr)
    if isinstance(value, str) and "://" in value:
        # A signature may stand behind the question mark. What follows it goes too, as it may be part of it.
        return re.sub(r"(://[^?#]*)[?#].*$", r"\1", _USER.sub("://", value), flags=re.DOTALL)
    return value


# User and password before the host. A password may hold any letter, so it ends at the last @; a port is no password.
_USER = re.compile(r"://(?:[^/?#\s:]*:(?!\d+(?:[/?#]|$))\S*|[^/?#\s]*)@")


def name_input(parameters: Mapping[str, Any] | None, otherwise: str) -> str:
    """Name of the input's file or of the first of several, for the heading; folders are in the list of parameters."""
    given = _hide_secrets((parameters or {}).get("input_path")) or ""
    first = given[0] if isinstance(given, list) and given else given
    return Path(str(first)).name or otherwise


def list_colours() -> dict[str, Any]:
    """Colours that the scripts draw with: those of the figures and of the explorers."""
    from matplotlib import colormaps

    ramps = {name: (colormaps[name](np.arange(256))[:, :3] * 255).astype(int).ravel().tolist() for name in _RAMPS}
    return {"phases": PHASE_COLOURS, "background": BACKGROUND_GREY, "gesture": GESTURE, "ramps": ramps}


_RAMPS = ("cividis",)


def describe_status(codes: Any) -> list[dict[str, str]]:
    """Name and colour of each status, in the order of their numbers."""
    words = [code.name.lower() for code in codes]
    return [{"name": word.replace("_", " "), "colour": STATUS_COLOURS[word]} for word in words]


def colour_phases(names: Sequence[str]) -> list[dict[str, str]]:
    """Name and colour of each phase; colours repeat after the last."""
    return [{"name": str(name), "colour": PHASE_COLOURS[i % len(PHASE_COLOURS)]} for i, name in enumerate(names)]
