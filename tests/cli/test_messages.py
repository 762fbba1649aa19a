"""What the library logs reaches stderr while a command runs, and nothing of it stays afterwards."""

import io
import logging
import sys

import pytest

from nmt.cli import main
from nmt.cli.messages import logged_to_stderr


def test_levels_are_shown_from_warnings_on(capsys):
    log = logging.getLogger("nmt.any.room")
    with logged_to_stderr():
        log.debug("no one asked")
        log.info("%d steps", 3)
        log.warning("line %d: too long", 2)
    assert capsys.readouterr() == ("", "3 steps\nwarning: line 2: too long\n")


def test_the_logger_is_as_before_afterwards(capsys):
    logger = logging.getLogger("nmt")
    before = logger.level, logger.propagate, list(logger.handlers)
    with logged_to_stderr():
        pass
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    logger.info("unheard")
    assert capsys.readouterr().err == ""


def test_messages_of_other_libraries_are_not_shown(capsys):
    with logged_to_stderr():
        logging.getLogger("absl").info("chatter")
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_terminal_gets_no_control_sequences_of_others(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with logged_to_stderr():
        logging.getLogger("nmt").info("the server says \x1b]0;title\x07 and \x9b2J")
    with pytest.raises(SystemExit):
        main(["train", "\x1b[2Jnone.yaml", "--run", "run"])
    shown = sys.stderr.getvalue()
    assert "the server says �]0;title� and �2J" in shown
    assert "nmt: �[2Jnone.yaml: cannot be read" in shown
    assert "\x1b" not in shown
