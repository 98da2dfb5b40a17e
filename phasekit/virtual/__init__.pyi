from .deflection import compute_centre_of_mass as compute_centre_of_mass
from .detectors import apply_detectors as apply_detectors
from .figures import deflection_figure as deflection_figure
from .figures import detectors_figure as detectors_figure
from .figures import radial_figure as radial_figure
from .geometry import DirectBeam as DirectBeam
from .geometry import find_direct_beam as find_direct_beam
from .radial import compute_radial_profiles as compute_radial_profiles
