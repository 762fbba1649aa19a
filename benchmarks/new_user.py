"""A new user's first hour: a translation memory, a model, a translated catalogue, the page, an answer of the export.

    python benchmarks/new_user.py RUN CATALOGUE.po FOLDER OUTPUT [--package PACKAGE] [--minutes 6]

FOLDER, new, becomes an empty home. The training split of RUN, written as a TMX, is the user's memory, and CATALOGUE.po
their catalogue without translations. The commands are those of docs/quickstart.md, taken out of the page and given in
its order, with no other set-up; PACKAGE is what pip installs, the checkout if it is not given. Each is timed and its
output kept. What a person does in the meantime is an estimate: they read README.md up to its results and the quickstart
at 238 words a minute (Brysbaert 2019) and type 200 characters a minute; or do both at half that pace. Needs chromium,
chromedriver, msgfmt and selenium.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from machine import describe_machine

from nmt.constants import SIDES
from nmt.data.token_store import read_sentences
from nmt.runs.folder import load_run_config
from nmt.utils.files import written_whole

CHECKOUT = Path(__file__).resolve().parents[1]
# What a person reads, from the first heading to the second one; the page's own title stands for all of it.
READ = [("README.md", "# GRU NMT", "## Results"), ("docs/quickstart.md", "# Quickstart", "\\Z")]
WORDS, CHARACTERS = 238, 200  # in a minute
TEXT = ["Restart the device.", "No connection"]
HEADER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4"><header creationtool="memory" creationtoolversion="1" '
    'segtype="sentence" o-tmf="none" adminlang="en" srclang="{}" datatype="plaintext"/><body>\n'
)
Json = dict[str, Any]


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--package", type=Path, default=CHECKOUT)
    parser.add_argument("--minutes", type=int, default=6)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    home = arguments.folder.resolve()
    languages, units = write_memory(arguments.run, home / "memory.tmx")
    shutil.copy(arguments.catalogue, home / "app.po")
    if languages != ["en", "de"]:
        raise SystemExit(f"{arguments.run}: expected a run from en to de, as docs/quickstart.md has it")
    page = section("docs/quickstart.md", "# Quickstart", "\\Z")
    (asking,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (home / "ask.py").write_text(asking)  # what a person types into a file or a notebook
    steps, seen = [], {}
    for command in [*re.findall(r"^ {4}(.*)$", page, re.MULTILINE), "python ask.py"]:
        if command.startswith("nmt demo"):
            seen = see_page(home, command)
            continue
        given = command.replace("gru-nmt[", f"{arguments.package.resolve()}[")
        steps.append(run(home, given.replace("--minutes 6", f"--minutes {arguments.minutes}")))
    checks = check_catalogue(home / "app.de.po")
    machine_minutes = (sum(step["seconds"] for step in steps) + seen["seconds"]) / 60
    words = sum(len(section(*part).split()) for part in READ)
    typed = sum(len(step["command"]) for step in steps) + len(seen["command"]) + len(asking)
    person_minutes = words / WORDS + typed / CHARACTERS
    result = {
        "command": f"python benchmarks/new_user.py RUN CATALOGUE.po FOLDER {arguments.output}",
        "machine": describe_machine(),
        "memory": {"units": units, "bytes": (home / "memory.tmx").stat().st_size},
        "steps": steps,
        "catalogue": checks,
        "page": seen,
        "minutes": {
            "machine": round(machine_minutes, 1),
            "person": round(person_minutes, 1),
            "person, at half the pace": round(2 * person_minutes, 1),
            "together": round(machine_minutes + person_minutes, 1),
        },
        "read": {"words": words, "characters typed": typed},
    }
    text = json.dumps(result, indent=1, ensure_ascii=False).replace(str(arguments.package.resolve()), "gru-nmt")
    text = text.replace(str(home), "~")
    with written_whole(arguments.output) as file:
        file.write(text)
    print(text)


def write_memory(run: Path, path: Path) -> tuple[list[str], int]:
    """Writes the training pairs of a run as a TMX; returns the languages, and how many pairs there are."""
    loaded, config = load_run_config(run)
    languages = [config.data.source_language, config.data.target_language]
    units = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEADER.format(languages[0]))
        for pair in zip(*(read_sentences(loaded.data, "train", side) for side in SIDES), strict=True):
            variants = (
                f'<tuv xml:lang="{language}"><seg>{escape(text)}</seg></tuv>'
                for language, text in zip(languages, pair, strict=True)
            )
            file.write(f"<tu>{''.join(variants)}</tu>\n")
            units += 1
        file.write("</body></tmx>\n")
    return languages, units


def environment(home: Path) -> dict[str, str]:
    """What a login of a new user has: a home and the system's programs; and how pip reaches its packages."""
    network = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") or "PIP_" in name}
    programs = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"])
    return network | {"HOME": str(home), "PATH": programs, "LANG": "C.UTF-8"}


def run(home: Path, command: str) -> Json:
    """Gives a command, which must succeed; returns its duration and what it printed."""
    print(f"$ {command}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", in_environment(command)], check=False, cwd=home, env=environment(home), capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    seconds = round(time.perf_counter() - start, 1)
    if done.returncode:
        raise SystemExit(f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    lines = [line for line in re.split(r"[\r\n]+", done.stdout) if line]
    return {"command": command, "seconds": seconds, "stdout": [] if " install " in command else lines[-40:]}


def in_environment(command: str) -> str:
    """A command as it is given after the first one of the page, in the environment that this one has made."""
    return command if "-m venv" in command else f". translator/bin/activate && {command}"


def check_catalogue(path: Path) -> Json:
    """What gettext says of a catalogue, and how many of its entries have a translation in every form."""
    found = subprocess.run(
        ["msgfmt", "--check", "--statistics", "--use-fuzzy", "-o", os.devnull, str(path)],
        check=False, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"},
    )  # fmt: skip
    return {"status": found.returncode, "msgfmt": found.stderr.strip().replace(str(path), path.name)}


def see_page(home: Path, command: str) -> Json:
    """Opens the page in a browser, translates a text there as a person does, and closes it."""
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    print(f"$ {command}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    server = subprocess.Popen(
        ["bash", "-c", in_environment(f"exec {command}")], cwd=home, env=environment(home), stderr=subprocess.PIPE,
        text=True, encoding="utf-8",
    )  # fmt: skip
    try:
        assert server.stderr is not None
        for line in server.stderr:
            if found := re.search(r"http://\S+", line):
                break
        else:
            raise SystemExit(f"{command}: no page")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for switch in ("headless", "no-sandbox", "disable-gpu", f"user-data-dir={home / 'chromium'}"):
            options.add_argument(f"--{switch}")
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            driver.implicitly_wait(60)
            driver.get(found[0])
            driver.find_element("css selector", "#source textarea").send_keys(TEXT[0])
            driver.find_element("css selector", "#translate").click()
            translation = driver.find_element("css selector", "#target textarea")
            WebDriverWait(driver, 60).until(lambda _: translation.get_attribute("value"))
            answer = translation.get_attribute("value")
        finally:
            driver.quit()
    finally:
        server.terminate()
        server.wait()
    return {
        "command": command,
        "seconds": round(time.perf_counter() - start, 1),
        "typed": TEXT[0],
        "shown": answer,
    }


def section(page: str, begin: str, end: str) -> str:
    """What stands on a page from a heading to another one, or to its end."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    found = re.search(rf"^{begin}\b(.*?)(?=^{end}|\Z)", text, flags=re.DOTALL | re.MULTILINE)
    if found is None:
        raise SystemExit(f"{page}: no heading {begin!r}")
    return found[0]


if __name__ == "__main__":
    main()
