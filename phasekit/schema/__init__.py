"""The kinds of datasets that steps take and return: names, dimensions and units, each written once.

A step calls :func:`require` first and :func:`describe` last. Between the two a dataset may have any form. Outside, a
dataset can be recognised by its variables alone, also when it comes from a file.
"""

# Imported at once, not lazily: schemas are small, and every step needs them.
from .acom_maps import BOUNDARIES, POLE_FIGURE
from .checks import describe, provenance, require
from .core import (
    ANY,
    DIMENSION_UNITS,
    GRAINS,
    ORIENTATION_ACCURACY,
    ORIENTATIONS,
    PATTERNS,
    PEAKS,
    SECOND_GRAIN,
    TEMPLATES,
    VIRTUAL,
    Schema,
    Variable,
)
from .detector import DETECTOR_MASK
from .nmf import FACTORS, FEATURES, OVERLAP, RANKS
from .nmf_mixtures import COMPONENT_CRYSTALS, CRYSTAL_COUNTS, CRYSTAL_GROUPS, LOADINGS, OVERLAP_PATTERN, VARIANTS
from .nmf_quality import COMPONENT_QUALITY, IMAGE_QUALITY
from .phase_names import read_phase_names, renumber_phases, write_phase_names
from .stxm import CLUSTERS, COMPARISON, NUISANCES, OD, PHASES, REFERENCES, STACK
from .stxm_comparison import BASELINE
from .stxm_fits import FORECAST, REFERENCE_FIT
from .stxm_noise import NOISE
from .stxm_particles import (
    COMPOSITE,
    COMPOSITION,
    HISTOGRAM,
    PARTICLE_STATISTICS,
    PARTICLES,
    PROFILE,
    RADIAL_PROFILES,
    THICKNESS,
)

# Listed, so that linters and type checkers take the imports above as the API.
__all__ = [
    "ANY",
    "BASELINE",
    "BOUNDARIES",
    "CLUSTERS",
    "COMPARISON",
    "COMPONENT_CRYSTALS",
    "COMPONENT_QUALITY",
    "COMPOSITE",
    "COMPOSITION",
    "CRYSTAL_COUNTS",
    "CRYSTAL_GROUPS",
    "DETECTOR_MASK",
    "DIMENSION_UNITS",
    "FACTORS",
    "FEATURES",
    "FORECAST",
    "GRAINS",
    "HISTOGRAM",
    "IMAGE_QUALITY",
    "LOADINGS",
    "NOISE",
    "NUISANCES",
    "OD",
    "ORIENTATIONS",
    "ORIENTATION_ACCURACY",
    "OVERLAP",
    "OVERLAP_PATTERN",
    "PARTICLES",
    "PARTICLE_STATISTICS",
    "PATTERNS",
    "PEAKS",
    "PHASES",
    "POLE_FIGURE",
    "PROFILE",
    "RADIAL_PROFILES",
    "RANKS",
    "REFERENCES",
    "REFERENCE_FIT",
    "SECOND_GRAIN",
    "STACK",
    "TEMPLATES",
    "THICKNESS",
    "VARIANTS",
    "VIRTUAL",
    "Schema",
    "Variable",
    "describe",
    "provenance",
    "read_phase_names",
    "renumber_phases",
    "require",
    "write_phase_names",
]


def __dir__() -> list[str]:
    return list(__all__)
