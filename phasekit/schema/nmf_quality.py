"""Kinds of datasets of image similarity: of pairs of images, and of the components of a factorisation."""

from .core import Schema, Variable

#: Metric -> unit and what it is; the names of ``phasekit.nmf.image_metrics.METRICS``.
_METRICS = {
    "psnr": ("dB", "peak signal-to-noise ratio"),
    "ssim": ("1", "structural similarity"),
    "ms_ssim": ("1", "structural similarity over scales"),
    "gmsd": ("1", "deviation of gradient similarity"),
    "mdsi": ("1", "mean deviation similarity index"),
    "fsim": ("1", "feature similarity"),
    "vif_p": ("1", "visual information fidelity"),
}


# All optional: the metrics to compute are chosen by the caller.
def _image_variables(prefix: str, dims: tuple[str, ...], suffix: str) -> tuple[Variable, ...]:
    return tuple(
        Variable(prefix + name, dims, units, long_name + suffix, optional=True)
        for name, (units, long_name) in _METRICS.items()
    )


IMAGE_QUALITY = Schema(
    "IMAGE_QUALITY",
    _image_variables("", ("scan_y", "scan_x"), ""),  # the usual case; other images have their own leading dimensions
    "pk.nmf.image_quality",
)
COMPONENT_QUALITY = Schema(
    "COMPONENT_QUALITY",
    (
        *_image_variables("pairwise_", ("component", "other"), " of two components"),
        *_image_variables("fidelity_", ("component",), " of a component and its mean pattern"),
        Variable("n_assigned", ("component",), "1", "patterns in which the component is the strongest"),
    ),
    "pk.nmf.component_quality",
)
