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

__all__ = [
    "ANY",
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
