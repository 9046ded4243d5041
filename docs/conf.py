"""Settings of Sphinx for the documentation site; `scripts/docs` builds it."""

from __future__ import annotations

import vidcam
from vidcam.models.weights.cache import cache_folder

project = "vidcam"
author = "The vidcam developers"
project_copyright = author
version = release = vidcam.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "gallery/*.ipynb", "gallery/*.py"]

html_theme = "furo"
html_title = f"vidcam {version}"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_show_sourcelink = False
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"

myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

has_i3d = (cache_folder() / "i3d-kinetics-400.safetensors").is_file() and (cache_folder() / "roof-jump.mp4").is_file()
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "ignore_pattern": "ruff" if has_i3d else "i3d",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 60,
    "remove_config_comments": True,
    "write_computation_times": False,
    "download_all_examples": False,
}


def outside_docs(_app: object, _name: str, source: list[str]) -> None:
    """Turn links from a guide to the benchmarks into links to their page of the site."""
    source[0] = source[0].replace("../../benchmarks/RESULTS.md", "/about/benchmarks.md")
    source[0] = source[0].replace("../benchmarks/RESULTS.md", "/about/benchmarks.md")


def setup(app: object) -> None:
    """Register `outside_docs`."""
    app.connect("source-read", outside_docs)  # type: ignore[attr-defined]
