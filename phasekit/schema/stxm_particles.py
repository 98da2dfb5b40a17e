"""Kinds of datasets computed from a finished phase map of an X-ray stack: particles, profiles, thickness."""

from .core import ANY, Schema, Variable

_SCAN = ("scan_y", "scan_x")
# Abbreviations, so that a variable fits on a line.
_P = ("particle_number",)
_D = ("domain_number",)
_X = ("distance",)


def _needed(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name)


def _optional(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name, optional=True)


PARTICLES = Schema(
    "PARTICLES",
    (
        _needed("particle", _SCAN, "1", "particle (-1: none)"),
        _needed("domain", _SCAN, "1", "phase domain (-1: none)"),
        # A domain is a connected region of one phase inside a particle.
        _optional("domain_phase", _D, "1", "phase of the domain (index into reference)"),
        _optional("domain_particle", _D, "1", "particle the domain lies in"),
        _optional("domain_area", _D, "nm^2", "area of the domain"),
    ),
    "pk.stxm.label_particles",
)
PARTICLE_STATISTICS = Schema(
    "PARTICLE_STATISTICS",
    (
        _needed("area", _P, "nm^2", "area"),
        _needed("diameter", _P, "nm", "diameter of the circle of equal area"),
        _needed("centroid_y", _P, "nm", "centre of area along y"),
        _needed("centroid_x", _P, "nm", "centre of area along x"),
        # The frame's edge is no outline: it is not counted in the perimeter.
        _needed("perimeter", _P, "nm", "length of the outline inside the frame"),
        _needed("contact_length", _P, "nm", "part of the outline shared with other particles"),
        _needed("touches_border", _P, "1", "the frame cuts the particle"),
        _needed("n_pixels", _P, "1", "scan positions in the particle"),
        _needed("n_domains", _P, "1", "phase domains in the particle"),
        _needed("status_share", (*_P, "status_word"), "1", "share of the particle's pixels with this status"),
        # A standard error for doubt that is random, bounds for doubt that is the same everywhere.
        _needed("phase_fraction", (*_P, "reference"), "1", "share of the phase"),
        _needed("phase_fraction_error", (*_P, "reference"), "1", "standard error of the share, from the confidence"),
        _needed("phase_fraction_low", (*_P, "reference"), "1", "share if every doubtful pixel is another phase"),
        _needed("phase_fraction_high", (*_P, "reference"), "1", "share if every doubtful pixel that may be it is it"),
        _needed("composition_mean", _P, "1", "mean composition"),
        _needed("composition_error", _P, "1", "standard error of the mean composition, from noise"),
        _needed("composition_std", _P, "1", "standard deviation of the composition over the particle"),
        _needed(
            "boundary_length", (*_P, "reference", "other_reference"), "nm", "length of the boundaries between phases"
        ),
        _needed("boundary_total", _P, "nm", "length of all boundaries between phases"),
        # Optional: they need a fit of the boundaries, or a thickness.
        _optional("transition_width", _P, "nm", "distance over which the composition goes from 10 to 90 % of its step"),
        _optional("transition_error", _P, "nm", "standard error of the transition's width"),
        _optional("transition_upper", _P, "nm", "95 % upper bound of the transition's width"),
        _optional("volume", _P, "nm^3", "area times thickness"),
    ),
    "pk.stxm.particle_statistics",
)
COMPOSITION = Schema(
    "COMPOSITION",
    (
        _needed("composition", _SCAN, "1", "composition (for NVPF the sodium content x)"),
        _needed("composition_error", _SCAN, "1", "standard error of the composition"),
    ),
    "pk.stxm.fitted_composition",
)
PROFILE = Schema(
    "PROFILE",
    (
        _needed("profile", _X, ANY, "mean"),
        _needed("profile_std", _X, ANY, "standard deviation"),
        _needed("profile_error", _X, ANY, "standard error of the mean"),
        _needed("n_pixels", _X, "1", "values in the mean"),
        # Of the error function fitted to the profile, where there is a step.
        _optional("edge", _X, ANY, "fitted error function"),
        _optional("edge_position", (), "nm", "place of the step"),
        _optional("edge_position_error", (), "nm", "standard error of the place"),
        _optional("edge_from", (), ANY, "value far before the step"),
        _optional("edge_to", (), ANY, "value far behind the step"),
        _optional("edge_width_seen", (), "nm", "10-90 % width as seen, probe included"),
        _optional("edge_width_seen_error", (), "nm", "standard error of the width as seen"),
        # The probe is subtracted in quadrature; below its own error only an upper bound is left.
        _optional("edge_width", (), "nm", "10-90 % width without the probe (NaN: not resolved)"),
        _optional("edge_width_error", (), "nm", "standard error of the width without the probe"),
        _optional("edge_width_upper", (), "nm", "95 % upper bound of the width without the probe"),
    ),
    "pk.stxm.line_profile",
)
RADIAL_PROFILES = Schema(
    "RADIAL_PROFILES",
    (
        _needed("profile", (*_P, "depth"), ANY, "mean"),
        _needed("profile_std", (*_P, "depth"), ANY, "standard deviation"),
        _needed("profile_error", (*_P, "depth"), ANY, "standard error of the mean"),
        _needed("n_pixels", (*_P, "depth"), "1", "values in the mean"),
        # Particles differ in size: a depth is pooled over those that reach it.
        _needed("pooled", ("depth",), ANY, "mean over all particles"),
        _needed("pooled_std", ("depth",), ANY, "standard deviation over all particles"),
        _needed("pooled_error", ("depth",), ANY, "standard error of the mean over all particles"),
    ),
    "pk.stxm.radial_profile",
)
THICKNESS = Schema(
    "THICKNESS",
    (
        _needed("thickness", _SCAN, "nm", "thickness"),
        _needed("thickness_error", _SCAN, "nm", "standard error of the thickness, from noise"),
        # Noise and tables are kept apart: more photons reduce only the first.
        _optional("thickness_table_error", _SCAN, "nm", "half the range of the thickness over the tables"),
        _optional("thickness_by_table", ("table", *_SCAN), "nm", "thickness with each table"),
        _optional("constant", _SCAN, "1", "constant in optical density"),
        _optional("absorption", ("table", "energy"), "1/um", "linear absorption coefficient"),
        _optional("absorption_spread", ("energy",), "1", "largest over smallest table value"),
        _optional("used", ("energy",), "1", "energy was used"),
    ),
    "pk.stxm.thickness_map",
)
COMPOSITE = Schema(
    "COMPOSITE",
    (
        _needed("rgb", (*_SCAN, "rgb_channel"), "1", "colour, 0 to 1 (sRGB)"),
        # The scale of the colours, without which amounts cannot be read off.
        _needed("full", ("channel",), ANY, "amount drawn at full colour"),
        _needed("colour", ("channel", "rgb_channel"), "1", "full colour of the channel"),
    ),
    "pk.stxm.rgb_composite",
)
HISTOGRAM = Schema(
    "HISTOGRAM",
    (
        _needed("count", ("composition_bin", "status_word"), "1", "scan positions"),
        # Pixels and their area or volume: the status stays apart, so that doubtful pixels can be left out.
        _needed("weight", ("composition_bin", "status_word"), ANY, "area or volume"),
        _needed("bin_low", ("composition_bin",), "1", "lower edge of the bin"),
        _needed("bin_high", ("composition_bin",), "1", "upper edge of the bin"),
    ),
    "pk.stxm.composition_histogram",
)
