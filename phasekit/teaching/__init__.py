"""Exercises of the notebooks: their checks, and notebooks for a class without the solutions.

``check("01.2", answer)`` says whether an answer is right, and what is wrong with a typical wrong one.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
