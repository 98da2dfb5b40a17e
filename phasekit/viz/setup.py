"""Setup of a notebook for figures: live widgets that need no network, or static figures in a headless run."""

from typing import Any

_STATE = {"interactive": False}


def setup(*, interactive: bool = True) -> None:
    """Prepare the running notebook for figures and, when ``interactive``, for live widgets.

    Interactive: the HoloViews and Panel extensions are loaded inline, so that they work without a network. This adds
    about 6 MB to a notebook that is saved with its outputs. Otherwise no extension is loaded, and matplotlib draws
    without a screen. Every explorer then holds the static figure of the same view. In both cases datasets are shown
    with long attributes folded (:func:`fold_attributes`).

    Parameters
    ----------
    interactive
        ``True`` in JupyterLab, ``False`` in papermill runs (the parameter ``interactive`` of every notebook).

    See Also
    --------
    is_interactive : Tells what was set up.

    Examples
    --------
    >>> setup(interactive=False)
    >>> is_interactive()
    False
    """
    _STATE["interactive"] = bool(interactive)
    _register_renderers()
    if not interactive:
        import matplotlib

        matplotlib.use("Agg", force=True)
        return
    import holoviews as hv
    import panel as pn

    # Before pn.extension and before hvplot: the other order asks for Panel's content servers. Where they cannot be
    # reached, widgets stay blank without an error.
    hv.extension("bokeh", inline=True)
    pn.extension(inline=True)


def is_interactive() -> bool:
    """Whether :func:`setup` was called for live widgets; ``False`` before any call.

    See Also
    --------
    setup : Sets it up.

    Examples
    --------
    >>> setup(interactive=False)
    >>> is_interactive()
    False
    """
    return _STATE["interactive"]


def _register_renderers() -> None:
    """Show figures as PNG with their alt text, whichever backend is chosen, and datasets with short attributes."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:  # a plain Python without the notebooks extra
        return
    shell = get_ipython()
    formatter = shell.display_formatter if shell is not None else None
    if formatter is None:
        return
    import xarray as xr
    from matplotlib.figure import Figure

    from .dataset_text import render_html

    formatter.formatters["image/png"].for_type(Figure, _render_png)
    for kind in (xr.Dataset, xr.DataArray):
        formatter.formatters["text/html"].for_type(kind, render_html)


def _render_png(figure: Any) -> tuple[bytes, dict[str, str]]:
    """PNG bytes of a figure, and the alt text that ``save_figure`` put in its label."""
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return buffer.getvalue(), {"alt": figure.get_label() or "figure without a description"}
