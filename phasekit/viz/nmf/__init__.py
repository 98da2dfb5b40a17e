"""Figures of the NMF workflow: components, criteria for their number, overlap, and the explorer of its threshold."""

# Loaded on first use: matplotlib and Panel must not be imported with phasekit.
import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
