"""Progress of long work, with its speed and the time left: on stderr, and only if that is a terminal."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress_line(rate: str) -> Progress:
    """Makes a line that shows a name, a bar, the part that is done, the speed, and the time left.

    Args:
        rate: how the speed is written, a template of the task's fields, such as `{task.fields[rate]:,.0f} lines/s`.
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
    """Passes items on and shows how many have passed.

    Args:
        items: the items.
        what: what is being done, such as `translating`.
        total: number of items, if known.

    Yields:
        The items.

    Example:

    >>> list(tracked([1, 2], "counting", 2))
    [1, 2]
    """
    progress = progress_line("{task.fields[rate]:,.0f} lines/s")
    if progress.disable:  # counting would take time too
        yield from items
        return
    task = progress.add_task(what, total=total, rate=0.0)
    start = time.perf_counter()
    with progress:
        for count, item in enumerate(items, 1):
            progress.update(task, completed=count, rate=count / (time.perf_counter() - start))
            yield item
