"""Sphinx's configuration of the site, which `bash .ci/site OUT` builds."""

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]
os.environ["KZOO_LANG"] = "en"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

project = "kzoo"
copyright = "the kzoo developers"
version = release = os.environ.get("KZOO_SITE_VERSION", "dev")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "kzoo_site",  # in _extensions/, as is the next
    "redirects",
    "translated",
]
language = os.environ.get("KZOO_SITE_LANGUAGE", "en")
redirects = json.loads((HERE / "redirects.json").read_text(encoding="utf-8"))
if language != "en":
    redirects = {}  # former addresses were English
exclude_patterns = ["_*"]
templates_path = [str(HERE / "_templates")]

myst_enable_extensions = ["deflist", "fieldlist", "attrs_inline"]
myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_static_path = [str(HERE / "_static")]
html_title = "kzoo"
html_context = {"default_mode": "auto"}
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"index": [], "search": [], "presets/index": [], "gallery/index": []}
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "show_prev_next": False,
    "secondary_sidebar_items": {
        "**": ["page-toc"],
        "index": [],
        "search": [],
        "presets/index": [],
        "gallery/index": [],
    },
    "navbar_end": ["language_link", "version_menu", "theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": ["plain_page"],
}
