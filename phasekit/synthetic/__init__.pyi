from ._specimen import Specimen as Specimen
from .orientation import Microscope as Microscope
from .orientation import orientation_scan as orientation_scan
from .overlap import overlapping_grains as overlapping_grains
from .stxm import Nuisances as Nuisances
from .stxm import stxm_stack as stxm_stack
from .vanadium import vanadium_baseline as vanadium_baseline
from .vanadium import vanadium_references as vanadium_references
