import gzip
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config import DataSettings
from nmt.data import readers
from nmt.data.raw_pair import RawPair
from nmt.data.readers import read_split
from nmt.utils.errors import UserError


def settings(corpus, source="en", target="de"):
    return DataSettings(source_language=source, target_language=target, corpus=corpus)


def text_corpus(source, target):
    return settings({"kind": "text", "train": {"source": source, "target": target}})


def tfds_corpus(name, source, target, **more):
    return settings({"kind": "tfds", "name": name, **more}, source, target)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def complaint(data, split="train") -> str:
    with pytest.raises(UserError) as caught:
        list(read_split(data, split))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_text_files_are_read_side_by_side_one_after_the_other(tmp_path):
    sources = [write(tmp_path / "a.en", b"one\ntwo\n"), write(tmp_path / "b.en.gz", b"three")]
    targets = [write(tmp_path / "a.de.gz", b"eins\nzwei\n"), write(tmp_path / "b.de", b"drei\n")]
    assert list(read_split(text_corpus(sources, targets), "train")) == [
        RawPair(b"one", b"eins", f"{sources[0]}:1"),
        RawPair(b"two", b"zwei", f"{sources[0]}:2"),
        RawPair(b"three", b"drei", f"{sources[1]}:1"),
    ]


@given(lines=st.lists(st.binary().map(lambda line: b"x" + line.replace(b"\n", b"") + b"."), max_size=20))
def test_any_bytes_come_through(lines, tmp_path_factory):
    lines = ["Gr\u00fc\u00dfe".encode(), *lines]  # a file of UTF-8, so that the others are damaged lines of it
    path = write(tmp_path_factory.mktemp("lines") / "all.en", b"".join(line + b"\n" for line in lines))
    assert [pair.source for pair in read_split(text_corpus([path], [path]), "train")] == lines


def test_only_a_line_feed_ends_a_line(tmp_path):
    strange = "a\u2028b\u0085c\x0bd\x0ce\rf\x1cg".encode()
    source = write(tmp_path / "s", b"\xef\xbb\xbf" + strange + b"\r\n\xef\xbb\xbfz\r\n")
    target = write(tmp_path / "t", b"\xff\xff\n\n")
    assert [pair[:2] for pair in read_split(text_corpus([source], [target]), "train")] == [
        (strange, b"\xff\xff"),
        (b"\xef\xbb\xbfz", b""),
    ]


def test_a_split_that_is_not_configured_is_none(tmp_path):
    path = write(tmp_path / "x", b"")
    assert read_split(text_corpus([path], [path]), "validation") is None
    assert read_split(settings({"kind": "tsv", "train": [path]}), "test") is None
    assert read_split(tfds_corpus("ted_hrlr_translate/pt_to_en", "pt", "en"), "test") is None
    assert list(read_split(text_corpus([path], [path]), "train")) == []


@pytest.mark.parametrize(("left", "right", "counts"), [(5, 2, (5, 2)), (1, 4, (1, 4)), (0, 1, (0, 1))])
def test_files_of_unequal_length_are_named_with_both_counts(tmp_path, left, right, counts):
    source, target = write(tmp_path / "a.en", b"x\n" * left), write(tmp_path / "a.de.gz", b"y\n" * right)
    message = complaint(text_corpus([source], [target]))
    assert f"{source} has {counts[0]} lines, {target} has {counts[1]}" in message


def test_files_that_cannot_be_read_are_named(tmp_path):
    good = write(tmp_path / "good", b"x\n")
    assert complaint(text_corpus([good], [tmp_path / "gone"])) == f"{tmp_path / 'gone'}: no such file"
    assert complaint(text_corpus([tmp_path], [good])) == f"{tmp_path}: is a folder, expected a file"
    with pytest.raises(UserError, match="no such file"):  # before anything is read
        read_split(settings({"kind": "tsv", "train": [good, tmp_path / "gone"]}), "train")


def test_damaged_gzip_names_file_and_line(tmp_path):
    packed = gzip.compress(b"".join(b"line %d\n" % number for number in range(100_000)))
    cut, false = tmp_path / "cut.gz", tmp_path / "false.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    false.write_bytes(b"not packed at all\n")
    assert f"{false}:1: the gzip data is damaged or cut off" in complaint(text_corpus([false], [false]))
    name, line, _ = complaint(text_corpus([cut], [cut])).split(":", 2)
    assert name == str(cut)
    assert 10_000 < int(line) < 100_000
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    cut.write_bytes(bytes(broken))
    assert complaint(text_corpus([cut], [cut])).startswith(f"{cut}:")


def test_tab_separated_files(tmp_path):
    path = write(tmp_path / "pairs.tsv", b"one\teins\tnote\tmore\r\n\t\t\t\n\xff\tzwei\t\t\n")
    assert list(read_split(settings({"kind": "tsv", "train": [path]}), "train")) == [
        RawPair(b"one", b"eins", f"{path}:1"),
        RawPair(b"", b"", f"{path}:2"),
        RawPair(b"\xff", b"zwei", f"{path}:3"),
    ]


def test_a_line_without_a_tab_is_named(tmp_path):
    path = write(tmp_path / "pairs.tsv", b"one\teins\ntwo zwei\n")
    assert complaint(settings({"kind": "tsv", "train": [path]})).startswith(f"{path}:2: ")


def table(tmp_path, content, source="en", target="de"):
    return settings({"kind": "tsv", "train": [write(tmp_path / "pairs.tsv", content)]}, source, target)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\nc\td\te\nf\tg\nh\ti\tj\n", r"pairs.tsv:2: expected 2 columns, .* got 3 \(lines like it: 2\): a tab"),
        (b"a\tb\tx\nc\td\n", r"pairs.tsv:2: expected 3 columns, .* got 2 \(lines like it: 1\)"),
        (b'a\tb\nc\t"he said ""no"""\n', r"pairs.tsv:2: expected text without the quotes of CSV"),
        (b'"a"\t"b"\n' * 12, r"pairs.tsv:1: expected text without the quotes of CSV"),
        (b"".join(b"%d\tone\teins\n" % n for n in range(12)), r"pairs.tsv:1: .* the first column has numbers"),
        (b"de\ten\neins\tone\n", r"pairs.tsv:1: the columns are de and en, expected en and de: exchange"),
        (b"German\tEnglish\neins\tone\n", r"pairs.tsv:1: the columns are german and english, expected en and de"),
        (b"target\tsource\neins\tone\n", r"pairs.tsv:1: the columns are target and source"),
    ],
)
def test_tables_of_another_kind_are_refused_with_their_line(tmp_path, content, message):
    assert re.search(message, complaint(table(tmp_path, content)))


@pytest.mark.parametrize(
    "header", ["source\ttarget", "en\tde", "English\tGerman", "eng\tdeu", "src\ttranslation", "EN-US\tDE"]
)
def test_headers_are_left_out_with_a_word(tmp_path, header, caplog):
    caplog.set_level(logging.INFO, "nmt")
    data = table(tmp_path, f"{header}\none\teins\n".encode())
    assert [pair[:2] for pair in read_split(data, "train")] == [(b"one", b"eins")]
    names = ", ".join(header.split("\t"))
    assert caplog.messages == [f"{tmp_path / 'pairs.tsv'}:1: left out, as a header: {names}"]


def test_a_header_may_have_bytes_that_are_not_utf_8(tmp_path):
    data = table(tmp_path, b"en\tde-\xff\none\teins\n")
    assert [pair[:2] for pair in read_split(data, "train")] == [(b"one", b"eins")]


@pytest.mark.parametrize(
    "row",
    ['"Yes."\t"Ja."', '"No," he said.\t"Nein", sagte er.', "en\tnach", "text\tein Text", "12\tzw\u00f6lf", '"\t""'],
)
def test_text_is_no_header_and_no_csv(tmp_path, row):
    data = table(tmp_path, f"{row}\none\teins\n".encode())
    assert [pair[:2] for pair in read_split(data, "train")] == [tuple(row.encode().split(b"\t")), (b"one", b"eins")]


cells = st.text(st.characters(exclude_characters="\t\n\r\x00", codec="utf-8"), min_size=1, max_size=6).map(
    lambda cell: "x" + cell
)


@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1), columns=st.integers(2, 3))
def test_tables_come_through(tmp_path_factory, rows, columns):
    content = "".join("\t".join(row[:columns]) + "\n" for row in rows).encode()
    data = table(tmp_path_factory.mktemp("table"), content)
    assert [pair[:2] for pair in read_split(data, "train")] == [(a.encode(), b.encode()) for a, b, _ in rows]


def test_reading_text_does_not_load_tensorflow(tmp_path):
    import subprocess
    import sys

    code = "import sys, nmt.data.readers, nmt.data.cleaning; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("ted_hrlr_translate/pt_to_en", "pt", "en"),
        ("wmt14_translate/de-en", "en", "de"),
        ("para_crawl/ende", "en", "de"),
        ("opus/medical", "de", "en"),
    ],
)
def test_public_translation_datasets(tmp_path, name, source, target):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=3):
        pairs = list(read_split(tfds_corpus(name, source, target, folder=tmp_path, train="train[:90%]"), "train"))
    assert [pair.origin for pair in pairs] == [f"{name}/train[:90%]:{index}" for index in range(3)]
    assert all(isinstance(side, bytes) and side for pair in pairs for side in pair[:2])


def test_a_dataset_in_which_every_example_has_its_own_languages(tmp_path):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def examples(*_, **__):
        records = [(["de", "en", "en"], ["Haus", "house", "home"]), (["en", "fr"], ["no", "non"]), (["de", "en"], "ab")]
        signature = {
            "translations": {name: tf.TensorSpec([None], tf.string) for name in ("language", "translation")},
            "talk_name": tf.TensorSpec([], tf.string),
        }
        return tf.data.Dataset.from_generator(
            lambda: (
                {"translations": {"language": languages, "translation": list(texts)}, "talk_name": "talk"}
                for languages, texts in records
            ),
            output_signature=signature,
        )

    with tfds.testing.mock_data(as_dataset_fn=examples):
        pairs = list(read_split(tfds_corpus("ted_multi_translate", "en", "de", folder=tmp_path), "train"))
        assert "'tlh'" in complaint(tfds_corpus("ted_multi_translate", "en", "tlh", folder=tmp_path))
    assert pairs == [
        RawPair(b"house", b"Haus", "ted_multi_translate/train:0"),
        RawPair(b"b", b"a", "ted_multi_translate/train:2"),
    ]


def test_sides_are_taken_by_language(tmp_path):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def examples(*_, **__):
        return tf.data.Dataset.from_tensor_slices({"pt": ["sim", b"\xff"], "en": ["yes", "no"]})

    with tfds.testing.mock_data(as_dataset_fn=examples):
        for source, target, expected in (("pt", "en", (b"sim", b"yes")), ("en", "pt", (b"yes", b"sim"))):
            data = tfds_corpus("ted_hrlr_translate/pt_to_en", source, target, folder=tmp_path)
            pairs = list(read_split(data, "train"))
            assert pairs[0][:2] == expected
            assert b"\xff" in pairs[1]


def test_what_a_dataset_lacks_is_said(tmp_path):
    def message(name, source="pt", target="en", **more):
        return complaint(tfds_corpus(name, source, target, folder=tmp_path, **more))

    assert "did you mean ted_hrlr_translate" in message("ted_hrlr_translat/pt_to_en")
    assert "did you mean ui_strings" in message("ui_string")
    assert "no configuration 'pt_to_e'; did you mean pt_to_en" in message("ted_hrlr_translate/pt_to_e")
    assert "no configuration 'de-en'; it has medical, law," in message("opus/de-en")
    assert "has no text 'de'; it has pt, en" in message("ted_hrlr_translate/pt_to_en", "pt", "de")
    several = message("wmt14_translate", "en", "de")
    assert "has no text 'de'; it has cs, en" in several
    assert "de-en" in several.split("CONFIGURATION")[1]
    assert "has no text 'en' and 'de'; it has no text" in message("mnist", "en", "de")
    assert "did you mean de?" in message("ui_strings", "en", "dee")


def test_a_download_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def fail(*_, **__):
        raise ConnectionError("the network\nis away")

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fail)
    message = complaint(tfds_corpus("ted_hrlr_translate/pt_to_en", "pt", "en", folder=tmp_path))
    assert message == "ted_hrlr_translate/pt_to_en: cannot be prepared: the network is away"


def test_two_that_prepare_the_same_dataset_at_once_both_have_it(tmp_path):
    import tensorflow_datasets as tfds

    class Greetings(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        meanwhile = False

        def _info(self):
            features = tfds.features.Translation(languages=("de", "en"))
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield 0, {"en": "hello", "de": "hallo"}
            if not Greetings.meanwhile:
                Greetings.meanwhile = True
                readers._prepare(Greetings(data_dir=tmp_path), "greetings")

    late = Greetings(data_dir=tmp_path)
    readers._prepare(late, "greetings")
    assert Greetings.meanwhile
    for builder in (late, Greetings(data_dir=tmp_path)):
        [record] = builder.as_dataset(split="train").as_numpy_iterator()
        assert record == {"en": b"hello", "de": b"hallo"}
