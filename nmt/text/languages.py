"""What is known of languages by their codes: one name for each, and which are written without spaces."""

import functools
import re

# ISO 639: a language's code of two letters, and its codes of three letters where it has such a short one.
_CODES = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis
bm:bam bn:ben bo:bod:tib br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces:cze cu:chu cv:chv cy:cym:wel
da:dan de:deu:ger dv:div dz:dzo ee:ewe el:ell:gre en:eng eo:epo es:spa et:est eu:eus:baq fa:fas:per ff:ful
fi:fin fj:fij fo:fao fr:fra:fre fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo
hr:hrv ht:hat hu:hun hy:hye:arm hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl:ice it:ita iu:iku
ja:jpn jv:jav ka:kat:geo kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom
kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri:mao
mk:mkd:mac ml:mal mn:mon mr:mar ms:msa:may mt:mlt my:mya:bur na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld:dut
nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que
rm:roh rn:run ro:ron:rum ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk:slo sl:slv
sm:smo sn:sna so:som sq:sqi:alb sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir
tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol
wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho:chi:cmn zu:zul
"""
_TWO_LETTERS = {long: short for entry in _CODES.split() for short, *longs in [entry.split(":")] for long in longs}

# Written without spaces between words: Chinese in all its varieties that are written in characters alone (Cantonese
# yue, Wu wuu, Gan gan, Hakka hak, Xiang hsn, Classical lzh), Japanese, Thai, Lao, Khmer, Burmese and its neighbours
# Shan and Mon, Tibetan and Dzongkha.
CHINESE = frozenset({"zh", "yue", "wuu", "gan", "hak", "hsn", "lzh"})
_SPACELESS = CHINESE | {"ja", "th", "lo", "km", "my", "shn", "mnw", "bo", "dz"}


# Names of the languages by which something is decided here; any other language is treated as its name is.
_NAMES = {
    "chinese": "zh", "mandarin": "zh", "cantonese": "yue", "hakka": "hak", "japanese": "ja", "thai": "th",
    "laotian": "lo", "khmer": "km", "cambodian": "km", "burmese": "my", "myanmar": "my", "shan": "shn",
    "tibetan": "bo", "dzongkha": "dz", "korean": "ko",
    "cn": "zh", "jp": "ja",  # countries, often taken for codes; no language has them
}  # fmt: skip


def base_language(code: str) -> str:
    """Returns the language of a code, without script and region, by its shortest ISO 639 code.

    Args:
        code: a code such as `de`, `deu`, `zh-Hans`, `pt_BR` or `ja_JP.UTF-8`, in upper or lower case; for a language
            written without spaces, also its English name, such as `Simplified Chinese`.

    Returns:
        The code of two letters if the language has one, else the first part of `code` in lower case.

    Example:

    >>> [base_language(code) for code in ("zh-Hans", "PT_br", "jpn", "yue", "Thai", "")]
    ['zh', 'pt', 'ja', 'yue', 'th', '']
    """
    parts = re.split(r"[^\w]+|_", code.strip().lower())
    named = [_NAMES[part] for part in parts if part in _NAMES]
    return named[0] if named else _TWO_LETTERS.get(parts[0], parts[0])


@functools.lru_cache(maxsize=1024)  # a memory names its languages in each of its units
def serves(code: str, wanted: str) -> int:
    """Returns how well text in one language serves where another is wanted, by the subtags of BCP 47.

    A language without its region serves where the region is wanted, and the other way round, but not another region's,
    nor another script's. Where a Chinese code names no script, its region does.

    Args:
        code: the code that the text has, such as `de-DE` or `zh_TW`.
        wanted: the code that is wanted.

    Returns:
        int: 0 if it does not serve, else the higher the better; 4 for the same code.

    Example:

    >>> [serves(code, "de") for code in ("DE", "de-DE", "de_AT.UTF-8", "en")]
    [4, 2, 2, 0]
    >>> serves("pt-PT", "pt-BR"), serves("pt", "pt-BR"), serves("zh-TW", "zh-Hans"), serves("zh-TW", "zh-Hant")
    (0, 3, 0, 2)
    """
    (base, script, region), (wanted_base, wanted_script, wanted_region) = _subtags(code), _subtags(wanted)
    if not base or base != wanted_base or (script and wanted_script and script != wanted_script):
        return 0
    if region and wanted_region and region != wanted_region:
        return 0
    if (script, region) == (wanted_script, wanted_region):
        return 4
    return 3 if (script in ("", wanted_script)) and region in ("", wanted_region) else 2


def _subtags(code: str) -> tuple[str, str, str]:
    """Language, script and region of a code; scripts by which Chinese is written are found by its region."""
    bare = re.split(r"[.@]", code.strip())[0]
    parts = [part for part in re.split(r"[-_\s]+", bare) if part]
    base = base_language(code)
    scripts = [part.title() for part in parts[1:] if len(part) == 4 and part.isalpha()]
    regions = [part.upper() for part in parts[1:] if re.fullmatch("[A-Za-z]{2}|[0-9]{3}|r[A-Z]{2}", part)]
    region = regions[0][-2:] if regions and regions[0].isalpha() else "".join(regions[:1])
    script = scripts[0] if scripts else ""
    if base == "zh" and not script:
        script = {"TW": "Hant", "HK": "Hant", "MO": "Hant", "CN": "Hans", "SG": "Hans"}.get(region, "")
    return base, script, region


def is_language(code: str) -> bool:
    """Returns whether a word is the ISO 639 code of a language, or an English name that is known here.

    Args:
        code: a word, such as a part of a file's name; a script or region may follow the language.

    Example:

    >>> [word for word in ("en", "zh-Hans", "pt_BR", "japanese", "train", "gz") if is_language(word)]
    ['en', 'zh-Hans', 'pt_BR', 'japanese']
    """
    base = base_language(code)
    return base in _TWO_LETTERS.values() or base in _SPACELESS


def has_spaces(code: str) -> bool:
    """Returns whether a language is written with spaces between words.

    Args:
        code: as for `base_language`. A language that is not known is taken to have spaces.

    Example:

    >>> has_spaces("en-GB"), has_spaces("zh-Hans"), has_spaces("tha")
    (True, False, False)
    """
    return base_language(code) not in _SPACELESS


def separates_sentences(code: str) -> bool:
    """Returns whether a language is written with spaces between sentences, as most are that have none between words.

    Args:
        code: as for `base_language`.

    Example:

    >>> separates_sentences("th"), separates_sentences("zh-Hant"), separates_sentences("ja")
    (True, False, False)
    """
    return base_language(code) not in CHINESE | {"ja"}
