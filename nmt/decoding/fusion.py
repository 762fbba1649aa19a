"""Shallow fusion: a language model has its say in the search for a translation (Gulcehre et al. 2015, section 4.1).

The score of each next token is log P(token | source, tokens before) + weight * log P_language(token | tokens before).
"""

from typing import NamedTuple

import tensorflow as tf

from nmt.decoding.beam_search import Memory, Scores, States, Step
from nmt.models.language_model import LanguageModel
from nmt.models.token_model import score_tokens


class Fusion(NamedTuple):
    """A language model of the target language, and how much it counts."""

    model: LanguageModel
    output_weights: tf.Tensor  # `model.output_weights()`
    weight: float


def fused_states(fusion: Fusion, states: States) -> States:
    """The states of both models before the first step, from the translation model's."""
    batch = tf.shape(tf.nest.flatten(states)[0])[0]
    return states, fusion.model.decoder.zeros(batch)


def fused_step(fusion: Fusion, step: Step) -> Step:
    """A step of both models, whose output vectors lie side by side."""
    language_step = fusion.model.decoder.stepper()

    def both(ids: tf.Tensor, memory: Memory, states: States) -> tuple[tf.Tensor, tf.Tensor, States]:
        vectors, attention, new = step(ids, memory, states[0])
        of_language, _, new_of_language = language_step(ids, (), states[1])
        return tf.concat([vectors, of_language], -1), attention, (new, new_of_language)

    return both


def fused_scores(fusion: Fusion, scores: Scores) -> Scores:
    """Scores of such vectors: both models' log-probabilities, the language model's weighted."""
    width = fusion.output_weights.shape[0]

    def both(vectors: tf.Tensor, sentence: tf.Tensor) -> tf.Tensor:
        own, of_language = vectors[:, :-width], vectors[:, -width:]
        language_logits = score_tokens(of_language, fusion.output_weights)
        return tf.nn.log_softmax(scores(own, sentence)) + fusion.weight * tf.nn.log_softmax(language_logits)

    return both
