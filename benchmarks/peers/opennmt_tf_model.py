"""The reference shape for OpenNMT-tf; run in the environment that setup.sh makes for it."""

import tensorflow as tf
import tensorflow_addons as tfa
from opennmt import decoders, encoders, inputters, layers, models

WIDTH = 256
DROPOUT = 0.2


class ReferenceModel(models.SequenceToSequence):
    """One bidirectional GRU layer, one GRU layer, Luong's attention with its input feeding."""

    def __init__(self):
        encoder = encoders.RNNEncoder(
            num_layers=1,
            num_units=2 * WIDTH,  # of both directions together
            bidirectional=True,
            cell_class=tf.keras.layers.GRUCell,
            dropout=DROPOUT,
        )
        decoder = decoders.AttentionalRNNDecoder(
            num_layers=1,
            num_units=WIDTH,
            bridge_class=layers.DenseBridge,
            attention_mechanism_class=tfa.seq2seq.LuongAttention,
            cell_class=tf.keras.layers.GRUCell,
            dropout=DROPOUT,
        )
        super().__init__(
            source_inputter=inputters.WordEmbedder(embedding_size=WIDTH),
            target_inputter=inputters.WordEmbedder(embedding_size=WIDTH),
            encoder=encoder,
            decoder=decoder,
            share_embeddings=models.EmbeddingsSharingLevel.NONE,  # tied, it does not learn at this learning rate
        )


model = ReferenceModel
