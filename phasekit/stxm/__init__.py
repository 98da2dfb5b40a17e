"""STXM: an image stack becomes a phase map that says where it is not to be trusted.

Read the files as the experiment goes: ``alignment`` (frame drift), ``density`` (counts to optical density and its
noise), ``planning`` (which energies to measure), ``gmvae`` and ``clusters`` (spectra without labels), ``labels``
(names, margin, status), ``linear`` (fits with references) and ``comparison`` (the methods side by side).
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
