"""The phases that may occur in a stack: references, transition phases and unknown phases, with what relates them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..reference_spectra.library import Library
from .sufficient_statistics import select_pairs
from .unknown_phases import UnknownPhases

Array = NDArray[np.floating]


class SamplerOptions(NamedTuple):
    """Settings of the sampler of phase maps; None: learned from the map."""

    neighbours: float | None  # cost of an unlike neighbour [nat]
    blur_px: float | None  # full width of the probe at half maximum [px]
    seed: int


class PhaseModel(NamedTuple):
    """What all pixels share. Templates are the references, then the unknown and transition phases."""

    templates: Array  # (template, energy)
    composition: Array  # (reference,), NaN where unknown
    unknown_phases: UnknownPhases
    pairs: NDArray[np.intp]  # (pair, 2) references that may mix
    degrees_of_freedom: int  # of a spectrum after two amounts and a constant
    options: SamplerOptions

    @property
    def n_references(self) -> int:
        """Number of references; the templates behind them are unknown and transition phases."""
        return len(self.composition)

    @property
    def reference_spectra(self) -> Array:
        """Spectra (reference, energy) of the references alone."""
        return self.templates[: self.n_references]

    @property
    def is_adjacent(self) -> NDArray[np.bool_]:
        """Which templates (template, template) are next to each other in composition; none without compositions."""
        n_references, n_templates = self.n_references, len(self.templates)
        out = np.zeros((n_templates, n_templates), dtype=bool)
        if np.isfinite(self.composition).all():
            rank = np.argsort(np.argsort(self.composition))
            out[:n_references, :n_references] = np.abs(rank[:, None] - rank) == 1
        return out

    @property
    def reference_of_template(self) -> Array:
        """Matrix (template, reference) that turns probabilities of templates into those of names.

        A reference names itself, a transition phase is named by the nearest reference in composition. An unknown phase
        has no name, so its row is 0.
        """
        mixture = np.nan_to_num(self.unknown_phases.mixture)
        if np.isfinite(self.composition).all():
            nearest = np.abs((mixture @ self.composition)[:, None] - self.composition).argmin(axis=1)
        else:
            nearest = mixture.argmax(axis=1)
        is_named = ~self.unknown_phases.is_unknown[:, None]
        named = np.eye(self.n_references)[nearest.astype(np.intp)] * is_named
        return np.concatenate([np.eye(self.n_references), named])

    @property
    def mixture_of_template(self) -> Array:
        """Shares (template, reference) of the references in each template; 0 for an unknown phase."""
        return np.concatenate([np.eye(self.n_references), np.nan_to_num(self.unknown_phases.mixture)])

    @property
    def has_reference(self) -> NDArray[np.bool_]:
        """Which templates (template,) references explain: all but the unknown phases."""
        return np.concatenate([np.ones(self.n_references, dtype=bool), ~self.unknown_phases.is_unknown])

    def without_unknown(self) -> "PhaseModel":
        """Model of the references and the transition phases only."""
        return self._replace(
            templates=self.templates[self.has_reference], unknown_phases=self.unknown_phases.without_unknown()
        )


def build_phase_model(
    library: Library, spectra: Array, unknown_phases: UnknownPhases, options: SamplerOptions
) -> PhaseModel:
    """Model of the reference ``spectra`` (reference, energy), followed by the unknown and transition phases."""
    templates = np.concatenate([spectra, unknown_phases.spectra])
    # two amounts and the constant are fitted to every spectrum
    degrees_of_freedom = max(spectra.shape[1] - 3, 1)
    pairs = select_pairs(library)
    return PhaseModel(templates, library.composition, unknown_phases, pairs, degrees_of_freedom, options)
