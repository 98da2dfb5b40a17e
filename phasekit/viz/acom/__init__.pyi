from .boundaries import boundary_figure as boundary_figure
from .boundaries import plot_pole_figure as plot_pole_figure
from .maps import grains_figure as grains_figure
from .maps import orientation_figure as orientation_figure
from .maps import pattern_figure as pattern_figure
from .maps import virtual_figure as virtual_figure
from .result_page import save_page as save_page
from .threshold_explorer import explorer as explorer
