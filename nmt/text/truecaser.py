"""Truecasing (Lita et al. 2003): a sentence in an unusual case is written as the training text would write it.

A model that has seen few sentences in capitals, in small letters or in Title Case splits their words into pieces that
it hardly knows, and translates them badly. So in a sentence whose form is rare in the training text, each word gets the
case that it has there most often, and the sentence begins with a capital, before it is translated. Other sentences stay
as they are. `nmt.text.graph_truecaser` does the same in the TensorFlow graph. This module needs the standard library
only.
"""

# ruff: noqa: RUF001 (quotation marks)

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

from nmt.text.capitals import has_first_capitals, is_in_capitals, lower, small_letters, upper
from nmt.text.characters import category_class

# A form is unusual where truecasing changes fewer of the training sentences: natural ones have to stay as they are,
# which matters for short ones, such as the names of menus.
_RARE = 0.02
_TITLE, _LONGEST = 2, 8  # words of the shortest title, and the largest limit that is tried
_WORDS = 50_000  # known words, the most frequent ones, so that the files of runs and exports stay small

# In a marked text; normalised ones have no control characters.
CUT = "\x01"  # before and after each word
START = "\x02"  # where a sentence begins

_LETTERS = ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd")
_OPENING, _CLOSING = "\"'“„«‘(¿¡*\\[", "\"'”»’)*\\]"
_JOINING = "'’_.#@"  # between letters: in an elision, a name such as `file_name.txt`, an address


@cache
def marks() -> tuple[tuple[str, str], ...]:
    """Returns the regular expressions that find where sentences and words begin, each with its replacement.

    A sentence begins with the text, and after a stop that follows two letters, as no initial's does, or a bracket, a
    quote or a placeholder.
    """
    letters = category_class(*_LETTERS)
    letter, before_stop = f"[{letters}]", f"(?:[{letters}]{{2}}|[^{letters} .!?…])"
    return (
        (f"^([{_OPENING}]*)", rf"\1{START}"),
        (f"({before_stop}[.!?…]+[{_CLOSING}]* [{_OPENING}]*)", rf"\1{START}"),
        (f"({START}?{letter}+(?:[{_JOINING}]{letter}+)*)", rf"{CUT}\1{CUT}"),
    )


@cache
def any_case() -> str:
    """Returns the regular expression that matches a letter that has case."""
    return f"[{category_class('Ll', 'Lu', 'Lt')}]"


@cache
def capital() -> str:
    """Returns the regular expression that matches a capital."""
    return f"[{category_class('Lu', 'Lt')}]"


@cache
def small_start() -> str:
    """Returns the regular expression of the beginning of a word of four or more characters that begins small."""
    return f"{small_letters()}[^ ]{{3}}"


@cache
def title_start() -> str:
    """Returns the regular expression of the beginning of a word with a capital, perhaps after a quote or bracket."""
    return f"[^{any_case()[1:-1]} ]*{capital()}"


class Truecaser:
    """Writes texts in an unusual case as the training text would write them.

    Texts in capitals are always unusual; see `nmt.text.capitals.is_in_capitals`.

    Args:
        words: the words of the training text, or the most frequent ones, in the case that each has most often.
        fewest_small: int or None, a text without a capital is unusual if it has as many words or more whose letters
            have case; None if it is not.
        fewest_titles: int or None, a text whose words all begin with a capital, apart from those of up to three
            letters, is unusual if as many do or more; None if it is not.
        language: str, the code of the texts' language.
        exceptions: texts that stay as they are, such as those that the training text has in an unusual case.

    Example:

    >>> truecaser = Truecaser(["the", "USB", "port", "of"], fewest_small=2, fewest_titles=3, language="en")
    >>> [truecaser.restore(text) for text in ("THE USB PORT", "the usb port", "The Usb Port of Ada", "A Port")]
    ['The USB port', 'The USB port', 'The USB port of Ada', 'A Port']
    """

    def __init__(
        self,
        words: Iterable[str] = (),
        fewest_small: int | None = None,
        fewest_titles: int | None = None,
        language: str = "",
        exceptions: Iterable[str] = (),
    ) -> None:
        self.fewest_small = fewest_small
        self.fewest_titles = fewest_titles
        self.language = language
        self.exceptions = set(exceptions)
        self._usual = {lower(word, language): word for word in words}
        self.words = list(self._usual.values())

    def restore(self, text: str) -> str:
        """Returns a text as the training text would write it.

        Args:
            text: a sentence, normalised; see `nmt.text.normalization.normalize`.
        """
        title = self.fewest_titles is not None and count_titled(text) >= self.fewest_titles
        small = self.fewest_small is not None and count_small(text) >= self.fewest_small
        if not (title or small or is_in_capitals(text)) or text in self.exceptions:
            return text
        return "".join(self._restored(word, title) for word in _marked(text).split(CUT)).replace(START, "")

    def _restored(self, word: str, title: bool) -> str:
        """A word, or what is between two. Unknown words of a title may be names, and keep their capital."""
        bare = word.removeprefix(START)
        small = lower(bare, self.language)
        usual = self._usual.get(small, bare if title else small)
        if word != bare and usual == small and has_first_capitals(self.language):
            return upper(usual[:1], self.language) + usual[1:]
        return usual

    def to_json(self) -> dict[str, Any]:
        """Returns what it knows as plain values, for `from_json`."""
        return {
            "fewest_small": self.fewest_small,
            "fewest_titles": self.fewest_titles,
            "words": self.words,
            "exceptions": sorted(self.exceptions),
        }

    @classmethod
    def from_json(cls, values: Any, language: str) -> "Truecaser":
        """Makes a truecaser of what `to_json` has returned.

        Raises:
            ValueError: if the values are others.
        """
        if not isinstance(values, dict) or values.keys() != cls().to_json().keys():
            raise ValueError("expected the values of a truecaser")
        for name in ("words", "exceptions"):
            texts = values[name]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name}: expected a list of strings")
        fewest = values["fewest_small"], values["fewest_titles"]
        if not all(one is None or (type(one) is int and 0 < one <= _LONGEST) for one in fewest):
            raise ValueError(f"fewest_small and fewest_titles: expected null, or integers from 1 to {_LONGEST}")
        return cls(values["words"], *fewest, language, values["exceptions"])


def train_truecaser(sentences: Iterable[str], language: str = "") -> Truecaser:
    """Counts how a text writes its words, and which sentences are unusual in it.

    Args:
        sentences: the training text, normalised.
        language: its code.

    Example:

    >>> truecaser = train_truecaser(["Plug it into the USB port.", "Is the port free?"] * 200, "en")
    >>> truecaser.restore("plug it into the usb port. ok?")
    'Plug it into the USB port. Ok?'
    """
    counts: dict[str, Counter[str]] = {}
    cased: Counter[int] = Counter()
    small, titles = [], []
    for sentence in sentences:
        number, titled = count_cased(sentence), count_titled(sentence)
        cased[number] += 1
        if titled >= _TITLE:
            titles.append((titled, sentence))
        elif count_small(sentence):
            small.append((number, sentence))
        if 2 * titled <= number and not is_in_capitals(sentence):  # else words have their case by the sentence's form
            for word in _marked(sentence).split(CUT)[1::2]:
                if not word.startswith(START):
                    counts.setdefault(lower(word, language), Counter())[word] += 1
    frequent = sorted(counts, key=lambda word: (-counts[word].total(), word))[:_WORDS]
    words = [max(counts[word], key=lambda form: (counts[word][form], form)) for word in frequent]
    truecaser = Truecaser(words, 1, _TITLE, language)
    limits: list[int | None] = []
    exceptions: list[str] = []
    for least, form in ((1, small), (_TITLE, titles)):
        changed = [(number, sentence) for number, sentence in form if truecaser.restore(sentence) != sentence]
        fewest = _rare_from(least, Counter(number for number, _ in changed), cased)
        limits.append(fewest)
        exceptions += [sentence for number, sentence in changed if fewest is not None and number >= fewest]
    fewest_small, fewest_titles = limits
    return Truecaser(words, fewest_small, fewest_titles, language, exceptions)


def _rare_from(least: int, changed: Counter[int], cased: Counter[int]) -> int | None:
    """From how many words on few of all sentences would be changed; None if always many."""
    for words in range(least, _LONGEST + 1):
        have, sentences = (sum(n for number, n in counts.items() if number >= words) for counts in (changed, cased))
        if have + 1 < _RARE * (sentences + 1):  # as if one more had it: few sentences say little
            return words
    return None


def _marked(text: str) -> str:
    for expression, replacement in marks():
        text = re.sub(expression, replacement, text)
    return text


def count_cased(text: str) -> int:
    """Counts the words that have letters with case.

    Args:
        text: a sentence whose words single spaces separate, as in the functions that follow.
    """
    cased = re.compile(any_case())
    return sum(bool(cased.search(word)) for word in text.split(" "))


def count_small(text: str) -> int:
    """Counts the words of a text without a capital that have letters with case; 0 if it has a capital.

    Example:

    >>> count_small("a red hat, 3 times"), count_small("a red Hat")
    (4, 0)
    """
    return 0 if re.search(capital(), text) else count_cased(text)


def count_titled(text: str) -> int:
    """Counts the words of a title that begin with a capital.

    A title has small letters, but no word of four or more characters begins with one.

    Returns:
        0 if it is no title.

    Example:

    >>> count_titled("Gone with the Wind"), count_titled("Lord of the Rings"), count_titled("HTML")
    (0, 2, 0)
    """
    words = text.split(" ")
    if any(re.match(small_start(), word) for word in words) or not re.search(small_letters(), text):
        return 0
    return sum(bool(re.match(title_start(), word)) for word in words)
