from .references import open_i0 as open_i0
from .references import open_references as open_references
from .results import load as load
from .results import save as save
from .stxm import open_stxm as open_stxm
