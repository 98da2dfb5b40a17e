"""Kinds of datasets of spectromicroscopy: from the image stack to the phase map."""

from .core import ANY, Schema, Variable

_SCAN = ("scan_y", "scan_x")
# Images come first and the fastest axis last, as files and matplotlib have them.
_IMAGES = ("energy", *_SCAN)


def _needed(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name)


def _optional(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name, optional=True)


# Errors and gains are optional: measured files seldom have them.
STACK = Schema(
    "STACK",
    (
        _needed("intensity", _IMAGES, "counts", "transmitted intensity"),
        _optional("i0", ("energy",), "counts", "incident intensity"),
        _optional("ring_current", ("energy",), "mA", "storage-ring current"),
        _optional("dwell", ("energy",), "s", "dwell of the frame, its mean over the pixels"),
        _optional("pixel_dwell", _IMAGES, "s", "dwell of the pixel"),
        _optional("energy_readback", ("energy",), "eV", "photon energy read back from the monochromator"),
        _optional("shift_y", ("energy",), "px", "frame shift along y that was undone"),
        _optional("shift_x", ("energy",), "px", "frame shift along x that was undone"),
        _optional("seen", _SCAN, "1", "seen at every energy"),
        # Written by `align`: errors of the shifts, and the effect of its interpolation on the noise.
        _optional("shift_error", ("energy",), "px", "standard error of the frame shift"),
        _optional("frame_status", ("energy",), "1", "status of the frame"),
        _optional("gain", ("energy",), "counts", "variance over mean of the raw counts"),
        _optional("noise_factor", ("energy",), "1", "variance left by the interpolation"),
        _optional("noise_response", ("energy", "lag"), "1", "autocorrelation the interpolation gives to white noise"),
        _optional("n_replaced", ("energy",), "1", "hot and dead pixels that were replaced"),
    ),
    "pk.io.open_stxm",
)
OD = Schema(
    "OD",
    (
        _needed("optical_density", _IMAGES, "1", "optical density"),
        _needed("noise", _IMAGES, "1", "standard deviation of the optical density"),
        # Pixels that are not valid keep their values: they get a status, never an invented number.
        _needed("valid", _SCAN, "1", "pixel is measured at enough energies and not too thick"),
        _optional("n_missing", _SCAN, "1", "energies without a value"),
        _optional("empty", _SCAN, "1", "pixel shows no edge: vacuum, or too little material to tell"),
        _optional("too_thick", _SCAN, "1", "too few photons come through at some energy"),
        _optional("i0", ("energy",), "counts", "incident intensity that was used"),
        _optional("i0_error", ("energy",), "counts", "standard error of the incident intensity"),
        _optional("i0_region", _SCAN, "1", "pixel from which the incident intensity was taken"),
        _optional("gain", ("energy",), "counts", "variance over mean of the counts that was used"),
        # As in NOISE: how the gain was measured, and what the other estimators gave.
        _optional("gain_error", ("energy",), "counts", "standard error of the gain"),
        _optional("noise_source", (), "1", "estimator that was used"),
        _optional("noise_estimate", ("estimator",), "1", "noise of the optical density at the median counts"),
        _optional("noise_estimate_error", ("estimator",), "1", "standard error of the noise"),
        _optional("noise_correlation", (), "1", "correlation of the noise of adjacent pixels"),
        _optional("noise_correlation_error", (), "1", "standard error of the correlation"),
        _optional("position_noise", (), "px", "random error of a pixel's position"),
        _optional("position_noise_error", (), "px", "standard error of the position's error"),
        _optional("n_replaced", ("energy",), "1", "hot and dead pixels that were replaced"),
    ),
    "pk.stxm.optical_density",
)
REFERENCES = Schema(
    "REFERENCES",
    (
        # 1/um or optical density: only the shape counts for a phase, the unit for a thickness.
        _needed("reference_spectrum", ("reference", "energy"), ANY, "reference spectrum"),
        _optional("composition", ("reference",), "1", "composition (for NVPF the sodium content x)"),
        # Of end members, which are spectra that the data themselves show.
        _optional("origin", ("reference",), "1", "origin: a reference, or the data"),
        _optional("reference_error", ("reference", "energy"), ANY, "standard error of the end member"),
        _optional("reference_limit", ("reference", "energy"), ANY, "purest end member that is not negative"),
        _optional("least_purity", ("reference",), "1", "least share of the pure phase in the end member"),
        _optional("count_probability", ("n_end_members",), "1", "probability of the number of end members"),
        _optional("count_misfit", ("n_end_members",), "1", "misfit of the block means relative to their contrast"),
    ),
    "pk.io.open_references",
)
CLUSTERS = Schema(
    "CLUSTERS",
    (
        _needed("responsibility", (*_SCAN, "cluster"), "1", "probability of the cluster"),
        _needed("spectrum", ("cluster", "energy"), "1", "mean optical density of the cluster"),
        _needed("label", _SCAN, "1", "most probable cluster"),
        _optional("spectrum_error", ("cluster", "energy"), "1", "standard error of the cluster's mean"),
        _optional("share", ("cluster",), "1", "share of the material pixels in the cluster"),
    ),
    "pk.stxm.assign_clusters",
)
# Files of earlier versions have neither.
OFFSET_CERTAINTY = (
    _optional("energy_offset_status", (), "1", "status of the energy offset"),
    _optional("energy_offset_alternative", (), "eV", "another offset that explains the data nearly as well"),
)
# One value for the whole scan: they describe the instrument or the preparation, not a pixel.
_SHARED = (
    _needed("energy_offset", (), "eV", "energy added to the data's scale to reach the references'"),
    _needed("energy_offset_error", (), "eV", "standard error of the energy offset"),
    _needed("stray_light", (), "1", "fraction of the light that never crossed the sample"),
    _needed("stray_light_error", (), "1", "standard error of the stray light"),
    _needed("background_slope", (), "1/eV", "slope of the background relative to the mean reference"),
    _needed("background_slope_error", (), "1/eV", "standard error of the background slope"),
    _needed("broadening", (), "eV", "Gaussian broadening the references lack"),
    _needed("broadening_error", (), "eV", "standard error of the broadening"),
)
PHASES = Schema(
    "PHASES",
    (
        _needed("phase", _SCAN, "1", "phase (index into reference)"),
        # Pearson's correlation compares the shape alone; the confidence includes the noise.
        _needed("pearson", (*_SCAN, "reference"), "1", "Pearson correlation with the reference"),
        _needed("margin", _SCAN, "1", "best minus second-best Pearson correlation"),
        _needed("confidence", _SCAN, "1", "probability that the phase is right"),
        _needed("composition", _SCAN, "1", "composition (for NVPF the sodium content x)"),
        _needed("status", _SCAN, "1", "status"),
        _optional("runner_up", _SCAN, "1", "second-best phase (index into reference)"),
        _optional("chi_square", _SCAN, "1", "chi-square per degree of freedom of the phase's fit"),
        _optional("mixture", _SCAN, "1", "share of the lesser phases under the probe"),
        _optional("n_missing", _SCAN, "1", "energies that were not measured in the pixel"),
        _optional("reference_fraction", (*_SCAN, "reference"), "1", "share of the reference under the probe"),
        _optional("reference_fraction_error", _SCAN, "1", "standard error of the shares"),
        _optional("unknown_probability", _SCAN, "1", "probability that it is none of the references"),
        _optional("cluster_contradicted", _SCAN, "1", "own spectrum contradicts the cluster's name"),
        _optional("fitted_reference", ("reference", "energy"), ANY, "reference spectrum as the stack shows it"),
        _optional("reference_misfit", (), "1", "misfit of the references relative to the contrast of a spectrum"),
        _optional("cost_adjacent", (), "1", "cost of a neighbour next on the composition path, in nat"),
        _optional("cost_other", (), "1", "cost of another unlike neighbour, in nat"),
        _optional("fitted_blur_px", (), "px", "full width of the blur at half maximum"),
        _optional("cluster_pearson", ("cluster", "reference"), "1", "Pearson correlation of cluster and reference"),
        _optional("cluster_phase", ("cluster",), "1", "phase of the cluster (index into reference)"),
        _optional("reference_origin", ("reference",), "1", "origin of the reference: a reference, or the data"),
        # Optional here, because maps can be made without a fit of the systematics.
        *(_optional(one.name, one.dims, one.units, one.long_name) for one in _SHARED),
        *OFFSET_CERTAINTY,
    ),
    "pk.stxm.label_phases",
)
NUISANCES = Schema(
    "NUISANCES",
    (
        *_SHARED,
        *OFFSET_CERTAINTY,
        _needed("misfit", (), "1", "median reduced chi-square of the block means"),
        _needed("n_blocks", (), "1", "blocks of pixels that were fitted"),
    ),
    "pk.stxm.fit_systematics",
)
COMPARISON = Schema(
    "COMPARISON",
    (
        _needed("accuracy", ("approach",), "1", "share of right phases among the material pixels"),
        _needed("accuracy_unflagged", ("approach",), "1", "share of right phases among the pixels without a flag"),
        _needed("share_unflagged", ("approach",), "1", "share of the material pixels without a flag"),
        _needed("n_pixels", ("approach",), "1", "material pixels that were compared"),
        _needed("phase", ("approach", *_SCAN), "1", "phase (index into reference)"),
        # Optional: times differ from machine to machine, so not every comparison has them.
        _optional("seconds", ("approach",), "s", "time the method took"),
    ),
    "pk.stxm.compare_methods",
)
