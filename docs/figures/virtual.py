"""Figures of the guide to virtual imaging, from the bundled sample."""

from _common import SAMPLES, save

import phasekit as pk

patterns = pk.io.open_4dstem(SAMPLES / "nmf_grains.nc").load()
mask = pk.detector.find_mask(patterns)
beam = pk.virtual.find_direct_beam(patterns, mask=mask)
edge = float(abs(patterns.qx).max())
detectors = {"bright field": (0, 2 * beam.radius), "dark field": (4 * beam.radius, edge)}
images = pk.virtual.apply_detectors(patterns, detectors, centre=beam.centre, mask=mask)
save(pk.virtual.detectors_figure(patterns, images), "virtual_detectors")

profiles = pk.virtual.compute_radial_profiles(patterns, centre=beam.centre, mask=mask)
save(pk.virtual.radial_figure(profiles), "virtual_radial")

deflection = pk.virtual.compute_centre_of_mass(patterns, centre=beam.centre, radius=2 * beam.radius, mask=mask)
save(pk.virtual.deflection_figure(deflection), "virtual_deflection")
