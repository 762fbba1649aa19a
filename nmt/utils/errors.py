"""Errors that a user can correct: one line that says what is wrong and where."""

_LONGEST = 500  # characters


class UserError(Exception):
    """A mistake in what the user gave: an argument, a setting, a file or a folder.

    The message is one line. It names what is wrong, and says what was expected and what came. An argument is written in
    backquotes, so that the command line, which prints the message in place of a traceback, can name its option. What
    others wrote, such as a file or a server, may be part of it: line ends become spaces, and of more than 500
    characters, the middle is left out.

    Args:
        message: what is wrong.

    Example:

    >>> raise UserError("`n_best`: expected at most decoding.beam_size 5, got 9")
    Traceback (most recent call last):
    nmt.utils.errors.UserError: `n_best`: expected at most decoding.beam_size 5, got 9
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.splitlines())
        if len(line) > _LONGEST:
            half = (_LONGEST - len(" ... ")) // 2
            line = f"{line[:half]} ... {line[-half:]}"
        super().__init__(line)
