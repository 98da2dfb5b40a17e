"""The phases that may occur in a stack: references and unknown phases, with what relates them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..reference_spectra.library import Library
from ..reference_spectra.model_error import ModelError
from .sufficient_statistics import select_pairs
from .unknown_phases import UnknownPhases

Array = NDArray[np.floating]


class SamplerOptions(NamedTuple):
    """Settings of the sampler of phase maps; None: learned from the map."""

    neighbours: float | None  # cost of an unlike neighbour [nat]
    blur_px: float | None  # full width of the probe at half maximum [px]
    seed: int


class PhaseModel(NamedTuple):
    """What all pixels share. Templates are the references, then the unknown phases."""

    templates: Array  # (template, energy)
    composition: Array  # (reference,), NaN where unknown
    unknown_phases: UnknownPhases
    pairs: NDArray[np.intp]  # (pair, 2) references that may mix
    options: SamplerOptions
    model_error: ModelError  # what the references lack

    @property
    def n_references(self) -> int:
        """Number of references; the templates behind them are unknown phases."""
        return len(self.composition)

    @property
    def reference_spectra(self) -> Array:
        """Spectra (reference, energy) of the references alone."""
        return self.templates[: self.n_references]

    @property
    def has_mixture(self) -> bool:
        """Whether the last label is a mixture of two references: not with a lone reference."""
        return self.n_references > 1

    @property
    def is_adjacent(self) -> NDArray[np.bool_]:
        """Which labels (label, label) are next to each other in composition; a mixture is next to every phase."""
        n_references, n_templates = self.n_references, len(self.templates)
        out = np.zeros((n_templates + self.has_mixture,) * 2, dtype=bool)
        out[n_templates:] = True
        out[:, n_templates:] = True
        if np.isfinite(self.composition).all():
            rank = np.argsort(np.argsort(self.composition))
            out[:n_references, :n_references] = np.abs(rank[:, None] - rank) == 1
        return out

    def without_unknown(self) -> "PhaseModel":
        """Model of the references only."""
        return self._replace(templates=self.reference_spectra, unknown_phases=self.unknown_phases.none())


def build_phase_model(
    library: Library, spectra: Array, unknown_phases: UnknownPhases, options: SamplerOptions, model_error: ModelError
) -> PhaseModel:
    """Model of the reference ``spectra`` (reference, energy), followed by the unknown phases."""
    templates = np.concatenate([spectra, unknown_phases.spectra])
    pairs = select_pairs(library)
    return PhaseModel(templates, library.composition, unknown_phases, pairs, options, model_error)
