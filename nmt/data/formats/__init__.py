"""Files that translators have: the texts in them, their translations, and where in the file each stands.

Each format is one function from a path and two languages to units. A unit knows how the file has to change for its
translation to stand there, so that the same reader serves training and translating in place (`nmt.documents`), and all
that is not a translation stays byte for byte.
"""
