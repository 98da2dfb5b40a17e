"""Settings of the documentation site; `make docs` builds it, see docs/adr/0022-documentation-site.md."""

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_extensions"))
sys.path.insert(0, str(HERE.parent))

project = "phasekit"
author = "The phasekit developers"
project_copyright = "the phasekit developers, GPL-3.0-or-later"
try:
    release = version = metadata.version("phasekit")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    release = version = "unknown"

# Pages keep their place in the repository, so that every relative link of the sources holds in the site, too.
root_doc = "docs/index"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "mathml",
    "docstrings",
    "repository_links",
]
exclude_patterns = ["docs/_*", "docs/provenance"]
nitpicky = True
# Types of other packages have no pages here: the site is built without a network, so there is no inventory of theirs.
nitpick_ignore_regex = [("py:.*", r"(?!phasekit\.|pk\.).*")]

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline", "substitution"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
# Notebooks arrive executed (docs/build.py runs them as `phasekit run` does).
nb_execution_mode = "off"
nb_output_stderr = "remove"
nb_merge_streams = True

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = False  # one entry for parameters that are explained together
napoleon_use_rtype = False
python_maximum_signature_line_length = 80
napoleon_use_ivar = True
viewcode_line_numbers = True
python_use_unqualified_type_names = True
add_module_names = False
html_show_sourcelink = False
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "phasekit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"text": "phasekit"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "show_toc_level": 2,
    "collapse_navigation": True,
    "navigation_with_keys": False,
    "back_to_top_button": False,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_center": [],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "github-light-colorblind",
    "pygments_dark_style": "github-dark-colorblind",
}
html_sidebars = {"docs/index": [], "docs/notebooks": []}
