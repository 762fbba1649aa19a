#!/usr/bin/env python3
"""Prints docs/licenses.md: the license of every package that an installation brings, from the packages' own metadata.

Run it in an environment that has the extras: `python scripts/licenses.py > docs/licenses.md`.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
# The extras that a user may want; those for development and for tests are no part of what runs.
EXTRAS = ("demo", "documents", "litert", "examples")
# Packages without a word about it in what is installed, and what their repositories say.
STATED_ELSEWHERE = {"sentencepiece": "Apache-2.0"}
# Names of licenses as packages write them, and their identifiers in SPDX's list.
SPDX = {
    "apache software license": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0", "apache-2": "Apache-2.0",
    "apache2.0": "Apache-2.0", "apache": "Apache-2.0", "apache 2": "Apache-2.0",
    "mit license": "MIT", "mit": "MIT", "the mit license (mit)": "MIT",
    "bsd license": "BSD", "bsd": "BSD", "bsd 3-clause license": "BSD-3-Clause", "3-clause bsd license": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause", "new bsd license": "BSD-3-Clause", "bsd 3-clause": "BSD-3-Clause",
    "2-clause bsd": "BSD-2-Clause",
    "isc license (iscl)": "ISC", "isc license": "ISC",
    "python software foundation license": "PSF-2.0", "psf": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "historical permission notice and disclaimer (hpnd)": "HPND",
    "the unlicense (unlicense)": "Unlicense",
}  # fmt: skip


def normal(name: str) -> str:
    """Returns a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements: Iterable[str], extras: Iterable[str] = ()) -> dict[str, Distribution]:
    """Returns the packages that requirements bring on this system, by name.

    Args:
        requirements: requirements as in `pyproject.toml`.
        extras: the extras that are wanted of the package that requires them.

    Raises:
        SystemExit: if a package is not installed.
    """
    found: dict[str, Distribution] = {}
    expanded: set[tuple[str, str]] = set()
    open_ones = [(text, extra) for text in requirements for extra in ("", *extras)]
    while open_ones:
        text, extra = open_ones.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            package = found.setdefault(normal(requirement.name), distribution(requirement.name))
        except PackageNotFoundError:
            raise SystemExit(f"{requirement.name} is not installed: pip install -e '.[{','.join(EXTRAS)}]'") from None
        for one in ("", *requirement.extras):
            if (normal(requirement.name), one) not in expanded:
                expanded.add((normal(requirement.name), one))
                open_ones += [(text, one) for text in package.requires or ()]
    return found


def license_of(package: Distribution) -> str:
    """Returns the identifier of a package's license, or what the package itself says."""
    data = package.metadata
    if expression := data.get("License-Expression"):
        return expression
    classified = [
        line.split(" :: ")[-1] for line in data.get_all("Classifier") or () if line.startswith("License :: OSI")
    ]
    text = (data.get("License") or "").strip()
    short = text if text and "\n" not in text and len(text) <= 60 else ""
    names = classified or ([short] if short else [])
    if classified == ["BSD License"] and short:  # the classifier does not say which
        names = [short]
    known = sorted({SPDX.get(name.lower(), name) for name in names})
    return " OR ".join(known) if known else _by_file(package)


def _by_file(package: Distribution) -> str:
    """The license whose name the first lines of the package's license file contain."""
    for path in package.files or ():
        if re.match(r"(licen[sc]e|copying)", path.name, re.IGNORECASE):
            beginning = Path(str(package.locate_file(path))).read_text(encoding="utf-8")[:300]
            for words, identifier in (("Apache License", "Apache-2.0"), ("MIT License", "MIT"), ("BSD", "BSD")):
                if words in beginning:
                    return identifier
    return STATED_ELSEWHERE.get(normal(package.metadata["Name"]), "not stated")


def main() -> None:
    """Prints the page."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    always = closure(project["dependencies"])
    optional = [text for extra in EXTRAS for text in project["optional-dependencies"][extra]]
    packages = sorted(closure([*project["dependencies"], *optional]).items())
    rows = [
        f"| {one.metadata['Name']} | {one.version} | {license_of(one)} | {'' if name in always else 'yes'} |"
        for name, one in packages
    ]
    sys.stdout.write(
        "# Licenses\n\n"
        "GRU NMT is under the Apache License 2.0. These are the packages that an installation brings on Linux; those\n"
        f"that are marked come only with one of the extras `{'`, `'.join(EXTRAS)}`. The licenses\n"
        "are what the packages state in their metadata, by the identifiers of SPDX where they are known. `python\n"
        "scripts/licenses.py` makes this page.\n\n"
        "| package | version | license | with an extra only |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    main()
