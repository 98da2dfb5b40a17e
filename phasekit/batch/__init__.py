"""From a dataset and a notebook to an executed notebook, its results, a record of the run and one index page."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
