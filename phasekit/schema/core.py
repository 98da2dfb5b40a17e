"""Every kind of dataset that crosses a step, written once: names, dimensions and units."""

from dataclasses import dataclass

ANY = "any"

#: Unit of every dimension coordinate; ``None`` where the coordinate counts or names things.
DIMENSION_UNITS: dict[str, tuple[str, ...] | None] = {
    "scan_y": ("nm",),
    "scan_x": ("nm",),
    "energy": ("eV",),
    "qy": ("1/angstrom", "px"),
    "qx": ("1/angstrom", "px"),
    **dict.fromkeys(
        ("feature", "component", "cluster", "reference", "rank", "run", "peak", "template", "match", "wxyz")
    ),
}


@dataclass(frozen=True)
class Variable:
    """One variable of a schema: its name, dimensions, unit (``ANY``: whatever the data carry) and meaning."""

    name: str
    dims: tuple[str, ...]
    units: str
    long_name: str
    optional: bool = False


@dataclass(frozen=True)
class Schema:
    """The variables a kind of dataset must have, and those it may have."""

    name: str
    variables: tuple[Variable, ...]
    made_by: str

    def __getitem__(self, name: str) -> Variable:
        """Variable of that name."""
        return next(variable for variable in self.variables if variable.name == name)


_SCAN = ("scan_y", "scan_x")
_IMAGES = ("energy", *_SCAN)
_DETECTOR = ("qy", "qx")


def _v(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name)


def _o(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name, optional=True)


STACK = Schema(
    "STACK",
    (
        _v("intensity", _IMAGES, "counts", "transmitted intensity"),
        _o("i0", ("energy",), "counts", "incident intensity"),
        _o("ring_current", ("energy",), "mA", "storage-ring current"),
        _o("energy_readback", ("energy",), "eV", "photon energy read back from the monochromator"),
        _o("shift_y", ("energy",), "px", "frame shift along y that was undone"),
        _o("shift_x", ("energy",), "px", "frame shift along x that was undone"),
        _o("seen", _SCAN, "1", "seen at every energy"),
        _o("shift_error", ("energy",), "px", "standard error of the frame shift"),
        _o("frame_status", ("energy",), "1", "status of the frame"),
        _o("gain", ("energy",), "counts", "variance over mean of the raw counts"),
        _o("noise_factor", ("energy",), "1", "variance left by the interpolation"),
        _o("noise_response", ("energy", "lag"), "1", "autocorrelation the interpolation gives to white noise"),
    ),
    "pk.io.open_stxm",
)
OD = Schema(
    "OD",
    (
        _v("optical_density", _IMAGES, "1", "optical density"),
        _v("noise", _IMAGES, "1", "standard deviation of the optical density"),
        _v("valid", _SCAN, "1", "pixel is measured at every energy and not too thick"),
        _o("empty", _SCAN, "1", "pixel shows no edge: vacuum, or too little material to tell"),
        _o("too_thick", _SCAN, "1", "too few photons come through at some energy"),
        _o("i0", ("energy",), "counts", "incident intensity that was used"),
        _o("i0_error", ("energy",), "counts", "standard error of the incident intensity"),
        _o("i0_region", _SCAN, "1", "pixel from which the incident intensity was taken"),
        _o("gain", ("energy",), "counts", "variance over mean of the counts that was used"),
    ),
    "pk.stxm.optical_density",
)
REFERENCES = Schema(
    "REFERENCES",
    (
        _v("reference_spectrum", ("reference", "energy"), ANY, "reference spectrum"),
        _o("composition", ("reference",), "1", "composition (for NVPF the sodium content x)"),
    ),
    "pk.io.open_references",
)
CLUSTERS = Schema(
    "CLUSTERS",
    (
        _v("responsibility", (*_SCAN, "cluster"), "1", "probability of the cluster"),
        _v("spectrum", ("cluster", "energy"), "1", "mean optical density of the cluster"),
        _v("label", _SCAN, "1", "most probable cluster"),
        _o("spectrum_error", ("cluster", "energy"), "1", "standard error of the cluster's mean"),
        _o("share", ("cluster",), "1", "share of the material pixels in the cluster"),
    ),
    "pk.stxm.assign_clusters",
)
_SHARED = (
    _v("energy_offset", (), "eV", "energy added to the data's scale to reach the references'"),
    _v("energy_offset_error", (), "eV", "standard error of the energy offset"),
    _v("stray_light", (), "1", "fraction of the light that never crossed the sample"),
    _v("stray_light_error", (), "1", "standard error of the stray light"),
    _v("background_slope", (), "1/eV", "slope of the background relative to the mean reference"),
    _v("background_slope_error", (), "1/eV", "standard error of the background slope"),
    _v("broadening", (), "eV", "Gaussian broadening the references lack"),
    _v("broadening_error", (), "eV", "standard error of the broadening"),
)
PHASES = Schema(
    "PHASES",
    (
        _v("phase", _SCAN, "1", "phase (index into reference)"),
        _v("pearson", (*_SCAN, "reference"), "1", "Pearson correlation with the reference"),
        _v("margin", _SCAN, "1", "best minus second-best Pearson correlation"),
        _v("confidence", _SCAN, "1", "probability that the phase is right"),
        _v("composition", _SCAN, "1", "composition (for NVPF the sodium content x)"),
        _v("status", _SCAN, "1", "status"),
        _o("runner_up", _SCAN, "1", "second-best phase (index into reference)"),
        _o("chi_square", _SCAN, "1", "chi-square per degree of freedom of the phase's fit"),
        _o("mixture", _SCAN, "1", "share of the lesser phases under the probe"),
        _o("unknown_probability", _SCAN, "1", "probability that it is none of the references"),
        _o("cluster_contradicted", _SCAN, "1", "own spectrum speaks against the cluster's name"),
        _o("cost_adjacent", (), "1", "cost of a neighbour next on the composition path, in nat"),
        _o("cost_other", (), "1", "cost of another unlike neighbour, in nat"),
        _o("fitted_blur_px", (), "px", "full width of the blur at half maximum"),
        _o("cluster_pearson", ("cluster", "reference"), "1", "Pearson correlation of cluster and reference"),
        _o("cluster_phase", ("cluster",), "1", "phase of the cluster (index into reference)"),
        *(_o(one.name, one.dims, one.units, one.long_name) for one in _SHARED),
    ),
    "pk.stxm.label_phases",
)
NUISANCES = Schema(
    "NUISANCES",
    (
        *_SHARED,
        _v("misfit", (), "1", "median reduced chi-square of the block means"),
        _v("n_blocks", (), "1", "blocks of pixels that were fitted"),
    ),
    "pk.stxm.fit_systematics",
)
COMPARISON = Schema(
    "COMPARISON",
    (
        _v("accuracy", ("approach",), "1", "share of right phases among the material pixels"),
        _v("accuracy_unflagged", ("approach",), "1", "share of right phases among the pixels without a flag"),
        _v("share_unflagged", ("approach",), "1", "share of the material pixels without a flag"),
        _v("n_pixels", ("approach",), "1", "material pixels that were compared"),
        _v("phase", ("approach", *_SCAN), "1", "phase (index into reference)"),
        _o("seconds", ("approach",), "s", "time the method took"),
    ),
    "pk.stxm.compare_methods",
)
PATTERNS = Schema(
    "PATTERNS", (_v("intensity", (*_SCAN, *_DETECTOR), "counts", "diffracted intensity"),), "pk.io.open_4dstem"
)
PEAKS = Schema(
    "PEAKS",
    (
        _v("qy", (*_SCAN, "peak"), ANY, "peak position along y"),
        _v("qx", (*_SCAN, "peak"), ANY, "peak position along x"),
        _v("intensity", (*_SCAN, "peak"), "counts", "peak intensity"),
        _v("prominence", (*_SCAN, "peak"), "counts", "peak prominence"),
        _v("noise", _SCAN, "counts", "standard deviation of the pattern's corners"),
        _v("min_prominence", _SCAN, "counts", "prominence a peak had to reach"),
        _v("count", _SCAN, "1", "number of peaks"),
        _v("status", _SCAN, "1", "status"),
        _o("direct", (*_SCAN, "peak"), "1", "peak is the direct beam"),
        _o("weak_qy", (*_SCAN, "weak_peak"), ANY, "position along y of a weak peak"),
        _o("weak_qx", (*_SCAN, "weak_peak"), ANY, "position along x of a weak peak"),
        _o("weak_intensity", (*_SCAN, "weak_peak"), "counts", "intensity of a weak peak"),
    ),
    "pk.acom.find_peaks",
)
VIRTUAL = Schema(
    "VIRTUAL",
    (
        _v("bright_field", _SCAN, "counts", "direct beam"),
        _v("full", _SCAN, "counts", "sum of all spots"),
        _v("dark_field", _SCAN, "counts", "sum of the chosen spots"),
        _v("spot_count", _SCAN, "1", "number of spots"),
        _v("noise", _SCAN, "counts", "standard deviation of the pattern's corners"),
        _v("min_prominence", _SCAN, "counts", "prominence a peak had to reach"),
        _v("prominence", _SCAN, "counts", "summed prominence"),
    ),
    "pk.acom.virtual_images",
)
TEMPLATES = Schema(
    "TEMPLATES",
    (
        _v("quaternion", ("template", "wxyz"), "1", "rotation from the sample to the crystal frame"),
        _v("phase", ("template",), "1", "phase (index into attrs['phases'])"),
        _v("spot_qy", ("template", "spot"), "1/angstrom", "spot position along y"),
        _v("spot_qx", ("template", "spot"), "1/angstrom", "spot position along x"),
        _v("spot_intensity", ("template", "spot"), "1", "kinematic spot intensity"),
    ),
    "pk.acom.build_templates",
)
ORIENTATIONS = Schema(
    "ORIENTATIONS",
    (
        _v("quaternion", (*_SCAN, "match", "wxyz"), "1", "rotation from the sample to the crystal frame"),
        _v("correlation", (*_SCAN, "match"), "1", "correlation index Q"),
        _v("phase", _SCAN, "1", "phase (index into attrs['phases'])"),
        _v("reliability", _SCAN, "1", "orientation reliability (0..100)"),
        _v("phase_reliability", _SCAN, "1", "phase reliability (0..100)"),
        _v("status", _SCAN, "1", "status"),
        _o("other_phase", _SCAN, "1", "best other phase (index into attrs['phases'])"),
        _o("other_quaternion", (*_SCAN, "wxyz"), "1", "rotation to the best solution of another phase"),
        _o("other_correlation", _SCAN, "1", "correlation index Q of the best solution of another phase"),
        _o("uncertainty_deg", _SCAN, "degree", "standard deviation of the refined orientation"),
        _o("candidate_quaternion", (*_SCAN, "candidate", "wxyz"), "1", "solutions of all phases to refine"),
        _o("candidate_phase", (*_SCAN, "candidate"), "1", "phase of a candidate (-1: none)"),
        _o("candidate_correlation", (*_SCAN, "candidate"), "1", "correlation index Q of a candidate"),
        _o("changed", _SCAN, "1", "orientation was exchanged with another kept one for agreement with the neighbours"),
    ),
    "pk.acom.match_orientations",
)
SECOND_GRAIN = Schema(
    "SECOND_GRAIN",
    (
        _v("second_phase", _SCAN, "1", "phase of the second grain (-1: none)"),
        _v("second_quaternion", (*_SCAN, "wxyz"), "1", "rotation from the sample to the second grain's crystal frame"),
        _v("second_correlation", _SCAN, "1", "correlation index Q of the second grain"),
        _v("second_reliability", _SCAN, "1", "orientation reliability of the second grain (0..100)"),
        _v("unexplained", _SCAN, "1", "share of the intensity in peaks the first grain does not explain"),
    ),
    "pk.acom.match_second_grain",
)
GRAINS = Schema(
    "GRAINS",
    (
        _v("grain", _SCAN, "1", "grain (-1: none)"),
        _v("size", ("grain_number",), "px", "number of scan positions in the grain"),
        _v("grain_phase", ("grain_number",), "1", "phase of the grain (index into attrs['phases'])"),
        _v("diameter", ("grain_number",), "nm", "diameter of the circle of equal area"),
        _v("mean_quaternion", ("grain_number", "wxyz"), "1", "mean rotation from the sample to the crystal frame"),
        _v("spread", ("grain_number",), "degree", "mean disorientation from the mean orientation"),
    ),
    "pk.acom.label_grains",
)
ORIENTATION_ACCURACY = Schema(
    "ORIENTATION_ACCURACY",
    (
        _v("disorientation", ("counting", *_SCAN), "degree", "disorientation from the truth"),
        _v("median", ("counting",), "degree", "median disorientation"),
        _v("within_2", ("counting",), "1", "share of pixels within 2 degrees"),
        _v("within_5", ("counting",), "1", "share of pixels within 5 degrees"),
        _v("phase_accuracy", (), "1", "share of pixels with the right phase"),
        _v("n_pixels", (), "1", "pixels that were counted"),
        _v("vacuum_indexed", (), "1", "share of true vacuum that got an orientation"),
    ),
    "pk.acom.compare_with_truth",
)
