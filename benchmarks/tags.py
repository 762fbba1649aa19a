"""Whether translations keep tags, placeholders, addresses and emoji, and whether tags enclose the right words.

    python benchmarks/tags.py kept RUN FOLDER OUTPUT [--segments 10000] [--set decoding.beam_size=1]
    python benchmarks/tags.py words RUN FOLDER OUTPUT
    python benchmarks/tags.py elements RUN FOLDER OUTPUT [--split validation] [--by search] [--share 0.6]

`kept` puts nested inline elements, tags, placeholders, addresses and emoji at random into sentences of the test split
of the run's corpus, and has `nmt translate` fill the XLIFF file of them. The result is read by lxml: each element and
each string has to come as often as in the source, and what is opened has to be closed in the legal order. A call that
was killed goes on where it was; FOLDER has the files.

`words` encloses a term of each sentence in a pair of tags. A term is a string of the corpus (such as "Time zone") that
another string of the test split contains once, whose translation contains the term's translation once. The pair is
right if it encloses just that translation. Only sentences whose translation has the term's translation count; in
addition those whose whole translation is close to the reference (chrF of at least 70) are counted by themselves.

`elements` takes a corpus that has many tags, as benchmarks/tagged_corpus.py makes: the sentences of a split that have
pairs of tags. A pair is right if it encloses what the reference's pair of the same name does. Only pairs whose words in
the reference are in the translation too count. `--by search` has the search keep the tags, as a run that masks `tags`
has learnt from its corpus, instead of attention; `--share` is another value of `nmt.documents.placement._SHARE`.
"""

import argparse
import itertools
import json
import random
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from machine import describe_machine

from nmt.constants import SIDES
from nmt.data.token_store import read_sentences
from nmt.runs.folder import load_run_config
from nmt.utils.files import written_whole

PACKAGES = ("tensorflow", "tensorflow-text", "sentencepiece", "lxml")
NAMESPACE = "urn:oasis:names:tc:xliff:document:1.2"
SEED = 1
DEEPEST = 4
CLOSE = 70.0  # chrF
KEPT = (
    "{name}", "{0}", "{{count}}", "${value}", "%s", "%(count)d", "%1$s", "%@", "$HOME",
    "https://example.org/a?b=c#d", "http://www.example.com/", "mailto:me@example.org", "someone.else@example.net",
    "🙂", "👩‍💻", "🇩🇪", "3️⃣", "👍🏽", "❤️", "&nbsp;", "&#8230;",
)  # fmt: skip
SPACED = "0-9A-Za-zÀ-ɏЀ-ӿ_"  # Latin and Cyrillic letters
TAGS = ("<b>", "<i>", '<a href="https://example.org/">', '<span class="x">', "<em>", "<code>")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("kept", "words", "elements"))
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--segments", type=int, default=10_000)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--by", default="attention", choices=("attention", "search"))
    parser.add_argument("--share", type=float)
    arguments = parser.parse_args()
    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    run, folder, settings = arguments.run, arguments.folder, arguments.settings
    name = [arguments.part, run.name, *settings]
    if arguments.part == "kept":
        measured = measure_kept(run, folder, arguments.segments, settings)
    elif arguments.part == "words":
        measured = measure_words(run, folder, settings)
    else:
        name += [arguments.split, f"by {arguments.by}", *([] if arguments.share is None else [str(arguments.share)])]
        measured = measure_elements(run, folder, settings, arguments.split, arguments.by == "search", arguments.share)
    results = json.loads(arguments.output.read_text(encoding="utf-8")) if arguments.output.exists() else {}
    results[" ".join(name)] = {
        "command": shlex.join(["python", "benchmarks/tags.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": describe_machine(),
        **measured,
    }
    with written_whole(arguments.output) as file:
        json.dump(results, file, indent=1, ensure_ascii=False)
    print(json.dumps(measured, indent=1, ensure_ascii=False))


def measure_kept(run: Path, folder: Path, count: int, settings: Sequence[str]) -> dict[str, Any]:
    """Translates generated segments, and counts those whose translation keeps everything."""
    from nmt.runs.documents import translate_document

    config = load_run_config(run)[1]
    sources, draw = list(read_sentences(load_run_config(run)[0].data, "test", SIDES[0])), random.Random(SEED)
    sources = [text for text in sources if not re.search(r"[<>{}%$&@\[\]]|://|\*\*", text) and len(text) < 80]
    segments = [segment(draw.choice(sources), draw) for _ in range(count)]
    source, target = folder / f"{run.name}.xlf", folder / f"{run.name}.translated.xlf"
    source.write_text(xliff(segments, str(config.data.source_language)), encoding="utf-8")
    report = translate_document(run, source, target, overrides=settings)
    before, after = both(target)
    faults = [(number, fault) for number, fault in enumerate(map(compare, before, after)) if fault]
    parts = [events(one) for one in before]
    return {
        "segments": count,
        "different segments": len(set(segments)),
        "pairs of tags": sum(one.startswith("close ") for of_one in parts for one in of_one),
        "deepest nesting": max(map(depth, parts)),
        "other parts to keep": sum(not one.startswith(("open ", "close ")) for of_one in parts for one in of_one),
        "all kept and legal": count - len(faults),
        "strings translated in pieces": report.pieces,
        "faults": [{"segment": segments[number], "fault": fault} for number, fault in faults[:20]],
    }


def segment(text: str, draw: random.Random) -> str:
    """Puts elements, tags and other parts at random into a sentence; the result is the content of a `source`."""
    words: list[str] = [escape(word) for word in text.split()]
    for part in draw.sample(KEPT, draw.randint(0, 4)):
        words.insert(draw.randint(0, len(words)), escape(part))
    numbers = iter(range(1, 1000))
    for _ in range(draw.randint(0, 2)):
        kind = draw.choice(('<x id="{}"/>', '<ph id="{}">&lt;br/&gt;</ph>', "&lt;br/&gt;"))
        words.insert(draw.randint(0, len(words)), kind.format(next(numbers)))
    return enclosed(words, draw, numbers, DEEPEST)


def enclosed(words: Sequence[str], draw: random.Random, numbers: Iterator[int], deepest: int) -> str:
    """Joins words, some of them enclosed in pairs of tags that are nested."""
    pieces, place = [], 0
    while place < len(words):
        length = draw.randint(1, len(words))
        part = words[place : place + length]
        place += length
        if deepest and draw.random() < 0.6:
            number = next(numbers)
            tag = draw.choice(TAGS)
            name = tag[1:].split()[0].rstrip(">")
            begin, end = draw.choice(
                (
                    (f'<g id="{number}">', "</g>"),
                    (f'<bpt id="{number}">&lt;u&gt;</bpt>', f'<ept id="{number}">&lt;/u&gt;</ept>'),
                    (escape(tag), f"&lt;/{name}&gt;"),
                )
            )
            pieces.append(begin + enclosed(part, draw, numbers, deepest - 1) + end)
        else:
            pieces.append(" ".join(part))
    return " ".join(pieces)


def xliff(segments: Sequence[str], language: str) -> str:
    """Returns an XLIFF file of segments."""
    units = "".join(
        f'<trans-unit id="{number}"><source>{text}</source></trans-unit>\n' for number, text in enumerate(segments)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<xliff version="1.2" xmlns="{NAMESPACE}">'
        f'<file original="generated" source-language="{language}" datatype="plaintext"><body>\n{units}'
        "</body></file></xliff>\n"
    )


def both(path: Path) -> tuple[list[Any], list[Any]]:
    """The source and the target elements of a file, read by lxml."""
    from lxml import etree

    tree = etree.parse(str(path))
    units = list(tree.iter(f"{{{NAMESPACE}}}trans-unit"))
    sources, targets = ([unit.find(f"{{{NAMESPACE}}}{side}") for unit in units] for side in ("source", "target"))
    return sources, targets


def compare(source: Any, target: Any) -> str:
    """Returns what a translation lacks, has too often, or nests illegally; nothing if it keeps everything."""
    if target is None:
        return "not translated"
    parts, of_source = events(target), events(source)
    lost, added = Counter(of_source) - Counter(parts), Counter(parts) - Counter(of_source)
    if lost or added:
        return f"lost {sorted(lost)}, added {sorted(added)}"
    opened = []
    for part in parts:
        if part.startswith("open "):
            opened.append(part[5:])
        elif part.startswith("close ") and (not opened or opened.pop() != part[6:]):
            return f"illegal: {parts}"
    return f"not closed: {opened}" if opened else ""


def depth(parts: Sequence[str]) -> int:
    """How many pairs of tags are open at the same time, at most."""
    levels = itertools.accumulate(one.startswith("open ") - one.startswith("close ") for one in parts)
    return max(levels, default=0)


def events(element: Any) -> list[str]:
    """Everything in an element that has to be kept, in its order."""
    found = in_text(element.text)
    for child in element:
        name, identity = child.tag.rpartition("}")[2], child.get("id")
        if name == "g":
            found += [f"open g{identity}", *events(child), f"close g{identity}"]
        elif name in ("bpt", "ept"):
            found.append(f"{'open' if name == 'bpt' else 'close'} pair{identity}")
        else:
            found.append(f"{name} {identity}")
        found += in_text(child.tail)
    return found


def in_text(text: str | None) -> list[str]:
    """The tags and other parts in a text."""
    known = "|".join(re.escape(one) for one in sorted((*KEPT, *TAGS), key=len, reverse=True))
    found = re.findall(rf"{known}|</?\w[^<>]*>", text or "")
    names = []
    for part in found:
        if part.startswith("</"):
            names.append(f"close {part[2:-1]}")
        elif part.startswith("<") and not part.endswith("/>"):
            names.append(f"open {part[1:-1].split()[0]}")
        else:
            names.append(part)
    return names


def measure_words(run: Path, folder: Path, settings: Sequence[str]) -> dict[str, Any]:
    """Translates sentences with a term in a pair of tags, and counts the pairs that enclose the term's translation."""
    from sacrebleu import sentence_chrf

    from nmt.runs.documents import translate_document

    loaded, config = load_run_config(run)
    texts = {
        split: list(zip(*(read_sentences(loaded.data, split, side) for side in SIDES), strict=True))
        for split in ("train", "test")
    }
    terms = known_terms([pair for pairs in texts.values() for pair in pairs])
    chosen = [(*found, pair[1]) for pair in texts["test"] if (found := find_term(*pair, terms))]
    source, target = folder / f"{run.name}.words.xlf", folder / f"{run.name}.words.translated.xlf"
    source.write_text(xliff([one for one, *_ in chosen], str(config.data.source_language)), encoding="utf-8")
    translate_document(run, source, target, overrides=settings)
    verdicts, of_close, examples = Counter[str](), Counter[str](), []
    for element, (content, term, reference) in zip(both(target)[1], chosen, strict=True):
        kind = verdict(element, term)
        verdicts[kind] += 1
        if sentence_chrf("".join(element.itertext()), [reference]).score >= CLOSE:
            of_close[kind] += 1
        if kind not in ("right", "term translated otherwise") and len(examples) < 40:
            written = re.sub(r"</?(?:\w+:)?target[^>]*>", "", inner(element))
            examples.append({"kind": kind, "source": content, "translation": written, "term": term})
    return {
        "sentences": len(chosen),
        "all": judged(verdicts),
        "whole translation is close to the reference": judged(of_close),
        "examples": examples,
    }


def measure_elements(
    run: Path, folder: Path, settings: Sequence[str], split: str, by_search: bool, share: float | None
) -> dict[str, Any]:
    """Translates the sentences of a split that have tags, and counts the pairs that enclose what the reference's do."""
    from sacrebleu import corpus_chrf

    from nmt.documents import placement
    from nmt.documents.translation import translate_file
    from nmt.runs.translation import load_translator

    loaded, config = load_run_config(run)
    if share is not None:
        placement._SHARE = share
    pairs = zip(*(read_sentences(loaded.data, split, side) for side in SIDES), strict=True)
    chosen = list(
        dict.fromkeys(pair for pair in pairs if len(pairs_of_tags(pair[0])) == len(pairs_of_tags(pair[1])) > 0)
    )
    source, target = (folder / f"{run.name}.{split}.{end}" for end in ("xlf", "translated.xlf"))
    source.write_text(xliff([escape(one) for one, _ in chosen], str(config.data.source_language)), encoding="utf-8")
    translator = load_translator(run, None, ["decoding.split_sentences=true", *settings])
    translate_file(
        translator,
        source,
        target,
        source=str(config.data.source_language),
        target=config.data.target_language,
        tags_learnt=by_search,
        identity=str(share),
    )
    verdicts, single, examples, texts = Counter[str](), Counter[str](), [], []
    for element, (content, reference) in zip(both(target)[1], chosen, strict=True):
        text = "".join(element.itertext())
        texts.append(without_tags(text))
        found = list(judge_pairs(text, reference))
        verdicts.update(found)
        if len(found) == 1:
            single.update(found)
        if "elsewhere" in found and len(examples) < 20:
            examples.append({"source": content, "translation": text, "reference": reference})
    return {
        "sentences": len(chosen),
        "all": judged(verdicts),
        "sentences with one pair": judged(single),
        "chrF of the texts without tags": round(
            corpus_chrf(texts, [[without_tags(reference) for _, reference in chosen]]).score, 2
        ),
        "examples": examples,
    }


def judge_pairs(text: str, reference: str) -> Iterator[str]:
    """For each pair of tags of a reference: whether the text's pair of this name encloses the same."""
    plain, given = without_tags(text).lower(), pairs_of_tags(text)
    for name, words in pairs_of_tags(reference):
        # Whole words, in scripts that have spaces between them.
        if not words or not re.search(rf"(?<![{SPACED}]){re.escape(words)}(?![{SPACED}])", plain):
            yield "term translated otherwise"
        elif (name, words) in given:
            given.remove((name, words))
            yield "right"
        else:
            yield "elsewhere"


def pairs_of_tags(text: str) -> list[tuple[str, str]]:
    """The pairs of tags in a text: the name of each, and what it encloses, without further tags."""
    found, opened = [], []
    for tag in re.finditer(r"<(/?)([A-Za-z][\w:.-]*)[^<>]*?(/?)>", text):
        if tag[3]:
            continue
        if not tag[1]:
            opened.append((tag[2], tag.end()))
        elif opened and opened[-1][0] == tag[2]:
            found.append((tag[2], without_tags(text[opened.pop()[1] : tag.start()]).lower()))
    return found


def without_tags(text: str) -> str:
    """A text without tags, and with one space for all white space."""
    return " ".join(re.sub(r"</?[A-Za-z][^<>]*>", "", text).split())


def judged(verdicts: Counter[str]) -> dict[str, Any]:
    """How many pairs of tags enclose the right words, of those whose term is translated as expected."""
    count = sum(verdicts.values()) - verdicts["term translated otherwise"]
    return {
        "with the term's translation": count,
        "tags enclose it": verdicts["right"],
        "share": round(verdicts["right"] / max(1, count), 4),
        "verdicts": dict(verdicts),
    }


def known_terms(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The short strings that have one translation everywhere."""
    found: dict[str, set[str]] = {}
    for source, target in pairs:
        if re.fullmatch(r"[A-Za-z][a-z]+(?: [A-Za-z]+){0,3}", source) and len(source) > 3:
            found.setdefault(source.lower(), set()).add(target)
    return {
        source: targets.pop() for source, targets in found.items() if len(targets) == 1 and "{" not in "".join(targets)
    }


def find_term(source: str, target: str, terms: dict[str, str]) -> tuple[str, str] | None:
    """A sentence with its longest term in a `g`, and the translation of the term; None if it has none."""
    if re.search(r"[<>{}&]", source):
        return None
    words = list(re.finditer(r"[A-Za-z]+", source))
    for length in range(4, 0, -1):
        for place in range(len(words) - length + 1):
            start, end = words[place].start(), words[place + length - 1].end()
            term = source[start:end].lower()
            expected = terms.get(term)
            if expected is None or (start, end) == (0, len(source)):
                continue
            if occurrences(source, term) == occurrences(target, expected) == 1 and len(source) > end - start + 2:
                marked = f'{escape(source[:start])}<g id="1">{source[start:end]}</g>{escape(source[end:])}'
                return marked, expected
    return None


def occurrences(text: str, term: str) -> int:
    """How often words are in a text."""
    return len(re.findall(rf"(?<!\w){re.escape(term)}(?!\w)", text, re.IGNORECASE))


def verdict(target: Any, term: str) -> str:
    """What a pair of tags encloses, compared with the translation of its term."""
    if occurrences("".join(target.itertext()), term) != 1:
        return "term translated otherwise"
    enclosed_text = "".join(next(target.iter("{*}g")).itertext()).strip()
    if enclosed_text.lower() == term.lower():
        return "right"
    if not enclosed_text:
        return "nothing"
    if occurrences(enclosed_text, term):
        return "more"
    return "less" if enclosed_text.lower() in term.lower() else "elsewhere"


def inner(element: Any) -> str:
    """An element as it is written."""
    from lxml import etree

    return str(etree.tostring(element, encoding="unicode", with_tail=False))


if __name__ == "__main__":
    main()
