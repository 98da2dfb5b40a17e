"""Every dataset that crosses a step, written once: names, dimensions and units.

A step calls :func:`require` at its door and :func:`describe` at its exit. Between the two it may do what it likes;
outside, a dataset can be recognised by its variables alone, also after a trip through a file.
"""

from .doors import describe, provenance, require
from .kinds import (
    ANY,
    CLUSTERS,
    COMPARISON,
    DIMENSION_UNITS,
    FACTORS,
    FEATURES,
    GRAINS,
    OD,
    ORIENTATION_ACCURACY,
    ORIENTATIONS,
    OVERLAP,
    PATTERNS,
    PEAKS,
    PHASES,
    RANKS,
    REFERENCE_FIT,
    REFERENCES,
    SECOND_GRAIN,
    STACK,
    TEMPLATES,
    VIRTUAL,
    Schema,
    Variable,
)
from .maps import BOUNDARIES, POLE_FIGURE

__all__ = [
    "ANY",
    "BOUNDARIES",
    "CLUSTERS",
    "COMPARISON",
    "DIMENSION_UNITS",
    "FACTORS",
    "FEATURES",
    "GRAINS",
    "OD",
    "ORIENTATIONS",
    "ORIENTATION_ACCURACY",
    "OVERLAP",
    "PATTERNS",
    "PEAKS",
    "PHASES",
    "POLE_FIGURE",
    "RANKS",
    "REFERENCES",
    "REFERENCE_FIT",
    "SECOND_GRAIN",
    "STACK",
    "TEMPLATES",
    "VIRTUAL",
    "Schema",
    "Variable",
    "describe",
    "provenance",
    "require",
]
