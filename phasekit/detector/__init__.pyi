from .mask import find_mask as find_mask
from .use import apply_mask as apply_mask
