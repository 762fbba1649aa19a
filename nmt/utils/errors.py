"""Errors that a user can correct: one line that says what is wrong and where."""


class UserError(Exception):
    """A mistake in what the user gave: an argument, a setting, a file or a folder.

    The message is one line. It names what is wrong, and says what was expected and what came. An argument is written in
    backquotes, so that the command line, which prints the message in place of a traceback, can name its option.

    Example:

    >>> raise UserError("`n_best`: expected at most decoding.beam_size 5, got 9")
    Traceback (most recent call last):
    nmt.utils.errors.UserError: `n_best`: expected at most decoding.beam_size 5, got 9
    """
