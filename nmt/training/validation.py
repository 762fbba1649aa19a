"""Validation of a model in training: its loss and, for translations, BLEU by beam search."""

import itertools
import math
from collections.abc import Callable

from nmt.config import Config
from nmt.constants import SIDES
from nmt.data.batches import evaluation_batches
from nmt.data.preparation import load_truecaser
from nmt.data.token_store import TokenizedCorpus, read_sentences
from nmt.decoding.scoring import corpus_loss, make_sentence_scorer
from nmt.evaluation.metrics import evaluate
from nmt.inference.translator import Translator
from nmt.models.token_model import TokenModel
from nmt.runs.folder import RunFolder
from nmt.text.tokenizer import Tokenizer

# Returns the mean loss of a target token, and BLEU; None for a language model.
Validator = Callable[[], tuple[float, float | None]]


def make_validator(
    config: Config, run: RunFolder, model: TokenModel, tokenizers: tuple[Tokenizer, Tokenizer]
) -> Validator:
    """Makes a function that measures a model, with the weights that it then has, on the validation split.

    Args:
        config: the settings.
        run: the run folder, its data prepared.
        model: the model.
        tokenizers: its tokenizers of source and target.

    Returns:
        A function without arguments that returns the mean negative log-probability of a target token, and BLEU in
        percent over the first `training.validation_sentences` sentences; None in place of BLEU for a language model.
    """
    score = make_sentence_scorer(model)
    batches = evaluation_batches(TokenizedCorpus.open(run.data, "validation"), config.batches).cache()
    if config.task == "language_model":
        return lambda: (corpus_loss(score, batches), None)
    translator = Translator(
        model,
        *tokenizers,
        max_tokens=config.batches.max_length,
        batch_size=config.decoding.batch_size,
        truecaser=load_truecaser(run.data, config),
        **(config.decoding.search_arguments() | config.text_arguments()),
    )
    count = config.training.validation_sentences
    source, references = (list(itertools.islice(read_sentences(run.data, "validation", side), count)) for side in SIDES)

    def validate() -> tuple[float, float]:
        loss = corpus_loss(score, batches)
        if not math.isfinite(loss):
            return loss, 0.0  # the caller raises the error; there is nothing to translate with
        hypotheses = list(translator.best(source))
        (bleu,) = evaluate(hypotheses, references, config.data.target_language, metrics=["BLEU"])
        return loss, bleu.value

    return validate
