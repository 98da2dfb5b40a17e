"""Figures of orientation mapping: peaks, virtual images, orientation maps with their key, grains, boundaries."""

from ...deprecation import attach_stub as _attach_stub

# Old name -> new one: the old ones warn and work for one release.
_RENAMED = {
    "pole_figure": "plot_pole_figure",
}
__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__, renamed=_RENAMED)
