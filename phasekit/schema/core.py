"""The kinds of datasets that several modules take or return: names, dimensions and units."""

from dataclasses import dataclass

#: Unit of a variable that may have any, such as reference spectra.
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
    "pixel_kind": None,
}


@dataclass(frozen=True)
class Variable:
    """One variable of a schema."""

    name: str
    dims: tuple[str, ...]  # in this order
    units: str  # ``ANY``: the unit of the data
    long_name: str  # label of axes and colour bars
    optional: bool = False


@dataclass(frozen=True)
class Schema:
    """The variables a kind of dataset must have, and those it may have."""

    name: str
    variables: tuple[Variable, ...]
    made_by: str  # step that makes it: the cure in error messages

    def __getitem__(self, name: str) -> Variable:
        """Variable of that name."""
        return next(variable for variable in self.variables if variable.name == name)


# Images come first and the fastest axis last, as files and matplotlib have them.
_SCAN = ("scan_y", "scan_x")
_DETECTOR = ("qy", "qx")


def _needed(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name)


def _optional(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name, optional=True)


# Datasets of diffraction.
PATTERNS = Schema(
    "PATTERNS", (_needed("intensity", (*_SCAN, *_DETECTOR), "counts", "diffracted intensity"),), "pk.io.open_4dstem"
)
PEAKS = Schema(
    "PEAKS",
    (
        # Patterns differ in their number of peaks: rows are filled up with NaN.
        _needed("qy", (*_SCAN, "peak"), ANY, "peak position along y"),
        _needed("qx", (*_SCAN, "peak"), ANY, "peak position along x"),
        _needed("intensity", (*_SCAN, "peak"), "counts", "peak intensity"),
        _needed("prominence", (*_SCAN, "peak"), "counts", "peak prominence"),
        _needed("noise", _SCAN, "counts", "standard deviation of the pattern's corners"),
        _needed("min_prominence", _SCAN, "counts", "prominence a peak had to reach"),
        _needed("count", _SCAN, "1", "number of peaks"),
        _needed("status", _SCAN, "1", "status"),
        _optional("direct", (*_SCAN, "peak"), "1", "peak is the direct beam"),
        # Below the threshold of peaks: matching uses them, counts and the status do not.
        _optional("weak_qy", (*_SCAN, "weak_peak"), ANY, "position along y of a weak peak"),
        _optional("weak_qx", (*_SCAN, "weak_peak"), ANY, "position along x of a weak peak"),
        _optional("weak_intensity", (*_SCAN, "weak_peak"), "counts", "intensity of a weak peak"),
    ),
    "pk.acom.find_peaks",
)
VIRTUAL = Schema(
    "VIRTUAL",
    (
        _needed("bright_field", _SCAN, "counts", "direct beam"),
        _needed("full", _SCAN, "counts", "sum of all spots"),
        _needed("dark_field", _SCAN, "counts", "sum of the chosen spots"),
        _needed("spot_count", _SCAN, "1", "number of spots"),
        _needed("noise", _SCAN, "counts", "standard deviation of the pattern's corners"),
        _needed("min_prominence", _SCAN, "counts", "prominence a peak had to reach"),
        _needed("prominence", _SCAN, "counts", "summed prominence"),
    ),
    "pk.acom.virtual_images",
)
TEMPLATES = Schema(
    "TEMPLATES",
    (
        _needed("quaternion", ("template", "wxyz"), "1", "rotation from the sample to the crystal frame"),
        _needed("phase", ("template",), "1", "phase (index into attrs['phases'])"),
        # Templates differ in their number of spots: rows are filled up with NaN.
        _needed("spot_qy", ("template", "spot"), "1/angstrom", "spot position along y"),
        _needed("spot_qx", ("template", "spot"), "1/angstrom", "spot position along x"),
        _needed("spot_intensity", ("template", "spot"), "1", "kinematic spot intensity"),
    ),
    "pk.acom.build_templates",
)
ORIENTATIONS = Schema(
    "ORIENTATIONS",
    (
        # The best match first; further ones of the same phase show ambiguities.
        _needed("quaternion", (*_SCAN, "match", "wxyz"), "1", "rotation from the sample to the crystal frame"),
        _needed("correlation", (*_SCAN, "match"), "1", "correlation index Q"),
        _needed("phase", _SCAN, "1", "phase (index into attrs['phases'])"),
        _needed("reliability", _SCAN, "1", "orientation reliability (0..100)"),
        _needed("phase_reliability", _SCAN, "1", "phase reliability (0..100)"),
        _needed("status", _SCAN, "1", "status"),
        _optional("other_phase", _SCAN, "1", "best other phase (index into attrs['phases'])"),
        _optional("other_quaternion", (*_SCAN, "wxyz"), "1", "rotation to the best solution of another phase"),
        _optional("other_correlation", _SCAN, "1", "correlation index Q of the best solution of another phase"),
        _optional("uncertainty_deg", _SCAN, "degree", "standard deviation of the refined orientation"),
        # Kept for the refinement, which may prefer another candidate than the matching did.
        _optional("candidate_quaternion", (*_SCAN, "candidate", "wxyz"), "1", "solutions of all phases to refine"),
        _optional("candidate_phase", (*_SCAN, "candidate"), "1", "phase of a candidate (-1: none)"),
        _optional("candidate_correlation", (*_SCAN, "candidate"), "1", "correlation index Q of a candidate"),
        _optional(
            "changed", _SCAN, "1", "orientation was exchanged with another kept one for agreement with the neighbours"
        ),
    ),
    "pk.acom.match_orientations",
)
SECOND_GRAIN = Schema(
    "SECOND_GRAIN",
    (
        _needed("second_phase", _SCAN, "1", "phase of the second grain (-1: none)"),
        _needed(
            "second_quaternion", (*_SCAN, "wxyz"), "1", "rotation from the sample to the second grain's crystal frame"
        ),
        _needed("second_correlation", _SCAN, "1", "correlation index Q of the second grain"),
        _needed("second_reliability", _SCAN, "1", "orientation reliability of the second grain (0..100)"),
        _needed("unexplained", _SCAN, "1", "share of the intensity in peaks the first grain does not explain"),
    ),
    "pk.acom.match_second_grain",
)
GRAINS = Schema(
    "GRAINS",
    (
        _needed("grain", _SCAN, "1", "grain (-1: none)"),
        # Per grain: `grain` holds the index.
        _needed("size", ("grain_number",), "px", "number of scan positions in the grain"),
        _needed("grain_phase", ("grain_number",), "1", "phase of the grain (index into attrs['phases'])"),
        _needed("diameter", ("grain_number",), "nm", "diameter of the circle of equal area"),
        _needed("mean_quaternion", ("grain_number", "wxyz"), "1", "mean rotation from the sample to the crystal frame"),
        _needed("spread", ("grain_number",), "degree", "mean disorientation from the mean orientation"),
    ),
    "pk.acom.label_grains",
)
ORIENTATION_ACCURACY = Schema(
    "ORIENTATION_ACCURACY",
    (
        # Spots alone do not tell an orientation from the one half a turn about the beam: both countings are given.
        _needed("disorientation", ("counting", *_SCAN), "degree", "disorientation from the truth"),
        _needed("median", ("counting",), "degree", "median disorientation"),
        _needed("within_2", ("counting",), "1", "share of pixels within 2 degrees"),
        _needed("within_5", ("counting",), "1", "share of pixels within 5 degrees"),
        _needed("phase_accuracy", (), "1", "share of pixels with the right phase"),
        _needed("n_pixels", (), "1", "pixels that were counted"),
        _needed("vacuum_indexed", (), "1", "share of true vacuum that got an orientation"),
    ),
    "pk.acom.compare_with_truth",
)
