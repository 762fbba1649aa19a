"""Office documents: what is translated in an archive, and that all else in it stays."""

import zipfile

import pytest

from nmt.data.formats.units import Languages, Unit
from nmt.data.formats.xlsx import read_xlsx
from nmt.documents import translate_file
from nmt.documents.office import read_docx, read_odt
from nmt.utils.errors import UserError
from tests.documents.test_in_place import EN_DE, shout

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DOCX = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:document {W}><w:body>
<w:p><w:pPr><w:pStyle w:val="Title"/></w:pPr><w:r><w:t>A title</w:t></w:r></w:p>
<w:p><w:r><w:t xml:space="preserve">Some </w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>bo</w:t></w:r><w:r><w:rPr><w:b/>\
<w:lang w:val="en"/></w:rPr><w:t>ld</w:t></w:r><w:r><w:t xml:space="preserve"> text</w:t></w:r><w:r><w:br/></w:r>\
<w:hyperlink w:id="1"><w:r><w:t>a link</w:t></w:r></w:hyperlink><w:bookmarkEnd w:id="0"/></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
<w:p/><w:sectPr/></w:body></w:document>"""
ODT = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="o" xmlns:text="t"><office:body><office:text>
<text:h text:outline-level="1">A title</text:h>
<text:p>Some <text:span text:style-name="T1">bold</text:span> text<text:s text:c="2"/>here<text:note>\
<text:note-body><text:p>x</text:p></text:note-body></text:note>.</text:p>
</office:text></office:body></office:document-content>"""
SHEET = """<worksheet xmlns="s"><sheetData>
<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>\
<c r="D1" t="inlineStr"><is><t>note</t></is></c></row>
<row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2" s="3"/><c r="D2"><v>7</v></c></row>
<row r="3"><c r="A3" t="s"><v>3</v></c><c r="B3" t="s"><v>4</v></c></row>
<row r="4"><c r="A4" t="s"><v>2</v></c><c r="D4"><v>8</v></c></row>
<row r="5"><c r="A5" t="s"><v>2</v></c><c r="B5"><f>A5</f></c></row>
</sheetData></worksheet>"""
STRINGS = """<sst xmlns="s"><si><t>en</t></si><si><t>de</t></si>\
<si><r><t>Op</t></r><r><rPr/><t>en &amp; close</t></r></si>
<si><t>Done</t></si><si><t>Fertig</t></si></sst>"""
XLSX = {
    "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="One" r:id="a"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<R><Relationship Id="a" Target="worksheets/sheet1.xml"/></R>',
    "xl/sharedStrings.xml": STRINGS,
    "xl/worksheets/sheet1.xml": SHEET,
}


def archive(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, text in {"mimetype": "x", **members, "picture.png": "\x00\x01"}.items():
            compression = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            info = zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6))
            info.compress_type = compression
            file.writestr(info, text)
    return path


def translated(path):
    output = path.with_name(f"out-{path.name}")
    translate_file(shout, path, output, **EN_DE)
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(output) as after:
        assert [one.filename for one in before.infolist()] == [one.filename for one in after.infolist()]
        for old, new in zip(before.infolist(), after.infolist(), strict=True):
            assert (old.compress_type, old.date_time) == (new.compress_type, new.date_time)
        return {name: after.read(name).decode() for name in after.namelist() if before.read(name) != after.read(name)}


def texts(read, path):
    return [unit.source for unit in read(path, Languages("en", "de")) if isinstance(unit, Unit)]


def test_a_word_document(tmp_path):
    path = archive(tmp_path / "a.docx", {"word/document.xml": DOCX, "word/styles.xml": "<w/>"})
    assert texts(read_docx, path) == ["A title", "Some <g1>bold</g1> text<x2/><g3>a link</g3><x4/>", "Cell"]
    (written,) = translated(path).values()
    assert '<w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">BOLD</w:t></w:r>' in written
    assert '<w:r><w:br/></w:r><w:hyperlink w:id="1"><w:r><w:t xml:space="preserve">A LINK' in written
    assert '<w:pPr><w:pStyle w:val="Title"/></w:pPr><w:r><w:t xml:space="preserve">A TITLE</w:t>' in written
    assert written.endswith("<w:p/><w:sectPr/></w:body></w:document>")
    assert texts(read_docx, tmp_path / "out-a.docx")[1] == "SOME <g1>BOLD</g1> TEXT<x2/><g3>A LINK</g3><x4/>"


def test_breaks_and_fields_inside_a_word_document(tmp_path):
    runs = (
        "<w:r><w:t>Line</w:t><w:br/><w:t>break</w:t></w:r><w:r><w:fldChar w:fldCharType='begin'/></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:fldChar w:fldCharType='separate'/></w:r>"
        "<w:r><w:t>12</w:t></w:r>"
        "<w:r><w:fldChar w:fldCharType='end'/></w:r><w:r><w:t>end</w:t></w:r>"
    )
    path = archive(tmp_path / "a.docx", {"word/document.xml": f"<w:document {W}><w:p>{runs}</w:p></w:document>"})
    assert texts(read_docx, path) == ["Line<x1/>break<x2/>end"]
    (written,) = translated(path).values()
    assert '<w:t xml:space="preserve">LINE</w:t></w:r><w:r><w:br/></w:r><w:r>' in written
    assert runs[runs.index("<w:r><w:fldChar") : runs.index("<w:r><w:t>end")] in written


def test_an_open_document(tmp_path):
    path = archive(tmp_path / "a.odt", {"content.xml": ODT})
    assert texts(read_odt, path) == ["A title", "Some <g1>bold</g1> text<x2/>here<x3/>."]
    (written,) = translated(path).values()
    assert 'SOME <text:span text:style-name="T1">BOLD</text:span> TEXT<text:s text:c="2"/>HERE<text:note>' in written


def test_a_spreadsheet(tmp_path):
    path = archive(tmp_path / "a.xlsx", XLSX)
    units = [unit for unit in read_xlsx(path, Languages("en", "de")) if isinstance(unit, Unit)]
    assert [(unit.id, unit.source, unit.targets) for unit in units][:2] == [
        ("One 2", "Open & close", ()),
        ("One 3", "Done", ("Fertig",)),
    ]
    changed = translated(path)
    assert list(changed) == ["xl/worksheets/sheet1.xml"]
    written = changed["xl/worksheets/sheet1.xml"]
    cell = '<c r="B2" s="3" t="inlineStr"><is><t xml:space="preserve">OPEN &amp; CLOSE</t></is></c><c r="D2">'
    assert cell in written
    assert '<c r="B4" t="inlineStr"><is><t xml:space="preserve">OPEN &amp; CLOSE</t></is></c><c r="D4">' in written
    assert "<f>A5</f>" in written
    again = [unit for unit in read_xlsx(tmp_path / "out-a.xlsx", Languages("en", "de")) if isinstance(unit, Unit)]
    assert [unit.targets for unit in again] == [("OPEN & CLOSE",), ("Fertig",), ("OPEN & CLOSE",), ()]


def test_a_spreadsheet_without_columns_of_both_languages(tmp_path):
    path = archive(tmp_path / "a.xlsx", {**XLSX, "xl/sharedStrings.xml": STRINGS.replace("<t>de</t>", "<t>fr</t>")})
    with pytest.raises(UserError, match="One: expected a first row that names the columns"):
        texts(read_xlsx, path)
