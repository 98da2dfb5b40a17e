from . import acom as acom
from . import batch as batch
from . import correlation as correlation
from . import crystals as crystals
from . import detector as detector
from . import diffraction as diffraction
from . import errors as errors
from . import io as io
from . import nmf as nmf
from . import rotations as rotations
from . import samples as samples
from . import schema as schema
from . import stxm as stxm
from . import synthetic as synthetic
from . import teaching as teaching
from . import virtual as virtual
from . import viz as viz
from . import workflows as workflows

__version__: str
