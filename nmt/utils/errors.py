"""Errors that a user can mend: one line that says what is wrong and where."""


class UserError(Exception):
    """A mistake in what the user gave (a setting, a file, a folder), told in one line.

    The command line prints the message and exits with status 2; it never shows a traceback for it.
    """
