"""Kinds of datasets that follow from a finished phase map of an X-ray stack: particles, profiles, thickness."""

from .core import ANY, Schema, Variable

_SCAN = ("scan_y", "scan_x")
_P = ("particle_number",)
_D = ("domain_number",)
_X = ("distance",)


def _v(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name)


def _o(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name, optional=True)


PARTICLES = Schema(
    "PARTICLES",
    (
        _v("particle", _SCAN, "1", "particle (-1: none)"),
        _v("domain", _SCAN, "1", "phase domain (-1: none)"),
        _o("domain_phase", _D, "1", "phase of the domain (index into reference)"),
        _o("domain_particle", _D, "1", "particle the domain lies in"),
        _o("domain_area", _D, "nm^2", "area of the domain"),
    ),
    "pk.stxm.label_particles",
)
PARTICLE_STATISTICS = Schema(
    "PARTICLE_STATISTICS",
    (
        _v("area", _P, "nm^2", "area"),
        _v("diameter", _P, "nm", "diameter of the circle of equal area"),
        _v("centroid_y", _P, "nm", "centre of area along y"),
        _v("centroid_x", _P, "nm", "centre of area along x"),
        _v("perimeter", _P, "nm", "length of the outline inside the frame"),
        _v("contact_length", _P, "nm", "part of the outline shared with other particles"),
        _v("touches_border", _P, "1", "the frame cuts the particle"),
        _v("n_pixels", _P, "1", "scan positions in the particle"),
        _v("n_domains", _P, "1", "phase domains in the particle"),
        _v("status_share", (*_P, "status_word"), "1", "share of the particle's pixels with this status"),
        _v("phase_fraction", (*_P, "reference"), "1", "share of the phase"),
        _v("phase_fraction_error", (*_P, "reference"), "1", "standard error of the share, from the confidence"),
        _v("phase_fraction_low", (*_P, "reference"), "1", "share if every doubtful pixel is another phase"),
        _v("phase_fraction_high", (*_P, "reference"), "1", "share if every doubtful pixel that may be it is it"),
        _v("composition_mean", _P, "1", "mean composition"),
        _v("composition_error", _P, "1", "standard error of the mean composition, from noise"),
        _v("composition_std", _P, "1", "standard deviation of the composition over the particle"),
        _v("boundary_length", (*_P, "reference", "other_reference"), "nm", "length of the boundaries between phases"),
        _v("boundary_total", _P, "nm", "length of all boundaries between phases"),
        _o("transition_width", _P, "nm", "distance over which the composition goes from 10 to 90 % of its step"),
        _o("transition_error", _P, "nm", "standard error of the transition's width"),
        _o("transition_upper", _P, "nm", "95 % upper bound of the transition's width"),
        _o("volume", _P, "nm^3", "area times thickness"),
    ),
    "pk.stxm.particle_statistics",
)
COMPOSITION = Schema(
    "COMPOSITION",
    (
        _v("composition", _SCAN, "1", "composition (for NVPF the sodium content x)"),
        _v("composition_error", _SCAN, "1", "standard error of the composition"),
    ),
    "pk.stxm.fitted_composition",
)
PROFILE = Schema(
    "PROFILE",
    (
        _v("profile", _X, ANY, "mean"),
        _v("profile_std", _X, ANY, "standard deviation"),
        _v("profile_error", _X, ANY, "standard error of the mean"),
        _v("n_pixels", _X, "1", "values in the mean"),
        _o("edge", _X, ANY, "fitted error function"),
        _o("edge_position", (), "nm", "place of the step"),
        _o("edge_position_error", (), "nm", "standard error of the place"),
        _o("edge_from", (), ANY, "value far before the step"),
        _o("edge_to", (), ANY, "value far behind the step"),
        _o("edge_width_seen", (), "nm", "10-90 % width as seen, probe included"),
        _o("edge_width_seen_error", (), "nm", "standard error of the width as seen"),
        _o("edge_width", (), "nm", "10-90 % width without the probe (NaN: not resolved)"),
        _o("edge_width_error", (), "nm", "standard error of the width without the probe"),
        _o("edge_width_upper", (), "nm", "95 % upper bound of the width without the probe"),
    ),
    "pk.stxm.line_profile",
)
RADIAL_PROFILES = Schema(
    "RADIAL_PROFILES",
    (
        _v("profile", (*_P, "depth"), ANY, "mean"),
        _v("profile_std", (*_P, "depth"), ANY, "standard deviation"),
        _v("profile_error", (*_P, "depth"), ANY, "standard error of the mean"),
        _v("n_pixels", (*_P, "depth"), "1", "values in the mean"),
        _v("pooled", ("depth",), ANY, "mean over all particles"),
        _v("pooled_std", ("depth",), ANY, "standard deviation over all particles"),
        _v("pooled_error", ("depth",), ANY, "standard error of the mean over all particles"),
    ),
    "pk.stxm.radial_profile",
)
THICKNESS = Schema(
    "THICKNESS",
    (
        _v("thickness", _SCAN, "nm", "thickness"),
        _v("thickness_error", _SCAN, "nm", "standard error of the thickness, from noise"),
        _o("thickness_table_error", _SCAN, "nm", "half the range of the thickness over the tables"),
        _o("thickness_by_table", ("table", *_SCAN), "nm", "thickness with each table"),
        _o("constant", _SCAN, "1", "constant in optical density"),
        _o("absorption", ("table", "energy"), "1/um", "linear absorption coefficient"),
        _o("absorption_spread", ("energy",), "1", "largest over smallest table value"),
        _o("used", ("energy",), "1", "energy was used"),
    ),
    "pk.stxm.thickness_map",
)
COMPOSITE = Schema(
    "COMPOSITE",
    (
        _v("rgb", (*_SCAN, "rgb_channel"), "1", "colour, 0 to 1 (sRGB)"),
        _v("full", ("channel",), ANY, "amount drawn at full colour"),
        _v("colour", ("channel", "rgb_channel"), "1", "full colour of the channel"),
    ),
    "pk.stxm.rgb_composite",
)
HISTOGRAM = Schema(
    "HISTOGRAM",
    (
        _v("count", ("composition_bin", "status_word"), "1", "scan positions"),
        _v("weight", ("composition_bin", "status_word"), ANY, "area or volume"),
        _v("bin_low", ("composition_bin",), "1", "lower edge of the bin"),
        _v("bin_high", ("composition_bin",), "1", "upper edge of the bin"),
    ),
    "pk.stxm.composition_histogram",
)
