"""Forked processes, in which TensorFlow would wait for ever for threads that the fork has not copied."""

import os


class LoadedHere:
    """The process in which something was loaded.

    Example:

    >>> LoadedHere().check("the translator")
    """

    def __init__(self) -> None:
        self._process = os.getpid()

    def check(self, name: str) -> None:
        """Raises an error in any other process, which is a fork of that one.

        Args:
            name: what was loaded.

        Raises:
            RuntimeError: if this is a fork.
        """
        if os.getpid() != self._process:
            raise RuntimeError(
                f"{name} was loaded before this process was forked, and TensorFlow does not survive a fork: start "
                "processes by spawn, as `multiprocessing.get_context('spawn')` does, and load it in each of them"
            )
