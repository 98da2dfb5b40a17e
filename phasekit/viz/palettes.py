"""One colour, one meaning: the colours of phases, status words, components, grains and lines, with their reasons.

No two colours of areas are alike, in whichever of these scales they stand. With normal vision and with each of the
three colour-vision deficiencies any two differ by at least 15 in CIELAB, where 2.3 is just seen. Components, grains and
status words were found by a search over sRGB in steps of 6 (tests/viz/test_colours.py computes the differences).
"""

import heapq
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Okabe and Ito's colours, distinct for every kind of colour vision. Black is left out: it looks like missing data.
PHASE_COLOURS: list[str] = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"]
#: Pixels without a phase: background, vacuum, not measured.
BACKGROUND_GREY: str = "#BDBDBD"
#: Colour of every status word, the same in every figure, and none of them the colour of a phase. Words of one meaning
#: share a colour.
STATUS_COLOURS: dict[str, str] = {
    "ok": "#FFFFFF",  # nothing to say: the colour of paper, with a dark edge in bars
    "background": BACKGROUND_GREY,
    "vacuum": BACKGROUND_GREY,
    "ambiguous": "#4D4D4D",  # an answer that may be another: dark, but still a grey
    "ambiguous_180": "#4D4D4D",
    "overlap": "#000000",  # two answers at once: darker than ambiguous
    "too_thick": "#682C00",  # too little light came through: brown, the darkest warm colour
    "too_few_peaks": "#C3A552",  # data are missing: khaki, the palest of the warm ones
    "incomplete": "#C3A552",
    "no_reference": "#4A025F",  # nothing that was given explains it: dark purple
    "poor_fit": "#4A025F",
    "false_assignment": "#9608F4",  # the spectrum contradicts the label: violet, the strongest, because it is an error
    "pseudo_symmetric": "#310698",  # another crystal direction looks the same: dark blue
    "transition": "#8E78FF",  # a mixture: lavender, between the colours of the phases
    "boundary_transition": "#B2FDAD",  # a mixture that is expected at a boundary: pale green, the mildest
}
#: Edge of white bars and patches, which would not be seen on paper.
EDGE_GREY: str = "#4D4D4D"
#: Components of a factorisation, strongest first. A component is no phase: several may be one phase, and one may hold
#: two. Inside one map they differ by at least 19. Greens and violets, as phases and status words have few.
COMPONENT_COLOURS: list[str] = [
    "#366636",
    "#7242D2",
    "#8A9CFF",
    "#CCF672",
    "#78246C",
    "#8AF6C6",
    "#669C5A",
]
#: All components behind these seven. A repeated colour would say that two patterns are one.
FURTHER_COMPONENTS: str = "#B41830"
#: Grains. A colour says only "another grain than its neighbour", so that five colours serve any number of grains.
#: They differ by at least 32, because nothing but the colour parts two grains.
GRAIN_COLOURS: list[str] = ["#9CCC8A", "#A84206", "#FFC0F0", "#6C7278", "#0C1E36"]
#: What the user marked: pins, regions, apertures. Seen on white and on black paper (contrast above 3.5 on both).
GESTURE_COLOUR: str = "#D80CBA"
#: Curves of one quantity beside another. They differ by markers or dashes: a hue would mean a phase or a component.
CURVE_COLOURS: tuple[str, str] = ("#1A1A1A", "#8C8C8C")
#: Kind (flag of BOUNDARIES), name, colour of the line, colour below it, widths of both [pt], dashes [widths].
#: Lines lie on orientations, where every hue occurs. They have none, and differ by width, dashes and a light core.
BOUNDARY_LINES: tuple[tuple[int, str, tuple[str, str], tuple[float, float], Any], ...] = (
    (1, "low angle", ("#000000", "#FFFFFF"), (0.6, 1.8), "-"),
    (2, "high angle", ("#000000", "#FFFFFF"), (2.0, 3.0), "-"),
    (3, "phase", ("#FFFFFF", "#000000"), (1.2, 3.4), "-"),
    (4, "half turn", ("#000000", "#FFFFFF"), (2.0, 3.0), (0, (0.8, 0.8))),
)


def list_component_colours(n: int) -> list[str]:
    """Colours of ``n`` components: one each for the strongest seven, and one together for all others.

    Examples
    --------
    >>> colours = list_component_colours(10)
    >>> len(set(colours[:7])), colours[7] == colours[9] == FURTHER_COMPONENTS
    (7, True)
    """
    own = COMPONENT_COLOURS[:n]
    return own + [FURTHER_COMPONENTS] * (n - len(own))


def list_component_classes(n: int, background: int | None = None) -> tuple[list[str], list[str]]:
    """Names and colours of the classes of a map of ``n`` components: at most eight, the last for all further ones.

    The background has its place, so that numbers stay; a last class of nothing but background has no name.

    Examples
    --------
    >>> list_component_classes(12, background=7)[0][5:]
    ['5', '6', '8 to 11']
    """
    own = len(COMPONENT_COLOURS)
    names = [str(i) for i in range(min(n, own))]
    if n > own:
        further = [i for i in range(own, n) if i != background]
        names.append("" if not further else str(further[0]) if len(further) == 1 else f"{further[0]} to {further[-1]}")
    return names, list_component_colours(len(names))


def assign_grain_colours(label: ArrayLike) -> NDArray[np.intp]:
    """Index into ``GRAIN_COLOURS`` for every grain, so that neighbours differ.

    Parameters
    ----------
    label
        (scan_y, scan_x): number of the grain, from 0; negative: none.

    Returns
    -------
    numpy.ndarray
        One index per grain. Only a grain with neighbours of all five colours shares one, that of its shortest border.

    Examples
    --------
    >>> assign_grain_colours([[0, 1], [2, 2]]).tolist()
    [2, 1, 0]
    """
    borders = _measure_borders(np.asarray(label))
    colours = np.full(len(borders), -1, dtype=np.intp)
    used: Counter[int] = Counter()
    for grain in _order_grains(borders):
        touching = Counter({int(colours[other]): 0 for other in borders[grain]})
        for other, length in borders[grain].items():
            touching[int(colours[other])] += length
        # Of the free colours the one seen least, so that all five are seen.
        colours[grain] = min((touching[i], used[i], i) for i in range(len(GRAIN_COLOURS)))[2]
        used[int(colours[grain])] += 1
    return colours


def _measure_borders(label: NDArray[Any]) -> list[dict[int, int]]:
    """Neighbours of every grain, each with the number of pixel edges between the two."""
    n = int(label.max(initial=-1)) + 1
    borders: list[dict[int, int]] = [{} for _ in range(n)]
    sides = [(label[:, :-1], label[:, 1:]), (label[:-1], label[1:])]
    pairs = np.concatenate([np.stack([one.ravel(), other.ravel()]) for one, other in sides], axis=1)
    pairs = np.sort(pairs[:, (pairs[0] != pairs[1]) & (pairs.min(axis=0) >= 0)], axis=0).astype(np.int64)
    for (one, other), length in zip(*_count_pairs(pairs), strict=True):
        borders[one][other] = borders[other][one] = int(length)
    return borders


def _count_pairs(pairs: NDArray[np.int64]) -> tuple[list[list[int]], NDArray[np.intp]]:
    """Different columns of (2, n), and how often each occurs."""
    columns, counts = np.unique(pairs, axis=1, return_counts=True)
    return columns.T.tolist(), counts


def _order_grains(borders: list[dict[int, int]]) -> list[int]:
    """Grains with the fewest neighbours last, counted among those before them (Matula and Beck 1983).

    A plane map needs at most six colours in this order, and seldom more than four.
    """
    left = [len(neighbours) for neighbours in borders]
    heap = [(count, grain) for grain, count in enumerate(left)]
    heapq.heapify(heap)
    order: list[int] = []
    done = [False] * len(borders)
    while heap:
        count, grain = heapq.heappop(heap)
        if done[grain] or count != left[grain]:
            continue  # an older count of the same grain
        done[grain] = True
        order.append(grain)
        for other in borders[grain]:
            left[other] -= 1
            heapq.heappush(heap, (left[other], other))
    return order[::-1]
