"""NMF: a scan of diffraction patterns becomes a few components, as many as the data say.

Read the files as the experiment goes.

- ``features`` with ``used_pixels``, ``masks`` (``outliers``, ``scan_images``), ``gain``, ``centring``, ``redrawing``,
  ``polar`` and ``weighting``: patterns to a matrix that least squares may look at, and the way back.
- ``fitting``: the factorisation, for one k or all of them.
- ``choosing``: the evidence for k, every rule's vote, and how sure the choice is; ``quality``: image-quality metrics.
- ``after_fit``: background, overlap, mixtures, crystals.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
