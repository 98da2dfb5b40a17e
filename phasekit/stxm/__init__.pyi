from .alignment import align as align
from .density import optical_density as optical_density
from .linear import fit_references as fit_references
from .gmvae import FittedGMVAE as FittedGMVAE
from .gmvae import fit_gmvae as fit_gmvae
from .clusters import assign_clusters as assign_clusters
