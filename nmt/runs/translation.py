"""What a translator's run is used for: to translate, and to measure how well it does."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.config import Config, load_saved_config
from nmt.constants import SIDES, Split
from nmt.data.preparation import load_truecaser, read_checked_sentences
from nmt.data.token_store import read_model, text_path
from nmt.documents.lines import AlignmentUnit, translate_text_file
from nmt.evaluation.report import Evaluation, evaluate_translations
from nmt.inference.translator import Translator
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.models import load_model
from nmt.text.languages import has_spaces
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError
from nmt.utils.files import check_outputs, written_whole
from nmt.utils.lines import read_text_lines
from nmt.utils.progress import tracked
from nmt.utils.terminal import joined_lines


def load_translator(
    path: str | Path,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
    n_best: int = 1,
    attention: bool = False,
) -> Translator:
    """Loads the translator of a run.

    It computes in the precision of the setting `decoding.precision`, whatever precision it was trained in.

    Args:
        path: the run folder.
        checkpoint: name of the checkpoint: `best`, `last`, `averaged` or another. None for the averaged one if it
            exists, otherwise the best.
        overrides: changed settings of the search, such as `decoding.beam_size=1`.
        n_best: number of hypotheses of each text, at most the size of the beam.
        attention: whether hypotheses hold what the decoder attended to.

    Raises:
        UserError: if the run, the checkpoint or a setting is wrong.

    Example:

    >>> translator = load_translator("runs/quickstart")  # doctest: +SKIP
    >>> translator.translate("Restart the device.")  # doctest: +SKIP
    'Starte das Gerät neu.'
    """
    model, tokenizers, config = load_for_search(path, checkpoint, overrides, n_best)
    ensemble, max_tokens = load_ensemble(config, tokenizers)
    return Translator(
        model,
        *tokenizers,
        max_tokens=max_tokens,
        n_best=n_best,
        attention=attention,
        frozen=True,
        language_model=load_fused(config, tokenizers[1]),
        language_model_weight=config.decoding.language_model_weight,
        ensemble=ensemble,
        batch_size=config.decoding.batch_size,
        truecaser=load_truecaser(RunFolder(Path(path)).data, config),
        **(config.decoding.search_arguments() | config.text_arguments()),
    )


def load_for_search(
    path: str | Path, checkpoint: str | None, overrides: Sequence[str], n_best: int = 1
) -> tuple[Seq2Seq, tuple[Tokenizer, Tokenizer], Config]:
    """Loads a run's model, its tokenizers, and its settings with those of the search changed.

    Arguments and errors are those of `load_translator`.
    """
    for override in overrides:
        if not override.startswith("decoding."):
            raise UserError(f"override {override!r}: only decoding.* can change after training")
    run, _ = load_run_config(path, "translation")
    config = load_saved_config(run.config, overrides)
    if n_best > config.decoding.beam_size:
        raise UserError(f"`n_best`: expected at most decoding.beam_size {config.decoding.beam_size}, got {n_best}")
    model, source, target = load_model(run, config, checkpoint, config.decoding.precision)
    return model, (source, target), config


def load_fused(config: Config, target: Tokenizer) -> LanguageModel | None:
    """Loads the language model that takes part in a run's search.

    Args:
        config: the run's settings.
        target: the run's tokenizer of the target language.

    Returns:
        The model of `decoding.language_model`; None if there is none.

    Raises:
        UserError: if that is not the run of a language model, or has another tokenizer.
    """
    path = config.decoding.language_model
    if path is None:
        return None
    run, settings = load_run_config(path, "language_model")
    if read_model(run.data, "target") != target.model:
        raise UserError(
            f"decoding.language_model: {path}: its tokenizer is not the translation's; expected a language model "
            "trained with tokenizer.model, the `data/target.model` of the translation's run"
        )
    model, *_ = load_model(run, settings, precision=config.decoding.precision)
    return model


def load_ensemble(config: Config, tokenizers: tuple[Tokenizer, Tokenizer]) -> tuple[list[Seq2Seq], int]:
    """Loads the further models that translate together with a run's, each with its default checkpoint.

    Args:
        config: the run's settings.
        tokenizers: the run's tokenizers.

    Returns:
        The models of `decoding.ensemble`, and the number of tokens of the longest input that all of them and the run's
        model have seen in training.

    Raises:
        UserError: if one is not the run of a translator, or has other tokenizers.
    """
    models, max_tokens = [], config.batches.max_length
    for path in config.decoding.ensemble:
        run, settings = load_run_config(path, "translation")
        for side, tokenizer in zip(SIDES, tokenizers, strict=True):
            if read_model(run.data, side) != tokenizer.model:
                raise UserError(
                    f"decoding.ensemble: {path}: its {side} tokenizer is not the first model's; expected a run of the "
                    "same corpus and tokenizer settings, or of tokenizer.model, the first run's `data/target.model`"
                )
        models.append(load_model(run, settings, precision=config.decoding.precision)[0])
        max_tokens = min(max_tokens, settings.batches.max_length)
    return models, max_tokens


def translate_file(
    path: str | Path,
    source: str | Path | None,
    output: str | Path | None,
    *,
    as_json: bool = False,
    n_best: int = 1,
    alignments: bool = False,
    heat_maps: str | Path | None = None,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> None:
    """Translates a text file with a run's translator, line by line.

    Args:
        path: the run folder.
        source: a text file; None for standard input.
        output: the file to write, which appears once it is complete; None for standard output.
        as_json: whether to write JSON lines with scores; see `nmt.documents.lines.translate_text_file`.
        n_best: number of translations of each line in JSON.
        alignments: whether to write the alignment of each translation: between words if both languages are written
            with spaces, otherwise between subword pieces.
        heat_maps: a folder for pictures of the attention of each line's translation; None for no pictures.
        checkpoint: see `load_translator`.
        overrides: see `load_translator`.

    Raises:
        UserError: if the run, the checkpoint or a setting is wrong, or a file cannot be read or written.

    Example:

    >>> translate_file("runs/quickstart", "test.en", "test.de")  # doctest: +SKIP
    """
    attention = alignments or heat_maps is not None
    translator = load_translator(path, checkpoint, overrides, n_best, attention)
    unit = _alignment_unit(load_run_config(path)[1]) if alignments else None
    translate_text_file(translator.hypotheses, source, output, as_json=as_json, alignments=unit, heat_maps=heat_maps)


class TranslatedSplit(NamedTuple):
    """The translations of a split of a run's corpus.

    Attributes:
        sources: the source sentences.
        translations: the translation of each.
        references: the reference of each.
        language: code of the target language.
    """

    sources: list[str]
    translations: list[str]
    references: list[str]
    language: str


def translate_split(
    path: str | Path,
    split: Split = "test",
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
    save: str | Path | None = None,
) -> TranslatedSplit:
    """Translates a split of a run's corpus.

    Args:
        path: the run folder.
        split: `validation` or `test`.
        checkpoint: see `load_translator`.
        overrides: see `load_translator`.
        save: a file to write the translations to as well, or None.

    Raises:
        UserError: as for `load_translator`, and if `save` cannot be written.
    """
    run, config = load_run_config(path)
    if save is not None:
        check_outputs([save], (text_path(run.data, split, side) for side in SIDES))
    translator = load_translator(path, checkpoint, overrides)
    sources, references = (list(read_checked_sentences(run.data, split, side)) for side in SIDES)
    translations = list(tracked(translator.best(sources), "translating", len(sources)))
    if save is not None:
        with written_whole(Path(save)) as file:
            file.writelines(joined_lines(line) + "\n" for line in translations)
    return TranslatedSplit(sources, translations, references, config.data.target_language)


def evaluate_run(
    path: str | Path,
    split: Split = "test",
    *,
    baseline: str | Path | None = None,
    samples: int = 1000,
    examples: int = 0,
    save: str | Path | None = None,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> Evaluation:
    """Translates a split of a run's corpus, and measures the translations.

    Args:
        path: the run folder.
        split: `validation` or `test`.
        baseline: a text file of another system's translations to compare with, or None.
        samples: number of bootstrap samples; see `evaluate_translations`.
        examples: number of examples to return.
        save: a file to write the translations to as well, or None.
        checkpoint: see `load_translator`.
        overrides: see `load_translator`.

    Raises:
        UserError: as for `load_translator`, and if a file cannot be read or written.

    Example:

    >>> evaluate_run("runs/quickstart", samples=0).scores[0].value  # doctest: +SKIP
    25.5
    """
    if save is not None and baseline is not None:
        check_outputs([save], [baseline])
    other = None if baseline is None else list(read_text_lines(baseline))
    sources, translations, references, language = translate_split(path, split, checkpoint, overrides, save)
    return evaluate_translations(
        translations, references, language, sources=sources, baseline=other, samples=samples, examples=examples
    )


def _alignment_unit(config: Config) -> AlignmentUnit:
    languages = str(config.data.source_language), config.data.target_language
    return "words" if all(map(has_spaces, languages)) else "pieces"
