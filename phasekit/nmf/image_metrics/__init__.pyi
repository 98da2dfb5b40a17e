from .components import component_quality as component_quality
from .images import image_quality as image_quality
from .reference import ALL as ALL
from .reference import METRICS as METRICS
from .reference import Reference as Reference
