"""What the library logs reaches stderr while a command runs, and nothing of it stays afterwards."""

import logging

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
