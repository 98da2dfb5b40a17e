"""Bad pixels of the detector, found once for all workflows: ``find_mask`` finds them, ``apply_mask`` removes them.

``scan_images`` reads a scan once. ``values`` and ``spikes`` find values that are no counts. ``outliers`` compares a
pixel with its neighbours, ``regions`` finds lines, gaps and saturated disks. ``kinds`` and ``mask`` join them to one
dataset. ``use`` is what the steps of ACOM, NMF and virtual imaging do with it.
"""

# Loaded on first use, so that `import phasekit` stays light.
import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
