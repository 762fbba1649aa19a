"""Counts the human translations that break the rules against repetition, and other rules.

    python benchmarks/repetition_rules.py OUTPUT CORPUS...

A CORPUS is one of `own_text.py`. Pairs of its training split are drawn, and split into subwords by a vocabulary that is
trained on the split and has the size that a plan gives it. The rules are those of `nmt.text.repetition` together, and
others alone: that 4, 5, 6 or 8 subwords come only once, unless the source says two words in a row, or a long one, as
often.
"""

import argparse
import json
import random
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import tensorflow as tf
from machine import describe_machine
from own_text import Pairs, read_corpus

from nmt.data.counts import CorpusCounts
from nmt.text import repetition
from nmt.text.normalization import normalize
from nmt.text.repetition import NGRAM_RULES, NgramRule, RepetitionLimit, classes_of, find_word_classes, find_words
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.training.plan import choose_vocabulary
from nmt.utils.files import written_whole

SENTENCES = 15_000
SEED = 1
ONCE = {f"{size} subwords once": (NgramRule(size / 4, 2, True, 1),) for size in (4, 5, 6, 8)}
RULES = {"as they are": NGRAM_RULES} | ONCE


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("corpora", nargs="+", metavar="CORPUS")
    arguments = parser.parse_args()
    result = {
        "command": shlex.join(["python", "benchmarks/repetition_rules.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "tensorflow-text", "sentencepiece")},
        "corpora": {},
    }
    for corpus in arguments.corpora:
        name, _, folder = corpus.partition("=")
        result["corpora"][name] = found = count_breaks(read_corpus(name, Path(folder))["train"])
        print(name, json.dumps(found), flush=True)
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)


def count_breaks(pairs: Pairs) -> dict[str, int]:
    """Counts the pairs whose translation breaks each of the rules."""
    sides = [[normalize(text) for text in side] for side in zip(*pairs, strict=True)]
    letters = {character for side in sides for text in side for character in text}
    counts = CorpusCounts(len(pairs), len(pairs), tuple(sum(map(len, side)) for side in sides), len(letters), (), [])
    tokenizer = Tokenizer(train_tokenizer([*sides[0], *sides[1]], choose_vocabulary(counts), "bpe"))
    vocabulary = find_word_classes(tokenizer.pieces())
    drawn = random.Random(SEED).sample(list(zip(*sides, strict=True)), min(SENTENCES, len(pairs)))
    sources, targets = (tokenizer.encode(tf.constant(side)).to_list() for side in zip(*drawn, strict=True))
    found = {"sentences": len(drawn)} | dict.fromkeys(RULES, 0)
    for source, target in zip(sources, targets, strict=True):
        classes, words = classes_of(source, vocabulary), [word for word, _ in find_words(source, vocabulary)]
        said = [token for token in classes_of(target, vocabulary) if token > 0]
        for name, rules in RULES.items():
            with mock.patch.object(repetition, "NGRAM_RULES", rules):
                found[name] += RepetitionLimit(classes, words).is_exceeded(said)
    return found


if __name__ == "__main__":
    main()
