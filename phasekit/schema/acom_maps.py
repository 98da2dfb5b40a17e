"""Kinds of datasets computed from a finished orientation map: its boundaries and its pole figures."""

from .core import Schema, Variable

_SCAN = ("scan_y", "scan_x")
_POLE = ("pole_y", "pole_x")

BOUNDARIES = Schema(
    "BOUNDARIES",
    (
        Variable("kernel_misorientation", _SCAN, "degree", "mean disorientation from the neighbours in the grain"),
        # An edge belongs to the pixel at its left or above it; the last column and row have none.
        Variable("boundary_x", _SCAN, "degree", "disorientation across the right edge"),
        Variable("boundary_y", _SCAN, "degree", "disorientation across the lower edge"),
        Variable("boundary_kind_x", _SCAN, "1", "kind of boundary at the right edge"),
        Variable("boundary_kind_y", _SCAN, "1", "kind of boundary at the lower edge"),
        Variable("grain_misorientation", _SCAN, "degree", "disorientation from the mean of the grain", optional=True),
    ),
    "pk.acom.misorientation_maps",
)
POLE_FIGURE = Schema(
    "POLE_FIGURE",
    (
        Variable("density", _POLE, "1", "density of poles in multiples of a random distribution"),
        # Equal directions are gathered, so that a map of a million pixels stays small.
        Variable("direction_y", ("pole",), "1", "projected place of a pole along y"),
        Variable("direction_x", ("pole",), "1", "projected place of a pole along x"),
        Variable("weight", ("pole",), "1", "number of poles gathered at this place"),
        Variable("n_pixels", (), "1", "scan positions that were counted"),
    ),
    "pk.acom.pole_figure",
)
