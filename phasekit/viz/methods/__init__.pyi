from .drawing import method_figure as method_figure
