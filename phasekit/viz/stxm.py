"""Figures of the STXM workflow, and the explorer that moves its thresholds.

Figures are matplotlib figures made from what the steps return; nothing is computed here that a step could say.
"""

from .stxm_explorer import chosen_confidence, chosen_margin, explorer
from .stxm_maps import STATUS_COLOURS, alignment_figure, composition_figure, fraction_figure, od_figure, phase_figure
from .stxm_particles import composite_figure, histogram_figure, particle_figure, profile_figure, thickness_figure
from .stxm_planning import planning_figure
from .stxm_spectra import spectra_figure

__all__ = [
    "STATUS_COLOURS",
    "alignment_figure",
    "chosen_confidence",
    "chosen_margin",
    "composite_figure",
    "composition_figure",
    "explorer",
    "fraction_figure",
    "histogram_figure",
    "od_figure",
    "particle_figure",
    "phase_figure",
    "planning_figure",
    "profile_figure",
    "spectra_figure",
    "thickness_figure",
]
