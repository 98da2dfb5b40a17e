from .alignment import align as align
from .density import optical_density as optical_density
from .linear import fit_references as fit_references
