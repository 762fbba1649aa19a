"""The console command `nmt`: its commands, its log messages, and its errors."""

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from platform import platform, python_version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmt import __version__
from nmt.cli import analysis, augmentation, language_models, quickstart, serving, training, translation
from nmt.cli.examples import epilog
from nmt.cli.messages import logged_to_stderr
from nmt.utils.errors import UserError
from nmt.utils.standard_streams import abandon_stdout, open_streams
from nmt.utils.terminal import printable

# TensorFlow takes seconds to import: the commands import what they call, so that `nmt --help` answers at once.


class _ReaderGoneError(Exception):
    """Standard output goes to a program, such as `head`, that has seen enough."""


class _Commands(TyperGroup):
    """The commands, whose help ends with examples.

    Where an error of the library names an argument, the user sees the option that gave it.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        for name, command in self.commands.items():
            command.help = with_whole_paragraphs(command.help or "")
            command.epilog = epilog(name)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            options = _options(self.commands.get(ctx.invoked_subcommand))
            raise UserError(with_options(str(error), options)) from error
        except BrokenPipeError:  # typer would exit with status 1
            raise _ReaderGoneError from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (quickstart, training, translation, language_models, augmentation, analysis, serving):
    app.add_typer(group.app)


def _show_versions(wanted: bool) -> None:
    if wanted:
        for name, number in {"gru-nmt": __version__, "Python": python_version(), "system": platform()}.items():
            print(f"{name} {number}")
        for package in ("tensorflow", "tensorflow-text", "keras", "sentencepiece"):
            with suppress(PackageNotFoundError):  # the LiteRT runner needs no TensorFlow
                print(f"{package} {version(package)}")
        raise typer.Exit


@app.callback()
def _options_of_all(
    versions: Annotated[
        bool, typer.Option("--version", help="Show versions, for reports.", callback=_show_versions, is_eager=True)
    ] = False,
) -> None:
    """Train your own translator or language model, and use it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the console command, and exits.

    A user's mistake, or a failure of the system such as a full disk, becomes one line on stderr, with exit status 2.

    Args:
        arguments: the words after `nmt`; None for those of the process.
    """
    open_streams()
    try:
        with logged_to_stderr():
            _run(arguments)
    except UserError as error:
        raise _failure(str(error)) from None
    except (_ReaderGoneError, BrokenPipeError):
        abandon_stdout()
        raise SystemExit(0) from None
    except OSError as error:
        abandon_stdout()
        raise _failure(f"{error.filename or 'input or output failed'}: {error.strerror or error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _run(arguments: Sequence[str] | None) -> None:
    try:
        app(args=arguments, prog_name="nmt")
    except SystemExit:
        sys.stdout.flush()  # Python would do it after all errors are handled
        raise


def _failure(message: str) -> SystemExit:
    """Prints an error, and returns the exit of the process."""
    with suppress(OSError):
        print(printable(f"nmt: {message}", sys.stderr), file=sys.stderr, flush=True)
    return SystemExit(2)


def with_whole_paragraphs(docstring: str) -> str:
    r'''Puts each paragraph on one line, which the help then wraps to the width of the terminal.

    Args:
        docstring: paragraphs with a blank line between them.

    Example:

    >>> with_whole_paragraphs("""First.
    ...
    ...     Two lines become
    ...     one.""")
    'First.\n\nTwo lines become one.'
    '''
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(docstring))


def with_options(message: str, options: Mapping[str, str]) -> str:
    """Writes an option in place of each argument in backquotes that it stands for.

    Args:
        message: an error of the library.
        options: the command's options, by the library's names of the arguments.

    Example:

    >>> with_options("`n_best`: expected at most 5, got 9", {"n_best": "--n-best"})
    '--n-best: expected at most 5, got 9'
    """
    return re.sub(r"`(\w+)`", lambda found: options.get(found[1], found[0]), message)


def _options(command: Any) -> dict[str, str]:
    """Returns how the user writes each parameter of a command; its functions name them as the library does."""
    return {
        one.name: one.opts[0] if one.param_type_name == "option" else (one.metavar or one.name.upper()).strip("[].")
        for one in (command.params if command else ())
    }
