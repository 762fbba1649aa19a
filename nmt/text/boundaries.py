"""The signs by which words and sentences are told apart, in texts and in subword pieces."""

WORD_START = "\u2581"  # with which SentencePiece marks a piece that begins a word
SENTENCE_ENDS = (".", "!", "?", "…")
SPACELESS_SENTENCE_ENDS = ("。", "！", "？")  # noqa: RUF001 (of Chinese and Japanese: no space follows)
