"""Settings of Sphinx; ``make docs`` builds the pages."""

from __future__ import annotations

import os

# Airflow reads its settings when the API reference imports it, and would fill the user's own home.
os.environ.setdefault("AIRFLOW_HOME", os.path.join(os.path.dirname(__file__), "_build", "airflow"))  # noqa: PTH118, PTH120

from airflow_provider_voice import __version__

project = "airflow-provider-voice"
author = "The airflow-provider-voice authors"
copyright = author  # noqa: A001 - the name that Sphinx reads
version = release = __version__

extensions = ["sphinx.ext.autodoc", "myst_parser"]
exclude_patterns = ["_build"]
root_doc = "index"
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}

# A link that leads nowhere is a warning, and so an error.
nitpicky = True

autodoc_member_order = "bysource"
# The signature shows the types; the text is that of the docstring.
autodoc_typehints = "none"
autodoc_class_signature = "separated"
# Sphinx would otherwise print each default in full.
autodoc_preserve_defaults = True

# furo sends no request to another host, has a light and a dark form, and can be read on a phone. sphinx-airflow-theme
# builds offline as well, but its header, footer and analytics are those of the Apache Software Foundation, and this
# provider is not one of its projects.
html_theme = "furo"
html_title = f"airflow-provider-voice {release}"
html_copy_source = False
