"""The site of the documents, built by `make site` from the pages as they lie in the repository."""

import re
from pathlib import Path

project = "cmip6-zarr"
project_copyright = "The cmip6-zarr contributors"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_fence_as_directive = ["mermaid"]
root_doc = "README"
include_patterns = ["README.md", "config/README.md", "docs/*.md", "CONTRIBUTING.md", "CHANGELOG.md"]
# Anchors are those of the git host: the words of a heading, with hyphens.
myst_heading_anchors = 3
html_theme = "furo"
html_title = "cmip6-zarr"
html_copy_source = False

LINK = re.compile(r"\[([^]]+)\]\(([^):#]+)\)")
PARTS = {
    "Run a campaign": [
        "config/README",
        "docs/operating",
        "docs/choosing-settings",
        "docs/slurm",
        "docs/other-machines",
        "docs/object-stores",
        "docs/report",
    ],
    "Use the stores": ["docs/using-stores", "docs/readers"],
    "Background": ["docs/when-not-to-convert", "docs/design", "docs/reliability", "docs/performance", "docs/answers"],
    "Project": ["docs/README", "CONTRIBUTING", "CHANGELOG"],
}


def as_page(app, page, source):
    """Make links to folders of the repository plain text, and put the contents below the first page.

    A git host shows folders, which the site does not have, and would show the contents as code.
    """
    beside = Path(app.env.doc2path(page)).parent
    source[0] = LINK.sub(lambda link: link[1] if (beside / link[2]).is_dir() else link[0], source[0])
    if page == root_doc:
        for part, pages in PARTS.items():
            source[0] += "\n".join(("\n```{toctree}", ":hidden:", f":caption: {part}", *pages, "```\n"))


def setup(app):
    app.connect("source-read", as_page)
