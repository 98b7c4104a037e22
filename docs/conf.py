"""Configuration of the site: ``make docs`` builds it with warnings as errors."""

import importlib
import os
import sys
import warnings
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]
importlib.import_module("tests.quick_compiler")  # examples are compiled as tests are
os.environ["EAGER_IMPORT"] = "1"  # every public name is looked at

# a worker that has grown by 300 MB, of programs that XLA compiled for an example, is replaced, as it should be
warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")

project, author = "mpijax", "the mpijax developers"
project_copyright = author
release = version = metadata.version("mpijax")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "plain_docstrings",
    "plain_signatures",
    "mathml",
    "bibliography_links",
    "source_back_links",
    "repository_links",
    "generated_pages",
    "benchmark_tables",
    "model_zoo",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_extensions", "_templates", "gallery", "generated/parts"]
nitpicky = False
smartquotes = False  # --option means two hyphens

html_theme = "pydata_sphinx_theme"
html_title = "mpijax"
html_show_sourcelink = False
html_math_renderer = "mathml"
html_static_path, html_css_files = ["_static"], ["site.css"]
html_copy_source = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4

autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the docstring says type and shape
napoleon_custom_sections = [("Source", "notes_style"), ("Memory", "notes_style")]
suppress_warnings = ["myst.header", "ref.python"]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("gallery_figures.save_figures",),
    "reset_modules": ("gallery_costs.limit_time",),
    "reset_modules_order": "both",
    "capture_repr": (),
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "doc_module": ("mpijax",),
    "backreferences_dir": "generated/backreferences",
    "download_all_examples": True,
    "parallel": 2,
}
