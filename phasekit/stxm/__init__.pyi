from .alignment import align as align
from .density import optical_density as optical_density
