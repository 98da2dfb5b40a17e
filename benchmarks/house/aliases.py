"""Names that changed between commits: add a line here when a public name, a setting or a variable is renamed.

The steps are written with the old names. For a function, the first of the names that exists is called; for a setting,
the first that the function knows.
"""

#: Old name of a function -> its names, the newest first.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "calibrate_peaks": ("calibrate_peaks", "calibrate_peaks"),
    "resolve_180_ambiguity": ("resolve_180_ambiguity", "resolve_180_ambiguity"),
    "simulate_peaks": ("simulate_peaks", "simulate_peaks"),
    "reconstruct": ("reconstruct_patterns", "reconstruct"),
    "fit_systematics": ("fit_systematics", "fit_systematics"),
    "predict_errors": ("predict_errors", "predict_errors"),
    "allocate_dwell": ("allocate_dwell", "allocate_dwell"),
    "select_energies_from_scan": ("select_energies_from_scan", "select_energies_from_scan"),
    "fit_mcr_als": ("fit_mcr_als", "fit_mcr_als"),
    "fit_boundary_width": ("fit_boundary_width", "fit_boundary_width"),
    "component_orientations": ("component_orientations", "component_orientations"),
    "map_component_orientations": ("map_component_orientations", "map_component_orientations"),
    "overlap_pattern": ("overlap_pattern", "overlap_pattern"),
    "find_detector_mask": ("find_detector_mask", "find_detector_mask"),
}
#: (old name of a function, old name of its setting) -> names of the setting, the newest first.
SETTINGS: dict[tuple[str, str], tuple[str, ...]] = {
    ("find_peaks", "blur"): ("blur_px", "blur"),
    ("refine_orientations", "blur"): ("position_tolerance", "blur"),
}
#: Old name of an output variable or coordinate -> new name.
VARIABLES: dict[str, str] = {}
#: Old name of a dimension -> new name.
DIMENSIONS: dict[str, str] = {}
