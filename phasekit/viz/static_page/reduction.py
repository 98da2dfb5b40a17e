"""What is left out where a result is larger than a page may be: pixels between those that are kept."""

from collections.abc import Callable, Mapping
from math import ceil, sqrt
from typing import NamedTuple

from phasekit.errors import SchemaError

from .packing import Section, pack_section
from .quantise import Codes

_MAP_SHARE = 0.5  # of the page that maps may take
_MOST_STEPS = 4096


class Reduced(NamedTuple):
    """Packed maps and details, and how many pixels lie between those that were kept."""

    maps: Section
    details: Section
    map_step: int
    detail_step: int


def fit_sections(
    make_maps: Callable[[int], Mapping[str, Codes]],
    make_details: Callable[[int], Mapping[str, Codes]],
    room: int,
    start: int = 1,
) -> Reduced:
    """Pack maps and details with the smallest steps found with which they fit into ``room`` bytes together.

    ``make_maps`` and ``make_details`` take the step, from ``start`` on. Maps come first: half of the room is theirs.

    Raises
    ------
    SchemaError
        Even single pixels do not fit.
    """
    maps, map_step = _fit_section(make_maps, int(_MAP_SHARE * room), start, room)
    details, detail_step = _fit_section(make_details, room - maps.size, map_step, room)
    return Reduced(maps, details, map_step, detail_step)


def _fit_section(make: Callable[[int], Mapping[str, Codes]], room: int, step: int, total: int) -> tuple[Section, int]:
    while step <= _MOST_STEPS:
        section = pack_section(make(step))
        if section.size <= room:
            return section, step
        # Sizes fall with the square of the step. One in fifty less, because headers and small blocks do not.
        step = max(step + 1, ceil(step * sqrt(section.size / room) * 0.98))
    raise SchemaError(
        f"save_page: one pixel needs more than the page may hold, {total / 1e6:.2f} MB. Raise max_mb, or leave out a "
        "dataset such as the templates."
    )
