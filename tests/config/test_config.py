import copy
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from nmt.config import (
    Config,
    TextCorpus,
    TfdsCorpus,
    TsvCorpus,
    differences,
    load_config,
    load_saved_config,
    parse_config,
    save_config,
)
from nmt.utils.errors import UserError

SMALLEST: dict[str, Any] = {
    "data": {"source_language": "en", "target_language": "de", "corpus": {"kind": "tsv", "train": ["pairs.tsv"]}}
}
CORPORA: dict[str, dict[str, Any]] = {
    "tsv": {"kind": "tsv", "train": ["pairs.tsv"]},
    "tfds": {"kind": "tfds", "name": "ui_strings"},
    "text": {"kind": "text", "train": {"source": ["a.en"], "target": ["a.de"]}},
}


def tree_with(key: str, value: object, corpus: str = "tsv") -> dict[str, Any]:
    tree = copy.deepcopy(SMALLEST)
    tree["data"]["corpus"] = copy.deepcopy(CORPORA[corpus])
    *groups, last = key.split(".")
    group = tree
    for name in groups:
        group = group.setdefault(name, {})
    group[last] = value
    return tree


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "my.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parse_refusal(tree: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        parse_config(tree, "my.yaml")
    message = str(caught.value)
    assert message.startswith("my.yaml: ")
    assert "\n" not in message
    return message.removeprefix("my.yaml: ")


@pytest.fixture
def smallest(tmp_path: Path) -> Path:
    return written(tmp_path, yaml.safe_dump(SMALLEST))


# What is accepted


def test_defaults_fill_what_is_not_named() -> None:
    config = parse_config(SMALLEST, "my.yaml")
    assert config.model.units == 256
    assert config.decoding.beam_size == 5
    assert config.data.cleaning.drop_copies
    assert config.data.corpus == TsvCorpus(kind="tsv", train=[Path("pairs.tsv")], validation=None, test=None)


def test_each_kind_of_corpus() -> None:
    kinds = {"tsv": TsvCorpus, "tfds": TfdsCorpus, "text": TextCorpus}
    for name, kind in kinds.items():
        corpus = parse_config(tree_with("seed", 1, name), "my.yaml").data.corpus
        assert type(corpus) is kind


def test_a_read_configuration_cannot_change() -> None:
    config = parse_config(SMALLEST, "my.yaml")
    with pytest.raises(ValidationError, match="frozen"):
        config.model.units = 3


def test_every_setting_says_why() -> None:
    def check(group: Any) -> int:
        count = 0
        for name, field in group.model_fields.items():
            annotation = field.annotation
            if hasattr(annotation, "model_fields"):
                count += check(annotation)
            elif name not in ("kind", "train", "validation", "test", "corpus"):
                assert field.description, f"{group.__name__}.{name}"
                count += 1
        return count

    assert check(Config) > 40


# Unknown and missing keys


@pytest.mark.parametrize(
    ("key", "nearest", "corpus"),
    [
        ("sede", "seed", "tsv"),
        ("modle", "model", "tsv"),
        ("data.source_langage", "source_language", "tsv"),
        ("data.cleaning.max_charcters", "max_characters", "tsv"),
        ("data.corpus.trian", "train", "tsv"),
        ("data.corpus.folders", "folder", "tfds"),
        ("data.corpus.nam", "name", "tfds"),
        ("data.corpus.validaton", "validation", "text"),
        ("data.corpus.train.sorce", "source", "text"),
        ("tokenizer.vocab_size", "vocabulary_size", "tsv"),
        ("batches.token", "tokens", "tsv"),
        ("model.unit", "units", "tsv"),
        ("training.learning_rates", "learning_rate", "tsv"),
        ("decoding.beamsize", "beam_size", "tsv"),
        # A name that is also a kind of corpus must not vanish from the message.
        ("data.text", "held_out", "tsv"),
        ("data.corpus.tsv", "test", "tsv"),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, nearest: str, corpus: str) -> None:
    message = parse_refusal(tree_with(key, 3, corpus))
    assert message.startswith(f"{key}: unknown setting; did you mean `{nearest}`?")


def test_an_unknown_key_inside_an_optional_group() -> None:
    tree = tree_with("data.corpus.validation", {"source": ["v.en"], "target": ["v.de"], "targets": []}, "text")
    assert parse_refusal(tree) == "data.corpus.validation.targets: unknown setting; did you mean `target`?"


def test_the_misspelt_key_is_told_before_the_missing_one() -> None:
    tree = copy.deepcopy(SMALLEST)
    tree["data"]["corpus"] = {"kind": "tfds", "nmae": "ui_strings"}
    assert parse_refusal(tree) == "data.corpus.nmae: unknown setting; did you mean `name`?; data.corpus.name: missing"


@pytest.mark.parametrize("key", ["data", "data.source_language", "data.target_language", "data.corpus"])
def test_what_has_no_default_is_missed(key: str) -> None:
    tree = copy.deepcopy(SMALLEST)
    group = tree if key == "data" else tree["data"]
    del group[key.removeprefix("data.")]
    assert parse_refusal(tree) == f"{key}: missing"


def test_all_problems_are_told_at_once() -> None:
    tree = tree_with("model.units", 0)
    tree["seed"] = -1
    message = parse_refusal(tree)
    assert "model.units" in message
    assert "seed" in message


@pytest.mark.parametrize("key", [1, True, None])
def test_keys_that_are_no_names(key: object) -> None:
    assert "Keys should be strings" in parse_refusal(SMALLEST | {key: 3})


# Bounds and agreement


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", -1, "greater than or equal to 0, got -1"),
        ("seed", 2**31, "less than 2147483648, got 2147483648"),
        ("seed", 1.5, "valid integer"),
        ("data.source_language", "", "at least 1 character"),
        ("data.held_out", 0, "greater than or equal to 1"),
        ("data.cleaning.max_length_ratio", 1.0, "greater than 1"),
        ("data.corpus.train", [], "at least 1 item"),
        ("data.corpus.train", "pairs.tsv", "valid list, got 'pairs.tsv'"),
        ("data.corpus", {"kind": "xml"}, "'xml' found using 'kind' does not match any of"),
        ("data.corpus", {"train": ["x"]}, "'kind'"),
        ("tokenizer.algorithm", "word", "should be 'unigram' or 'bpe', got 'word'"),
        ("tokenizer.vocabulary_size", 299, "greater than or equal to 300"),
        ("tokenizer.character_coverage", 1.1, "less than or equal to 1"),
        ("tokenizer.character_coverage", 0.97, "greater than or equal to 0.98"),
        ("tokenizer.sampling", 0.0, "greater than 0"),
        ("batches.tokens", 15, "greater than or equal to 16"),
        ("batches.shapes", 65, "less than or equal to 64"),
        ("model.units", 0, "greater than or equal to 1, got 0"),
        ("model.units", "many", "valid integer, unable to parse string as an integer, got 'many'"),
        ("model.units", None, "valid integer"),
        ("model.dropout", 1.0, "less than 1"),
        ("model.dropout", -0.1, "greater than or equal to 0"),
        ("model.layer_normalization", "perhaps", "valid boolean"),
        ("model.longest_memory", 1, "greater than or equal to 2, got 1"),
        ("model", 3, "got 3"),
        ("training.learning_rate", 0, "greater than 0"),
        ("training.learning_rate", float("nan"), "finite number"),
        ("training.max_minutes", 0, "greater than 0"),
        ("training.plateau_factor", 1, "less than 1"),
        ("training.precision", "float64", "'float32', 'bfloat16' or 'float16', got 'float64'"),
        ("decoding.beam_size", 257, "less than or equal to 256"),
        ("decoding.length_penalty", -1, "greater than or equal to 0"),
    ],
)
def test_bounds(key: str, value: object, message: str) -> None:
    told = parse_refusal(tree_with(key, value))
    assert told.startswith(f"{key}: ")
    assert message in told


@pytest.mark.parametrize(
    ("key", "value", "got"),
    [
        ("model.dropout", 0, 0.0),
        ("tokenizer.sampling", 1.0, 1.0),
        ("tokenizer.sampling", None, None),
        ("training.learning_rate", "1e-3", 0.001),  # YAML reads 1e-3 as text
        ("decoding.beam_size", 256, 256),
        ("training.max_minutes", 0.5, 0.5),
    ],
)
def test_what_is_just_within_bounds(key: str, value: object, got: object) -> None:
    group, name = key.split(".")
    assert getattr(getattr(parse_config(tree_with(key, value), "my.yaml"), group), name) == got


def test_settings_that_must_agree() -> None:
    assert parse_refusal(tree_with("data.target_language", "en")) == "data: expected two languages, got 'en' for both"
    tree = tree_with("data.corpus.train.source", ["a.en", "b.en"], "text")
    told = "data.corpus.train: expected as many source as target files, got 2 and 1"
    assert parse_refusal(tree) == told
    tree = tree_with("model", {"attention": "multi_head", "units": 10, "attention_heads": 4})
    assert parse_refusal(tree) == "model: expected attention_heads to divide units, got 4 and 10"
    assert "tied_embeddings 'all' needs tokenizer.joint" in parse_refusal(tree_with("tokenizer.joint", False))
    tree = tree_with("training", {"schedule": "linear", "max_steps": 300, "warmup_steps": 300})
    assert "'linear' needs training.max_steps above" in parse_refusal(tree)
    tree = tree_with("tokenizer", {"model": "a.model"}) | {"training": {"start_from": "runs/base"}}
    assert parse_refusal(tree).startswith("tokenizer.model needs training.start_vocabulary 'new': 'keep' takes the")
    new = {"training": {"start_from": "runs/base", "start_vocabulary": "new"}}
    assert parse_config(tree | new, "my.yaml").training.tokenizers_of is None


# Files


def test_a_file_is_read(smallest: Path) -> None:
    assert load_config(smallest) == load_config(str(smallest)) == parse_config(SMALLEST)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "\ufeff" + yaml.safe_dump(SMALLEST))).seed == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed: 1\nmodel: {units: 3\ndata: x\n", "is not valid YAML: .*line 3"),
        ("seed: 1\n\tmodel: 3\n", "is not valid YAML: .*line 2"),
        ("seed: 2024-13-45\n", "is not valid YAML: month must be in 1..12"),
        ("[" * 5000, "is not valid YAML: "),
        ("seed: 1\n--- \nseed: 2\n", "is not valid YAML: expected a single document.*line 2"),
        (b"seed: 1 # gr\xfc\xdfe\n", r"is not UTF-8 \(byte 12\)$"),
        ("", "expected settings as `key: value`, got NoneType$"),
        ("# nothing yet\n", "got NoneType$"),
        ("- seed: 1\n", "expected settings as `key: value`, got list$"),
        ("seed\n", "expected settings as `key: value`, got str$"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = written(tmp_path, content)
    told = refusal(path)
    assert told.startswith(f"{path}: ")
    with pytest.raises(UserError, match=message):
        load_config(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.yaml") == f"{tmp_path / 'no.yaml'}: cannot be read: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


@pytest.mark.parametrize("tag", ["!!python/object/apply:pathlib.Path.touch", "!!python/object/new:os.system"])
def test_a_tag_runs_nothing(tmp_path: Path, smallest: Path, tag: str) -> None:
    harm = tmp_path / "harm"
    command = f"touch {harm}" if "system" in tag else str(harm)
    value = f"{tag} ['{command}']"
    assert "could not determine a constructor for the tag" in refusal(smallest, f"seed={value}") + refusal(
        written(tmp_path, f"seed: {value}\n")
    )
    assert not harm.exists()


def test_every_number_has_an_upper_bound() -> None:
    schema = Config.model_json_schema()
    groups = [schema, *schema.get("$defs", {}).values()]
    for group in groups:
        for name, field in group.get("properties", {}).items():
            for kind in (field, *field.get("anyOf", ())):
                if kind.get("type") in ("integer", "number"):
                    assert {"maximum", "exclusiveMaximum"} & kind.keys(), name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batches.tokens", 2 * 10**9),
        ("decoding.max_length_factor", float("inf")),
        ("decoding.max_length_offset", 2 * 10**9),
        ("decoding.batch_size", 2 * 10**9),
        ("training.clip_norm", float("inf")),
        ("training.max_minutes", float("inf")),
        ("data.cleaning.max_length_ratio", float("inf")),
    ],
)
def test_infinite_and_absurd_numbers(key: str, value: object) -> None:
    assert parse_refusal(tree_with(key, value)).startswith(f"{key}: should be ")


def test_norwegian_is_a_language(tmp_path: Path) -> None:
    pair = "source_language: no, target_language: on, corpus: {kind: tsv, train: [pairs.tsv]}"
    path = written(tmp_path, f"data: {{{pair}}}\ntokenizer: {{joint: yes}}\nmodel: {{layer_normalization: off}}\n")
    config = load_config(path, ["data.target_language=yes"])
    assert (config.data.source_language, config.data.target_language) == ("no", "yes")
    assert config.tokenizer.joint is True
    assert config.model.layer_normalization is False
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "seed: 1\nmodel:\n  units: 3\n  embedding: 4\n  units: 5\n")
    assert "found the key `units` twice" in refusal(path)
    assert "line 5" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40)),
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "x" * (2**20 + 1),
        "a: [" + "1, " * 20_000 + "]\n",
    ],
)
def test_an_alias_bomb_is_refused_at_once_and_in_short(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, content)
    start = time.process_time()
    assert len(refusal(path)) <= 500
    assert time.process_time() - start < 10


def test_aliases_may_be_used(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(SMALLEST) + "model: {units: &size 24, embedding: *size}\n")
    assert load_config(path).model.embedding == 24


# Overrides


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("seed=7", lambda c: c.seed, 7),
        ("model.units=512", lambda c: c.model.units, 512),
        ("model={units: 8}", lambda c: c.model.units, 8),
        ("training.max_minutes=1.5", lambda c: c.training.max_minutes, 1.5),
        ("training.max_minutes=null", lambda c: c.training.max_minutes, None),
        ("training.max_minutes=", lambda c: c.training.max_minutes, None),
        ("model.layer_normalization=yes", lambda c: c.model.layer_normalization, True),
        ("data.corpus.train=[a.tsv, b.tsv]", lambda c: c.data.corpus.train, [Path("a.tsv"), Path("b.tsv")]),
        ("data.corpus.train=[a=b.tsv]", lambda c: c.data.corpus.train, [Path("a=b.tsv")]),
        ("data.corpus={kind: tfds, name: ui_strings}", lambda c: c.data.corpus.kind, "tfds"),
        ("data.target_language=pt-BR", lambda c: c.data.target_language, "pt-BR"),
    ],
)
def test_overrides(smallest: Path, override: str, get: Any, value: object) -> None:
    assert get(load_config(smallest, [override])) == value


def test_the_last_override_wins(smallest: Path) -> None:
    config = load_config(smallest, ["model.units=4", "model.units=8", "model.embedding=3"])
    assert (config.model.units, config.model.embedding) == (8, 3)


def test_an_empty_group_can_be_overridden(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(SMALLEST) + "model:\n")
    assert load_config(path, ["model.units=4"]).model.units == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.units", "override 'model.units': expected key=value, such as model.units=512"),
        ("=3", "override '=3': expected key=value, such as model.units=512"),
        ("", "override '': expected key=value, such as model.units=512"),
        (
            "data.source_language.x=3",
            "override 'data.source_language.x=3': source_language is a value, not a group of settings",
        ),
        ("data.corpus.train.0=b", "override 'data.corpus.train.0=b': train is a value, not a group of settings"),
        (
            "data.source_language.x.y=3",
            "override 'data.source_language.x.y=3': source_language is a value, not a group of settings",
        ),
        ("model.units=[1", "override 'model.units=[1': the value is not valid YAML"),
        ("seed=2024-13-45", "override 'seed=2024-13-45': the value is not valid YAML"),
        (
            "seed=!!python/object/apply:os.getpid []",
            "override 'seed=!!python/object/apply:os.getpid []': the value is not valid YAML",
        ),
    ],
)
def test_bad_overrides(smallest: Path, override: str, message: str) -> None:
    assert refusal(smallest, override) == message


def test_overrides_are_checked_like_the_file(smallest: Path) -> None:
    assert refusal(smallest, "model.unit=3") == f"{smallest}: model.unit: unknown setting; did you mean `units`?"
    assert refusal(smallest, "modle.units=3") == f"{smallest}: modle: unknown setting; did you mean `model`?"
    assert refusal(smallest, "model.units=0").endswith("model.units: should be greater than or equal to 1, got 0")


# Saving and comparing


def test_a_run_older_than_a_setting_works_as_it_did(smallest: Path) -> None:
    now, then = load_config(smallest), load_saved_config(smallest, ["model.units=64"])
    assert (now.decoding.limit_repetition, now.model.attention, now.model.encoder_layers) == (True, "multi_head", 2)
    assert (then.decoding.limit_repetition, then.model.attention, then.model.encoder_layers) == (False, "dot", 1)
    assert now.decoding.split_sentences
    assert now.decoding.truecase
    assert not then.decoding.split_sentences
    assert not then.decoding.truecase
    assert then.model.units == 64
    save_config(now, smallest)
    assert load_saved_config(smallest) == now
    smallest.write_text(smallest.read_text().replace("truecase: true", "lower_capitals: true"))  # its former name
    assert load_saved_config(smallest) == now


@pytest.mark.parametrize("corpus", sorted(CORPORA))
def test_a_saved_configuration_reads_the_same(tmp_path: Path, corpus: str) -> None:
    tree = tree_with("tokenizer.sampling", 0.1, corpus)
    tree["data"]["source_language"] = "日本"
    config = parse_config(tree, "my.yaml")
    save_config(config, str(tmp_path / "run" / "config.yaml"))
    assert load_config(tmp_path / "run" / "config.yaml") == config
    content = (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert "source_language: 日本" in content
    assert "beam_size: 5" in content  # defaults too: they may change, this run's may not


def test_differences() -> None:
    old = parse_config(SMALLEST, "my.yaml")
    tree = tree_with("model.units", 8)
    tree["data"]["corpus"]["train"] = ["pairs.tsv", "more.tsv"]
    tree["training"] = {"max_minutes": 2}
    new = parse_config(tree, "my.yaml")
    assert differences(old, old) == []
    assert differences(old, new) == [
        "data.corpus.train: ['pairs.tsv'] -> ['pairs.tsv', 'more.tsv']",
        "model.units: 256 -> 8",
        "training.max_minutes: None -> 2.0",
    ]


def test_differences_of_kinds() -> None:
    old, new = (parse_config(tree_with("seed", 1, kind), "my.yaml") for kind in ("tsv", "tfds"))
    told = differences(old, new)
    assert "data.corpus.kind: tsv -> tfds" in told
    assert "data.corpus.name: None -> ui_strings" in told


# Language models


def language_model(**changes: Any) -> dict[str, Any]:
    corpus = {"kind": "lines", "train": ["lines.txt"]}
    return {"task": "language_model", "data": {"target_language": "de", "corpus": corpus}} | changes


def test_a_language_model_needs_one_language_and_monitors_the_loss() -> None:
    config = parse_config(language_model(training={"max_steps": 600}), "my.yaml")
    assert (config.data.source_language, config.training.monitor, config.training.max_steps) == (None, "loss", 600)
    assert parse_config(language_model(), "my.yaml").training.monitor == "loss"
    assert parse_config(SMALLEST, "my.yaml").training.monitor == "bleu"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (language_model(task="translation"), "data.corpus.kind: 'lines' are of one language: expected 'text', 'tsv'"),
        (language_model(task="speech"), "task: should be 'translation' or 'language_model', got 'speech'"),
        (language_model(training={"monitor": "bleu"}), "training.monitor: expected 'loss' of a language model"),
        (
            language_model(data={"target_language": "de", "corpus": {"kind": "tfds", "name": "ui_strings"}}),
            "data.source_language: missing",
        ),
        (tree_with("tokenizer", {"model": "my.model", "joint": False}), "model.tied_embeddings 'all' needs"),
        (
            tree_with("tokenizer", {"model": "my.model", "joint": False}) | {"model": {"tied_embeddings": "none"}},
            "tokenizer.model needs tokenizer.joint true",
        ),
        (tree_with("decoding.language_model_weight", -0.1), "greater than or equal to 0, got -0.1"),
        (language_model() | {"data": {"corpus": {"kind": "lines", "train": ["x"], "tests": ["x"]}}}, "mean `test`?"),
    ],
)
def test_what_language_models_do_not_agree_with(tree: dict[str, Any], message: str) -> None:
    assert message in parse_refusal(tree)


def test_a_removed_setting_of_an_old_run_is_passed_over_where_it_did_nothing():
    data = {"source_language": "en", "target_language": "de", "corpus": {"kind": "tsv", "train": ["a.tsv"]}}
    tree = {"data": data, "training": {"curriculum_epochs": 0}}
    assert parse_config(tree) == parse_config({"data": data})
    with pytest.raises(UserError, match=r"training\.curriculum_epochs: unknown setting"):
        parse_config({"data": data, "training": {"curriculum_epochs": 2}})
