"""Encoder, decoder, and the models made of them."""

from nmt.utils.backend import load_backend

load_backend()  # before the models import Keras, which registers them as soon as it is there
