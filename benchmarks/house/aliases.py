"""Names that changed between commits: add a line here when a public name, a setting or a variable is renamed.

The steps are written with the old names. For a function, the first of the names that exists is called; for a setting,
the first that the function knows.
"""

#: Old name of a function -> its names, the newest first.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "register_peaks": ("calibrate_peaks", "register_peaks"),
    "resolve_half_turns": ("resolve_180_ambiguity", "resolve_half_turns"),
    "template_peaks": ("simulate_peaks", "template_peaks"),
    "reconstruct": ("reconstruct_patterns", "reconstruct"),
    "fit_nuisances": ("fit_systematics", "fit_nuisances"),
    "forecast_error": ("predict_errors", "forecast_error"),
    "share_dwell": ("allocate_dwell", "share_dwell"),
    "plan_from_scan": ("select_energies_from_scan", "plan_from_scan"),
    "resolve_mcr": ("fit_mcr_als", "resolve_mcr"),
    "fit_step": ("fit_boundary_width", "fit_step"),
    "component_crystals": ("component_orientations", "component_crystals"),
    "map_crystals": ("map_component_orientations", "map_crystals"),
    "compare_overlap": ("overlap_pattern", "compare_overlap"),
    "find_mask": ("find_detector_mask", "find_mask"),
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
