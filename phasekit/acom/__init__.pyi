from ._calibration import CalibrationWarning as CalibrationWarning
from .peaks import find_peaks as find_peaks
from .reconstruct import reconstruct as reconstruct
from .registration import calibrate as calibrate
from .registration import register_peaks as register_peaks
from .virtual import compression_ratio as compression_ratio
from .virtual import reliable_fraction as reliable_fraction
from .virtual import virtual_images as virtual_images
