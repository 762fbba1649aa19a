"""What is put into a file is read from it again, whatever characters it has."""

import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nmt.data.formats.units import Languages, Unit
from nmt.documents.registry import document_format
from nmt.documents.translation import _write as write_edits

LANGUAGES = Languages("en", "de")
FILES = {
    "a.po": 'msgid "one"\nmsgstr ""\n',
    "a.tmx": "<tmx><tu><tuv xml:lang='en'><seg>one</seg></tuv></tu></tmx>",
    "a.xlf": "<xliff version='1.2'><file source-language='en' target-language='de'><body><trans-unit id='1'>"
    "<source>one</source></trans-unit></body></file></xliff>",
    "b.xliff": "<xliff version='2.0' srcLang='en' trgLang='de'><file><unit id='1'><segment><source>one</source>"
    "</segment></unit></file></xliff>",
    "a.ts": "<!DOCTYPE TS><TS language='de'><context><message><source>one</source>"
    "<translation type='unfinished'/></message></context></TS>",
    "a.csv": "en,de\none,\n",
    "a.json": '{"a": "one"}',
    "plain.yaml": "a: one\n",
    "single.yaml": "a: 'one'\n",
    "double.yaml": 'a: "one"\n',
    "flow.yaml": "{a: one, b: 1}\n",
    "literal.yaml": "a: |-\n  one\nb: 1\n",
    "folded.yaml": "a: >-\n  one\nb: 1\n",
    "strings.xml": "<resources><string name='a'>one</string></resources>",
    "cdata.xml": "<resources><string name='a'><![CDATA[one]]></string></resources>",
    "a.strings": '"a" = "one";\n',
    "a.properties": "a = one\n",
    "a.resx": "<root><data name='a'><value>one</value></data></root>",
    "a.stringsdict": "<plist><dict><key>a</key><dict><key>NSStringLocalizedFormatKey</key><string>one</string></dict>"
    "</dict></plist>",
    "a.html": "<p>one</p>",
}
TRICKY = st.text(st.sampled_from("ab '\"\\<>&;{}[]:#%@?!|*-,=~`$/_.é日😀\u00a0\n\t"), min_size=1, max_size=12)


def read(path):
    return [one for one in document_format(path).read(path, LANGUAGES) if isinstance(one, Unit)]


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(text=":;")  # no plain scalar between braces
@given(text=TRICKY.filter(lambda text: text.strip() == text))
def test_a_text_comes_back(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")
    if name in ("a.html", "folded.yaml"):
        text = " ".join(text.split(" ")).replace("\t", " ").replace("\n", " ")
        text = " ".join(text.split()) if name == "a.html" else text.strip()
        if not text.strip():
            return
    form = document_format(path)
    (unit,) = read(path)
    file = io.BytesIO()
    write_edits(form, path, unit.edits(text), file)
    path.write_bytes(file.getvalue())
    (again,) = read(path)
    assert (again.targets[0] if form.bilingual else again.source) == text
    if not form.bilingual:
        return
    assert again.source == "one"
