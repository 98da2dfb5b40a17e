"""Kind of dataset that says which detector pixels are bad."""

from .core import Schema, Variable

_DETECTOR = ("qy", "qx")

DETECTOR_MASK = Schema(
    "DETECTOR_MASK",
    (
        Variable("kind", _DETECTOR, "1", "kind of the detector pixel"),
        # Also of pixels that are used: cosmic rays and lost values of single patterns.
        Variable("bad_share", _DETECTOR, "1", "share of the patterns in which the pixel holds no count"),
        Variable("pixel_count", ("pixel_kind",), "1", "number of pixels of the kind"),
    ),
    "pk.detector.find_mask",
)
