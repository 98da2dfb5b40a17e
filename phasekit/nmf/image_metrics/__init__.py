"""Similarity of two diffraction images by seven published image-quality metrics; the rank selection uses them too.

``images`` scores pairs of images, ``components`` the components of a fit against each other and against their patterns.
``reference`` keeps what a metric needs of the reference alone, and holds the table of metrics. The metrics are in
``psnr``, ``structure`` (SSIM, MS-SSIM), ``gradients`` (GMSD, MDSI), ``phase_congruency`` (FSIM) and ``information``
(VIF), with their common ``filters``.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
