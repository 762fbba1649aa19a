"""Small files of every format, with the texts in them."""

from collections.abc import Mapping

PO = """\
# Translators: nobody
msgid ""
msgstr ""
"Project-Id-Version: x\\n"
"Language: de\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#. a comment
#: src/a.c:1
#, c-format
msgid "Open %s"
msgstr ""

#: src/a.c:2
msgid "Done"
msgstr "Fertig"

msgctxt "menu"
msgid "&File"
msgstr ""

#, c-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

#, fuzzy
#| msgid "Olde"
msgid "Old"
msgstr "Alt"

msgid ""
"A long text that is wrapped by the programs of gettext, which break lines "
"after spaces.\\n"
msgstr ""

#~ msgid "Gone"
#~ msgstr "Weg"
"""
TMX = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header creationtool="x" creationtoolversion="1" segtype="sentence" o-tmf="x" adminlang="en"
 srclang="en-US" datatype="plaintext"/>
<body>
  <tu tuid="1">
    <tuv xml:lang="en-US"><seg>Press <bpt i="1">&lt;b&gt;</bpt>Enter<ept i="1">&lt;/b&gt;</ept> &amp; wait.</seg></tuv>
    <tuv xml:lang="de-DE"><seg><bpt i="1">&lt;b&gt;</bpt>Enter<ept i="1">&lt;/b&gt;</ept> &amp; warten.</seg></tuv>
  </tu>
  <!-- nothing yet -->
  <tu tuid="2">
    <tuv xml:lang="en"><seg>New <ph x="1">{0}</ph> line</seg></tuv>
  </tu>
</body></tmx>
"""
XLIFF = """\
<?xml version='1.0' encoding='UTF-8'?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
 <file original="a" source-language="en" datatype="plaintext">
  <body>
   <trans-unit id="a"><source>Press <g id="1">here</g><x id="2"/>.</source></trans-unit>
   <trans-unit id="b" approved="yes">
    <source>Done</source>
    <target state="final">Fertig</target>
   </trans-unit>
   <trans-unit id="c" translate="no"><source>Linux</source></trans-unit>
   <trans-unit id="d"><source>Empty</source><target/></trans-unit>
  </body>
 </file>
</xliff>
"""
XLIFF_2 = """\
<?xml version="1.0"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="de">
 <file id="f"><unit id="u">
  <segment id="s1"><source>One <pc id="1">two</pc> <ph id="2"/></source></segment>
  <segment id="s2" state="final"><source>Done</source><target>Fertig</target></segment>
 </unit></file>
</xliff>
"""
JSON = """\
{
  "menu": {"open": "Open", "items": ["One", "Two", 3, null]},
  "escaped": "A \\"quote\\"\\n\\tand \\u00e9",
  "count": "{n, plural, one {# file} other {# files}}",
  "files_one": "{{count}} file", "files_other": "{{count}} files"
}"""
YAML = """\
# comment
en:
  title: Hello   # a comment
  quoted: 'It''s here'
  double: "A \\"b\\""
  block: |
    First line
    Second line
  no: "yes"
  number: 12
  list:
    - One
    - *x
  anchored: &x Anchored text
""".replace("    - *x\n", "")
ANDROID = """\
<?xml version="1.0" encoding="utf-8"?>
<resources xmlns:xliff="urn:oasis:names:tc:xliff:document:1.2">
    <!-- comment -->
    <string name="a">It\\'s <b>bold</b> &amp; new</string>
    <string name="b" translatable="false">keep</string>
    <string name="c"><![CDATA[<p>Text</p>]]></string>
    <string name="d">Hi <xliff:g id="n" example="Jo">%1$s</xliff:g>!</string>
    <plurals name="n">
        <item quantity="one">%d file</item>
        <item quantity="other">%d files</item>
    </plurals>
    <string-array name="l"><item>One</item><item>Two</item></string-array>
</resources>
"""
STRINGS = '/* A comment */\n"key one" = "It is \\"here\\"\\n";\n\n// another\nbare.key = "Plain %@";\n'
STRINGSDICT = """\
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
    <key>files</key>
    <dict>
        <key>NSStringLocalizedFormatKey</key>
        <string>%#@n@</string>
        <key>n</key>
        <dict>
            <key>NSStringFormatSpecTypeKey</key>
            <string>NSStringPluralRuleType</string>
            <key>NSStringFormatValueTypeKey</key>
            <string>d</string>
            <key>one</key>
            <string>%d file</string>
            <key>other</key>
            <string>%d files</string>
        </dict>
    </dict>
</dict></plist>
"""
PROPERTIES = """\
# comment
! another
key = Value with \\u00e9
long.key: first \\
    second
message=It''s {0}
empty=
"""
RESX = """\
<?xml version="1.0" encoding="utf-8"?>
<root>
  <resheader name="version"><value>2.0</value></resheader>
  <data name="Hello" xml:space="preserve"><value>Hello &lt;you&gt;</value><comment>greeting</comment></data>
  <data name="Size" type="System.Drawing.Size"><value>1, 2</value></data>
</root>
"""
TS = """\
<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de_DE">
<context>
    <name>Window</name>
    <message>
        <source>&amp;Open</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Done</source>
        <translation>Fertig</translation>
    </message>
    <message numerus="yes">
        <source>%n file(s)</source>
        <translation type="unfinished"><numerusform></numerusform><numerusform></numerusform></translation>
    </message>
    <message>
        <source>Old</source>
        <translation type="vanished">Alt</translation>
    </message>
</context>
</TS>
"""
CSV = 'key,en,de,note\na,Open,,"x, y"\nb,"A ""quote"", here",,\nc,Done,Fertig,\n'
SRT = """\
1
00:00:01,000 --> 00:00:02,000
Hello there,
<i>my friend</i>.

2
00:00:03,000 --> 00:00:04,000
- Who?
- Me.
"""
HTML = """\
<!DOCTYPE html>
<html lang="en"><head><title>My page</title><style>p { color: red }</style></head>
<body><!-- comment -->
<p class=a>Some <b>bold</b> text &amp; a
   <a href="x.html" title="A link">link</a>.</p>
<ul><li>One<li>Two</ul>
<pre>code stays</pre><script>var x = "<p>no</p>";</script>
</body></html>
"""
MARKDOWN = """\
---
title: x
---
# A heading

A paragraph that is **bold** and `code`,
with a [link](https://example.org/a_b) in it.

* One
* Two

```
code stays
```

| a | b |
|---|---|
| One | Two |
"""
SAMPLES: Mapping[str, str] = {
    "a.po": PO, "a.tmx": TMX, "a.xlf": XLIFF, "b.xliff": XLIFF_2, "a.json": JSON, "a.yaml": YAML,
    "strings.xml": ANDROID, "a.strings": STRINGS, "a.stringsdict": STRINGSDICT, "a.properties": PROPERTIES,
    "a.resx": RESX, "a.ts": TS, "a.csv": CSV, "a.srt": SRT, "a.html": HTML, "a.md": MARKDOWN,
}  # fmt: skip
