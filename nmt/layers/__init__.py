"""Keras layers that anyone can use alone: the GRU, attention, embeddings, dropout."""
