"""How far long work is, how fast, and how long it will take: on stderr, and only on a terminal."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress_line(rate: str) -> Progress:
    """A line of a name, a bar, how much of how much, the rate, and the time left.

    Args:
        rate: a template of the task's fields, as `{task.fields[rate]:,.0f} lines/s`.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(rate + ", time left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def tracked(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Passes items on and shows how many went by.

    Args:
        items: any.
        what: is being done, as `translating`.
        total: how many there will be, if known.

    Example:

    >>> list(tracked([1, 2], "counting", 2))
    [1, 2]
    """
    progress = progress_line("{task.fields[rate]:,.0f} lines/s")
    if progress.disable:  # not even the time for counting
        yield from items
        return
    task = progress.add_task(what, total=total, rate=0.0)
    start = time.perf_counter()
    with progress:
        for count, item in enumerate(items, 1):
            progress.update(task, completed=count, rate=count / (time.perf_counter() - start))
            yield item
