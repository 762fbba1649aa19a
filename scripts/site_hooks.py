"""What MkDocs does for the site beyond the pages of docs/.

A page may link to any file of the checkout. Whatever is linked outside docs/ becomes a page of the site too, at
`source/PATH`, so that the site is whole without a server that holds the repository. The reference is made of the names
that `import nmt` exports.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import nmt  # noqa: E402  (without TensorFlow, until one of its names is used)

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]+)(#[^)\s]*)?\)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh", ".json": "json", ".toml": "toml"}
PICTURES = (".png", ".svg")
# Pages of the reference, and the modules whose public names each has.
REFERENCE = {
    "models": ("Models", ("nmt.models",)),
    "layers": ("Layers", ("nmt.layers",)),
    "decoding": ("The search", ("nmt.decoding",)),
    "runs": ("Training and translating", ("nmt.",)),
}


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are not in docs/."""
    for path, text in reference_pages().items():
        files.append(File.generated(config, path, content=text))
    pages = [file.src_uri for file in files.documentation_pages() if (ROOT / "docs" / file.src_uri).exists()]
    waiting = [linked for page in pages for linked in links_of(f"docs/{page}")]
    while waiting:
        path = waiting.pop()
        uri = uri_of(path)
        if not path.startswith("docs/") and (ROOT / path).exists() and files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, content=content_of(path)))
            waiting += links_of(path) if path.endswith(".md") else []
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Makes a page's links those of the site."""
    here = page.file.src_uri
    origin = here.removeprefix("source/") if here.startswith("source/") else f"docs/{here}"
    if not (ROOT / origin).is_file():  # a program's text or the reference
        return markdown

    def linked(found: re.Match[str]) -> str:
        target = uri_of(resolved(origin, found[1]))
        return f"]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{found[2] or ''})"

    return LINK.sub(linked, markdown)


def reference_pages() -> dict[str, str]:
    """The pages of the reference: each public name once, on the first page that has its module."""
    names = dict(nmt._PUBLIC)
    pages = {}
    for page, (title, modules) in REFERENCE.items():
        here = [name for name in sorted(names, key=str.lower) if f"{names[name]}.".startswith(modules)]
        body = "".join(f"\n::: {names.pop(name)}.{name}\n" for name in here)
        pages[f"reference/{page}.md"] = f"# {title}\n\nAll names are in `nmt`: `import nmt`, then `nmt.NAME`.\n{body}"
    return pages


def links_of(page: str) -> Iterator[str]:
    """Yields the paths in the checkout to which a page links."""
    for found in LINK.finditer((ROOT / page).read_text(encoding="utf-8")):
        yield resolved(page, found[1])


def resolved(page: str, link: str) -> str:
    """Returns the path in the checkout that a link of a page names; a folder stands for its README."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    return f"{path}/README.md" if (ROOT / path / "README.md").exists() else path


def uri_of(path: str) -> str:
    """Returns where on the site a path of the checkout is."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"source/{path}" if path.endswith((".md", *PICTURES)) else f"source/{path}.md"


def content_of(path: str) -> str | bytes:
    """Returns what the site shows of a file or a folder of the checkout."""
    file = ROOT / path
    if file.is_dir():
        return f"# `{path}/`\n\n" + "".join(
            f"- `{one.name}`\n" for one in sorted(file.iterdir()) if one.name[0] not in "._"
        )
    if path.endswith(PICTURES):
        return file.read_bytes()
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    unsearched = "---\nsearch:\n  exclude: true\n---\n"
    return f"{unsearched}# `{path}`\n\n``````{LANGUAGES.get(file.suffix, 'text')}\n{text}\n``````\n"
