"""Virtual imaging: images, radial profiles and deflections of a 4D-STEM scan, computed from the counts.

``detectors`` makes images with ring-shaped virtual detectors, ``radial`` averages every pattern over the azimuth,
``deflection`` computes centres of mass. ``geometry`` finds the direct beam and weighs the detector pixels for all of
them. ``schema`` holds their datasets, ``figures`` draws them.
"""

# Loaded on first use, so that `import phasekit` stays light.
import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
