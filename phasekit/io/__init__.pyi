from .crystal import open_phase as open_phase
from .fourdstem import open_4dstem as open_4dstem
from .references import open_i0 as open_i0
from .references import open_references as open_references
from .results import load as load
from .results import save as save
from .stxm import open_stxm as open_stxm
