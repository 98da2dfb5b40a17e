"""Datasets of virtual imaging."""

from ..schema import Schema, Variable

_SCAN = ("scan_y", "scan_x")

VIRTUAL_IMAGES = Schema(
    "VIRTUAL_IMAGES",
    (
        Variable("virtual_image", ("detector", *_SCAN), "counts", "counts on the virtual detector"),
        # Stored with the images, so that a result says what the detectors were.
        Variable("weight", ("detector", "qy", "qx"), "1", "share of the detector pixel that counts"),
    ),
    "pk.virtual.apply_detectors",
)
RADIAL_SCAN = Schema(
    "RADIAL_SCAN",
    (
        Variable("radial_mean", (*_SCAN, "radius"), "counts", "mean over the azimuth"),
        # Not divided by the mean squared: a ring without counts would be undefined.
        Variable("radial_variance", (*_SCAN, "radius"), "counts^2", "variance over the azimuth"),
        Variable("n_pixels", ("radius",), "1", "detector pixels in the ring"),
    ),
    "pk.virtual.compute_radial_profiles",
)
DEFLECTION = Schema(
    "DEFLECTION",
    (
        # In 1/angstrom or px: the unit of the detector is copied.
        Variable("centre_of_mass_y", _SCAN, "any", "centre of mass along y, from the centre"),
        Variable("centre_of_mass_x", _SCAN, "any", "centre of mass along x, from the centre"),
    ),
    "pk.virtual.compute_centre_of_mass",
)
