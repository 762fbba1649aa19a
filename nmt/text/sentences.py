"""Where sentences end in a text: the rules, and a splitter in plain Python.

A sentence ends with a full stop, question mark, exclamation mark or ellipsis, with closing quotes, brackets and emoji
after them, if white space follows and then what a sentence may begin with: a capital letter or a letter of a script
without capitals, a digit, a quote or bracket, a placeholder. It does not end after abbreviations, initials and, in
languages that write them so, ordinal numbers. The full stops of Chinese, Japanese and South Asian scripts end it
without white space too. Two line ends in a row always do. In doubt a text is not split.

`nmt.text.sentence_splitting` splits in the TensorFlow graph by the same rules. This module needs the standard library
only.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from nmt.text.boundaries import SPACELESS_SENTENCE_ENDS
from nmt.text.characters import category_class
from nmt.text.languages import base_language, separates_sentences
from nmt.text.normalization import EMOJI, INVISIBLE, SPACES, SPELLING
from nmt.text.placeholders import CUT, KINDS, REPLACEMENT, RESERVED, pattern

# All that follows is for both regular expression engines, Python's and RE2: the insides of classes first.
_DANDAS = "\u0964\u0965\u0e5a\u0e5b\u104b\u17d4\u17d5"  # of Indian scripts, Thai, Burmese and Khmer
_SPACELESS_ENDS = "".join(SPACELESS_SENTENCE_ENDS) + "\uff61" + _DANDAS
# Latin, Armenian, Arabic, Urdu, Ethiopic, Tibetan; doubled signs; full width.
_ENDS = f".!?…‥\u0589\u061f\u06d4\u1362\u1367\u0f0e\u203c\u2047-\u2049\uff0e{_SPACELESS_ENDS}"
_QUOTES = "\"'`«»‹›„“”‚‘’*_~"  # noqa: RUF001 (which of them opens and which closes depends on the language)
_CLOSING = _QUOTES + r")}\]」』】）］｝〉》〕"  # noqa: RUF001
_OPENING = _QUOTES + r"({\[「『【（［｛〈《〔¿¡"  # noqa: RUF001
_ALONE = "\"'`«‹„“‚‘({\\[「『【（［｛〈《〔¿¡–—-"  # noqa: RUF001 (with white space after them, as in French; dialogue)
# Those of scripts that need no white space after them, and the opening ones that show that another sentence follows.
_CLOSED, _OPENED = r"”’\"')}\]」』】）］｝〉》〕", "“‘「『【（［｛〈《〔"  # noqa: RUF001
_EMOJI = f"{EMOJI}\u2b50\u2b55"

# Abbreviations that a sentence does not end with, and after the semicolon those that stand before numbers alone.
_ABBREVIATIONS = {
    "": "approx ca cf dipl dr ing mr mrs ms prof vs; fig nr p pp vol",
    "cs": "č doc ing mgr mj např sv tj tzn tzv ul; čl obr odst s str tab",
    "da": "bl ca eks evt f fx inkl jf nr; kl s",
    "de": "bspw bzw ehem einschl evtl exkl fr frl geb gest gez ggf hl hr hrn inkl kath ev max med min mind mio mrd sog "
    "st tsd u usf v vgl zzgl; abb abs art aufl bd jan feb apr jun jul aug sept okt nov dez kap nrn str tab tel ziff",
    "en": "adm capt dept est esp gen gov hon lt ltd maj messrs mt pres rep rev sen sgt st viz; art ch col eq ex figs "
    "jan feb mar apr jun jul aug sep sept oct nov dec no nos para sec tab",
    "es": "av avda dña ej sr sra sres srta ud uds vd; art cap fig n núm págs pág tel",
    "fi": "esim ks ns; kpl s",
    "fr": "av bd boul env ex me mgr mlle mm mme pr ste st; art chap n no tél",
    "hi": "डॉ श्री; सं",
    "hu": "id ifj ill kb ld özv pl ún; kt sz",
    "it": "avv dott dr ecc es gent on sig sigg; art cap n num pag tel",
    "nb": "bl ca eks evt f fx inkl jf nr; kl s",
    "nl": "bijv bv drs dhr ir incl mevr mw nl o; art blz nr tel",
    "pl": "al gen hab im inż mgr np os pl płk śp św tj tzn tzw ul; art cz poz rozdz rys ryc s str tab ust",
    "pt": "av dra ex sr sra srs; art cap n núm pág tel",
    "ro": "dl dna ex str; art nr pag",
    "ru": "акад гр им напр обл проф см ср ул; гл рис стр табл ст",  # noqa: RUF001
    "sv": "bl ca ex inkl jfr kap resp t; kl nr s sid",
    "tr": "av bkz doç örn prof; no s",
    "uk": "акад вул див ім напр обл проф; рис стор табл ст",
}
_ABBREVIATIONS |= {"no": _ABBREVIATIONS["nb"], "nn": _ABBREVIATIONS["nb"], "sk": _ABBREVIATIONS["cs"]}
# Languages that write `1.` for `first`.
_WITH_ORDINALS = "bs cs da de et fi fo hr hu is lb lv mk nb nn no pl sk sl sr tr".split()  # noqa: SIM905


PLACEHOLDER, QUOTE = CUT, '"'


class SentenceRules(NamedTuple):
    """Regular expressions by which a text is cut into sentences.

    The text is cut into pieces by `separator`: placeholders, sentence ends that need no white space, white space. The
    next two match such pieces, the last ones white space or whole tokens, which are what is between white space. In
    tokens, `PLACEHOLDER` stands for each placeholder, `QUOTE` for tags, and `unseen` characters are left out.

    Attributes:
        separator: see above.
        space: white space.
        spaceless_end: a sentence end that needs no white space.
        no_placeholder: any other piece that is no placeholder either, but read as it is.
        tag: a placeholder that is read as a quote.
        unseen: characters that do not matter.
        paragraph: white space that always ends a sentence.
        end: a token that ends a sentence.
        no_end: one that nevertheless does not, such as an abbreviation.
        no_end_before_number: one that does not if a number follows.
        decoration: a token that goes with the sentence before it, such as an emoji.
        start: a token that may begin a sentence.
        number: one that begins with a digit.
        closed: a token after which, without white space, a sentence begins only with an opening quote.
        opening: a token that begins with such a quote.
        word: a token with a letter or a placeholder, without which there is no sentence.
    """

    separator: str
    space: str
    spaceless_end: str
    no_placeholder: str
    tag: str
    unseen: str
    paragraph: str
    end: str
    no_end: str
    no_end_before_number: str
    decoration: str
    start: str
    number: str
    closed: str
    opening: str
    word: str


@cache
def sentence_rules(language: str, kinds: tuple[str, ...] = ()) -> SentenceRules:
    """Returns the rules for texts of a language.

    Args:
        language: its code, which decides on abbreviations and ordinal numbers; any other has those that most share.
        kinds: the kinds of placeholders that are masked, within which no sentence ends.
    """
    base = base_language(language)
    lists = [_ABBREVIATIONS[key].split(";") for key in dict.fromkeys(("", base)) if key in _ABBREVIATIONS]
    names, names_before_numbers = (_forms(" ".join(parts)) for parts in zip(*lists, strict=True))
    cased = category_class("Lu", "Ll", "Lt")
    # An initial as in `J. R.` or `z. B.`, and several in one: `J.-P.`, `U.S.`, `Ph.D.`, `t.ex.`
    no_end = [*names, f"[{cased}]", f"[{cased}]{{1,2}}(?:\\.-?[{cased}]{{1,2}})+"]
    no_end += ["[0-9]{1,2}", "[IVX]+"] if base in _WITH_ORDINALS else []
    names_before_numbers += ["[A-Za-zäöüß]+str"] if base == "de" else []  # streets
    begin = f"{category_class('Lu', 'Lt', 'Lo', 'Nd')}$€£¥#@{PLACEHOLDER}"
    space, spaceless_end = f"[{SPACES}]+", f"[{_SPACELESS_ENDS}]+[{_CLOSED}{_EMOJI}]*"
    return SentenceRules(
        separator="|".join([*([pattern(kinds)] if kinds else []), spaceless_end, space]),
        space=space,
        spaceless_end=spaceless_end,
        no_placeholder=f"{spaceless_end}|[{_CLOSING}{_EMOJI}]*",
        tag=KINDS["tags"],
        unseen=f"[{INVISIBLE}{SPELLING}]+",
        paragraph="(?s).*(?:\n.*\n|\u2029).*",
        end=f"(?s).*[{_ENDS}][{_CLOSING}{_EMOJI}]*",
        no_end=f"[{_OPENING}]*(?:{'|'.join(no_end)})\\.",
        no_end_before_number=f"[{_OPENING}]*(?:{'|'.join(names_before_numbers)})\\.",
        decoration=f"[{_CLOSING}{_EMOJI}]*",
        start=f"(?s)[{_ALONE}]+|[{_OPENING}–—-]*[{begin}].*",  # noqa: RUF001
        number=f"(?s)[{_OPENING}]*[0-9].*",
        closed=f"(?s).*[{_CLOSED}]",
        opening=f"(?s)[{_OPENED}].*",
        word=f"(?s).*[{category_class('Lu', 'Ll', 'Lt', 'Lm', 'Lo')}{PLACEHOLDER}].*",
    )


def _forms(names: str) -> list[str]:
    """Abbreviations as they are, with a capital, and in capitals."""
    return [form for name in names.split() for form in dict.fromkeys((name, name.capitalize(), name.upper()))]


def split_sentences(text: str, language: str = "", kinds: Sequence[str] = ()) -> tuple[list[tuple[str, str]], str]:
    """Splits a text into its sentences.

    Args:
        text: any text. Reserved characters in it become U+FFFD, as `nmt.text.placeholders.mask` makes of them.
        language: see `sentence_rules`.
        kinds: see `sentence_rules`.

    Returns:
        The sentences, each with the white space before it, and the white space at the end of the text. Joined in order
        they are the text.

    Example:

    >>> split_sentences("Dr. No has 3.5 cats.  Who? ", "en")
    ([('', 'Dr. No has 3.5 cats.'), ('  ', 'Who?')], ' ')
    """
    rules = sentence_rules(language, tuple(kinds))
    sentences: list[tuple[str, str]] = []
    before, ended, has_word = "", False, False
    *tokens, (end, _, _) = _tokens(re.sub(RESERVED, REPLACEMENT, text), rules)
    for space, token, bare in tokens:
        paragraph = bool(re.fullmatch(rules.paragraph, space))
        begins = paragraph or (ended and _may_begin(before, space, bare, rules))
        if not sentences or paragraph or (begins and has_word):
            sentences.append((space, token))
        else:
            sentences[-1] = (sentences[-1][0], sentences[-1][1] + space + token)
        has_word = bool(re.fullmatch(rules.word, bare)) or (has_word and not begins)
        if not re.fullmatch(rules.decoration, bare):
            ended = bool(re.fullmatch(rules.end, bare)) and not re.fullmatch(rules.no_end, bare)
        before = bare
    return sentences, end


def space_between(space: str, language: str) -> str:
    """Returns the white space between two sentences of a translation.

    Args:
        space: the white space between the sentences of the source.
        language: code of the target language.

    Example:

    >>> space_between("", "en"), space_between(" ", "zh"), space_between("\\t", "zh")
    (' ', '', '\\t')
    """
    if not separates_sentences(language):
        return "" if space == " " else space
    return space or " "


def _may_begin(before: str, space: str, token: str, rules: SentenceRules) -> bool:
    """Returns whether a sentence may begin with a token, once the one before it has ended another."""
    if not re.fullmatch(rules.start, token):
        return False
    if not space and re.fullmatch(rules.closed, before):
        return bool(re.fullmatch(rules.opening, token))
    return not (re.fullmatch(rules.number, token) and re.fullmatch(rules.no_end_before_number, before))


def _tokens(text: str, rules: SentenceRules) -> Iterator[tuple[str, str, str]]:
    """Yields each token with the white space before it, and as the rules read it; at last what white space is left."""
    space = word = bare = last = ""
    for piece, is_separator in _pieces(text, rules.separator):
        is_space = bool(re.fullmatch(rules.space, piece))
        if word and (is_space or re.fullmatch(rules.spaceless_end, last)):
            yield space, word, bare
            space = word = bare = ""
        if is_space:
            space = piece
        else:
            word += piece
            seen = re.sub(rules.unseen, "", piece)
            if is_separator and not re.fullmatch(rules.no_placeholder, seen):
                seen = QUOTE if re.fullmatch(rules.tag, seen) else PLACEHOLDER
            bare += seen
        last = piece
    if word:
        yield space, word, bare
        space = ""
    yield space, "", ""


def _pieces(text: str, separator: str) -> Iterator[tuple[str, bool]]:
    """Yields what lies between separators, if anything, and each separator."""
    position = 0
    for match in re.finditer(separator, text):
        if match.start() > position:
            yield text[position : match.start()], False
        yield match[0], True
        position = match.end()
    if position < len(text):
        yield text[position:], False
