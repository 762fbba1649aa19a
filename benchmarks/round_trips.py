"""Files of other people, translated in place: what is no translation stays byte for byte, and the tools find no fault.

    python benchmarks/round_trips.py FOLDER OUTPUT

FOLDER has a folder for each package that files were taken from, `packages.json` with the license of each package, and
in `schemas` the DTDs and schemas of TMX and XLIFF, as Debian's packages have them. Nothing is downloaded. Each file is
translated three times by a function that puts accents on letters:

- what has no translation; then the translations that were there have to be the same, as translate-toolkit reads them;
- all of it; then each translation has to be its source with accents, as translate-toolkit reads both;
- all of it by a function that returns what it gets; then a file of one language has to be the same byte for byte, but
  for the name of the language in YAML as Rails has it.

What is left of a file without its translations has to be the same each time. The tools of the format, and pofilter,
may find no fault in the result that they do not find in the original: xmllint, with the DTD or schema where there is
one, Qt's lrelease, Android's aapt2, gettext's msgfmt.
"""

import argparse
import hashlib
import json
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmt.data.formats.text_file import read_text_file
from nmt.documents import translate_file
from nmt.documents.registry import document_format
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

PACKAGES = ("translate-toolkit", "lxml")
FILTERS = ("printf", "pythonbraceformat", "xmltags", "variables", "urls", "emails", "nplurals", "newlines", "tabs")
TARGET = "de"

_ACCENTED = str.maketrans("aeouAEOU", "áéöüÁÉÖÜ")
_CODE = re.compile(r"<[^<>]*>|\$?\{[^{}]*\}+|%\S+|&#?\w+;|\S+(?:://|@)\S+|\$\w+|\\.")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
# What translations are in a file, and what marks them; the rest must stay. By the format's name.
TRANSLATIONS: dict[str, list[str]] = {
    "Qt Linguist": [r"\s*<translation\b(?:[^>]*/>|.*?</translation>)"],
    "TMX": [rf"\s*<tuv\b[^>]*lang\s*=\s*[\"']{TARGET}\b[^>]*>.*?</tuv>"],
    "XLIFF": [
        r"\s*<(?:\w+:)?target(?=[\s/>])(?:[^>]*/>|.*?</(?:\w+:)?target>)",
        r"(?<=<segment)[^>]*(?=>)",
        r"\s(?:target-language|trgLang)\s*=\s*[\"'][^\"']*[\"']",
    ],
    "Android": [r"(?<=>)[^<>]*(?:<(?!/?(?:string|item|resources|plurals|string-array)\b)[^>]*>[^<>]*)*"],
    "resx": [r"(?<=<value>).*?(?=</value>)"],
    "Apple stringsdict": [r"(?<=<string>).*?(?=</string>)"],
    "Java properties": [r"(?<=[=:])(?:[^\r\n\\]|\\\r\n|\\[\s\S])*"],
    "Apple strings": [rf"(?<==)\s*{_QUOTED}"],
    "PO": [
        rf"(?m)^msgstr(?:\[\d\])? {_QUOTED}(?:\n{_QUOTED})*\n",
        r"(?m)^#, fuzzy\n|, fuzzy(?=[,\n])|(?<=^#, )fuzzy, ",
    ],
    "JSON": [rf"(?<=:)\s*{_QUOTED}|(?<=[\[,])\s*{_QUOTED}(?=\s*[\],])"],
}


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    licenses = json.loads((arguments.folder / "packages.json").read_text(encoding="utf-8"))
    files = []
    for package, license_name in licenses.items():
        for path in sorted((arguments.folder / package).rglob("*")):
            form = document_format(path) if path.is_file() else None
            if form is None or form.kind == "read only":
                continue
            found = {
                "package": package,
                "license": license_name,
                "file": str(path.relative_to(arguments.folder / package)),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "format": form.name,
                **check_file(path, arguments.folder / "schemas"),
            }
            files.append(found)
            print(package, path.name, found.get("units", ""), *found["faults"], sep="; ", flush=True)
    formats = sorted({one["format"] for one in files})
    summary = {
        name: {
            "files": sum(one["format"] == name for one in files),
            "without fault": sum(one["format"] == name and not one["faults"] for one in files),
            "refused": sum("refused" in one for one in files if one["format"] == name),
            "texts translated": sum(one.get("filled", 0) for one in files if one["format"] == name),
        }
        for name in formats
    }
    result = {
        "command": shlex.join(["python", "benchmarks/round_trips.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in PACKAGES} | tool_versions(),
        "summary": summary,
        "files": files,
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1, ensure_ascii=False)
    print(json.dumps(summary, indent=1))


def tool_versions() -> dict[str, str]:
    """The versions of the tools that are there."""
    commands = {"xmllint": ["--version"], "lrelease": ["-version"], "aapt2": ["version"], "msgfmt": ["--version"]}
    found = {}
    for name, further in commands.items():
        if shutil.which(name):
            done = subprocess.run([name, *further], capture_output=True, text=True, check=False)
            found[name] = (done.stdout + done.stderr).strip().splitlines()[0]
    return found


def check_file(path: Path, schemas: Path) -> dict[str, Any]:
    """Translates a file three times, and returns what was found."""
    form = document_format(path)
    assert form is not None
    source, target = languages_of(path, form.name)
    with tempfile.TemporaryDirectory() as temporary:
        outputs = [Path(temporary) / str(number) / path.name for number in range(3)]
        try:
            few, every, _ = (
                translate_file(function, path, output, source=source, target=target, all_units=everything)
                for function, output, everything in zip(
                    (accented, accented, lambda texts: texts), outputs, (False, True, True), strict=True
                )
            )
        except UserError as error:
            return {"refused": str(error).replace(str(path), path.name), "faults": []}
        faults: list[str] = []
        for output in outputs:
            if rest(path, form.name, target) != rest(output, form.name, target):
                faults.append(f"{output.parent.name}: something else has changed")
        same = path.read_bytes()
        if form.name == "YAML":  # as Rails has it, the first key is the language
            same = re.sub(rf"(?m)^{source}(?=:)".encode(), target.encode(), same, count=1)
        if not form.bilingual and form.kind != "archive" and outputs[2].read_bytes() != same:
            faults.append("the same texts have changed the file")
        faults += compare_units(path, outputs[0], outputs[1], form.bilingual, Path(temporary))
        original = Path(temporary) / "original" / path.name
        original.parent.mkdir()
        shutil.copy(path, original)
        for check in checks(form.name, path, schemas):
            faults += sorted(set(check(outputs[1])) - set(check(original)))
    return {
        "languages": f"{source}-{target}",
        "units": sum(few.counts.values()),
        "without translation": few.counts["filled"],
        "filled": every.counts["filled"],
        "faults": faults,
    }


def languages_of(path: Path, form: str) -> tuple[str, str]:
    """The two languages of a file; English and German where it names none."""
    head = path.read_bytes()[:20_000].decode("utf-8", "replace")
    source, target = {
        "Qt Linguist": (r"\ssourcelanguage=\"([^\"]+)", r"\slanguage=\"([^\"]+)"),
        "XLIFF": (r"(?:source-language|srcLang)=[\"']([^\"']+)", r"(?:target-language|trgLang)=[\"']([^\"']+)"),
        "TMX": (r"<tuv\b[^>]*lang=\"([^\"]+)", r"<tuv\b[^>]*lang=\"(?:[^\"]+)(?s:.)*?<tuv\b[^>]*lang=\"([^\"]+)"),
        "PO": ("$^(.)", r'"Language: (\w+)'),
    }.get(form, ("$^(.)", "$^(.)"))  # fmt: skip
    codes = [found[1].replace("_", "-") if (found := re.search(one, head)) else "" for one in (source, target)]
    return codes[0] or "en", codes[1].partition("@")[0] or TARGET


def accented(texts: list[str]) -> list[str]:
    """Puts accents on the letters of texts, but not on code."""

    def of_text(text: str) -> str:
        parts, place = [], 0
        for found in _CODE.finditer(text):
            parts += [text[place : found.start()].translate(_ACCENTED), found[0]]
            place = found.end()
        return "".join([*parts, text[place:].translate(_ACCENTED)])

    return [of_text(text) for text in texts]


def plain(text: str) -> str:
    """A text without accents, accelerators and differences of white space."""
    letters = unicodedata.normalize("NFD", text)
    letters = "".join(one for one in letters if not unicodedata.combining(one))
    return " ".join(re.sub(r"&(?=\w)|(?<!\S)_(?=\w)", "", letters).split())


def rest(path: Path, form: str, target: str) -> str:
    """What is in a file except translations."""
    if form not in TRANSLATIONS:
        return ""
    declared = {"PO": r"charset=([\w-]+)"}.get(form, r"encoding=[\"']([\w-]+)")
    try:
        text = read_text_file(path, declared).text
    except UserError:
        text = path.read_bytes().decode("latin-1")
    if form == "PO":  # the header
        text = re.sub(r'(?s)msgid ""\nmsgstr "".*?\n\n', "", text, count=1)
    for pattern in TRANSLATIONS[form]:
        text = re.sub(pattern.replace(rf"[\"']{TARGET}\b", rf"[\"'](?i:{target})\b"), "", text, flags=re.DOTALL)
    return re.sub(r"(<TS\b[^>]*?)\s+language=\"[^\"]*\"", r"\1", text)


def compare_units(path: Path, few: Path, every: Path, bilingual: bool, temporary: Path) -> list[str]:
    """Compares what translate-toolkit reads before and after."""
    before, after, whole = (toolkit_units(one) for one in (path, few, every))
    if before is None or after is None or whole is None:
        return [] if before is None else ["translate-toolkit cannot read the result"]
    faults = []
    if [one[0] for one in before] != [one[0] for one in whole]:
        faults.append("translate-toolkit finds other units")
    if bilingual:
        # A target that repeats its source is not translated yet.
        kept = [(old, new) for old, new in zip(before, after, strict=False) if old[2] and old[1] != old[2]]
        changed = [old for old, new in kept if old[1:] != new[1:]]
        faults += [f"a translation has changed: {one[1]!r}" for one in changed[:3]]
        # It leaves out the white space at the ends of translations in XLIFF.
        pairs = [(one[1].strip(), one[2].strip()) for one in whole if one[2]]
    else:
        pairs = [(old[1], new[1]) for old, new in zip(before, whole, strict=False)]
    # The choices of ICU's messages, which pofilter does not know, have the categories of the target.
    pairs = [one for one in pairs if not re.search(r"\{\s*\w+\s*,\s*(?:plural|select)", one[0])]
    differ = [one for one in pairs if plain(one[0]) != plain(one[1])]
    faults += [f"{source!r} has become {target!r}" for source, target in differ[:5]]
    return faults + filtered(pairs, temporary)


def toolkit_units(path: Path) -> list[tuple[str, str, str]] | None:
    """The ids, texts and translations of a file, as translate-toolkit reads them; None if it does not."""
    from translate.storage import aresource, factory, jsonl10n, properties, resx

    own: dict[str, Callable[[str], Any]] = {
        ".xml": aresource.AndroidResourceFile.parsefile,
        ".resx": resx.RESXFile.parsefile,
        ".json": jsonl10n.JsonNestedFile.parsefile,
        ".strings": properties.stringsutf8file.parsefile,
        ".properties": properties.javautf8file.parsefile,
    }
    known = (".po", ".pot", ".xlf", ".xliff", ".tmx", ".ts", *own)
    if path.suffix not in known:
        return None
    try:
        storage = own[path.suffix](str(path)) if path.suffix in own else factory.getobject(str(path))
    except Exception as error:
        print(f"{path.name}: translate-toolkit: {error}", file=sys.stderr)
        return None
    units = []
    for unit in storage.units:
        if unit.isheader() or unit.isobsolete() or unit.hasplural():
            continue
        source = str(unit.source or "")
        target = str(unit.target or "") if path.suffix in known[:6] else ""
        if source.strip() and source != target:
            units.append((str(unit.getid()), source, target))
        elif source.strip():
            units.append((str(unit.getid()), source, source))
    return units


def filtered(pairs: list[tuple[str, str]], temporary: Path) -> list[str]:
    """What pofilter finds in pairs of texts and their translations."""
    from translate.storage import po

    catalogue = po.pofile()
    catalogue.updateheader(add=True, Content_Type="text/plain; charset=UTF-8", Plural_Forms="nplurals=2; plural=n!=1;")
    for source, target in dict(pairs).items():
        unit = catalogue.addsourceunit(source)
        unit.target = target
    given, found = temporary / "pairs.po", temporary / "found.po"
    catalogue.savefile(str(given))
    program = str(Path(sys.executable).with_name("pofilter"))
    tests = [part for name in FILTERS for part in ("-t", name)]
    subprocess.run([program, "--progress=none", *tests, str(given), str(found)], check=True, capture_output=True)
    if not found.exists():
        return []
    units = [unit for unit in po.pofile.parsefile(str(found)).units if not unit.isheader()]
    return [f"pofilter: {unit.getnotes()} {unit.source!r}: {unit.target!r}" for unit in units[:5]]


def checks(form: str, path: Path, schemas: Path) -> list[Callable[[Path], list[str]]]:
    """The tools that judge a format: each a function from a file to the faults that it finds."""
    if form in ("TMX", "XLIFF", "Android", "resx", "Qt Linguist", "Apple stringsdict"):
        more: list[Callable[[Path], list[str]]] = [lambda one: tool(["xmllint", "--nonet", "--noout", str(one)])]
        head = path.read_bytes()[:3000]
        schema = next(
            (file for pattern, file in (
                (rb"<tmx[^>]*\"1\.4", "tmx14.dtd"), (rb"<tmx[^>]*\"1\.1", "tmx11.dtd"),
                (rb"<xliff[^>]*\"1\.2", "xliff-core-1.2-strict.xsd"), (rb"<xliff[^>]*\"2\.", "xliff-core-2.0.xsd"),
            ) if re.search(pattern, head)), "",
        )  # fmt: skip
        if schema:
            more.append(lambda one: by_schema(one, schemas / schema))
        if form == "Qt Linguist":
            more.append(lambda one: tool(["lrelease", "-silent", str(one), "-qm", f"{one}.qm"], one.with_suffix(".qm")))
        elif form == "Android":
            more.append(aapt)
        elif form == "Apple stringsdict":
            more.append(property_list)
        return more
    if form == "PO":
        return [lambda one: tool(["msgfmt", "--check", "-o", "/dev/null", str(one)])]
    return []


def tool(command: list[str], made: Path | None = None) -> list[str]:
    """What a tool prints when it finds a fault, without the names of files and the numbers of lines."""
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        moved = [str(Path(temporary) / "made") if part.endswith(".qm") and part != "-qm" else part for part in command]
        done = subprocess.run(moved, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    return [re.sub(r"\S*/|:\d+", "", line) for line in (done.stdout + done.stderr).splitlines()] or [command[0]]


def by_schema(path: Path, schema: Path) -> list[str]:
    """What lxml, which is xmllint's library, finds with a DTD or a schema."""
    from lxml import etree

    class Resolver(etree.Resolver):
        def resolve(self, url: str, _: Any, context: Any) -> Any:
            """Takes the schema of `xml:lang` from the folder of the others, which import it from the web."""
            return self.resolve_filename(str(schema.with_name("xml.xsd")), context) if "xml.xsd" in url else None

    parser = etree.XMLParser()
    parser.resolvers.add(Resolver())
    checker = etree.DTD(str(schema)) if schema.suffix == ".dtd" else etree.XMLSchema(etree.parse(str(schema), parser))
    checker.validate(etree.parse(str(path)))
    return [f"{schema.name}: {error.message}" for error in checker.error_log]


def aapt(path: Path) -> list[str]:
    """What Android's compiler of resources finds."""
    with tempfile.TemporaryDirectory() as temporary:
        moved = Path(temporary) / "res" / "values" / "strings.xml"
        moved.parent.mkdir(parents=True)
        shutil.copy(path, moved)
        return tool(["aapt2", "compile", "-o", temporary, str(moved)])


def property_list(path: Path) -> list[str]:
    """What Python's reader of property lists finds."""
    try:
        plistlib.loads(path.read_bytes())
    except ValueError as error:
        return [str(error)]
    return []


if __name__ == "__main__":
    main()
