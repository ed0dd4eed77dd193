"""The progress of a run on a terminal: the way it has come, the URL to open, and a bar of units. Gone when the run is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ..lifecycle.diagram import spoken
from ..lifecycle.states import (
    FAILURES,
    SETTLED,
    WORK,
    State,
)
from .progress import Progress, printable, told_counts

FRAMES_PER_SECOND = 8
_COMES_TO = {work: settled for work, (settled, _) in WORK.items()} | {
    failure: settled for settled, failure in WORK.values()
}


class TerminalProgress(Progress):
    """Drawn by rich, in a thread of its own that only reads. Lines that are said scroll by above the picture."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._console = Console(file=sys.stderr)
        self._spinner = Spinner("dots", style="cyan")
        self._began = clock()
        self._link: RenderableType = Text()
        self._live = Live(
            console=self._console,
            get_renderable=self._picture,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
        )
        self._live.start()

    def say(self, text: str) -> None:
        self._console.print(Text(printable(text)), soft_wrap=True)  # a path or a URL stays whole

    def close(self) -> None:
        self._live.stop()

    def begun(self, run_id: str, directory: Path) -> None:
        super().begun(run_id, directory)
        self.say(f"run {run_id}, its files are in {directory}")

    def published(self, url: str) -> None:
        super().published(url)
        self._link = _big_link(url)
        self.say(f"open for work at {url}")  # stays when the picture is gone

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = [self._way()]
        if self.current is State.CONNECTED:
            parts.append(self._link)
        if self.counts is not None:
            parts.append(self._bar())
        return Group(*parts)

    def _way(self) -> RenderableType:
        """The settled states, those that were reached marked, and what is under way or failed in the place it leads to."""
        here = self.current
        way = Text(" → ").join(self._step(state, here) for state in SETTLED)
        row = Table.grid(padding=(0, 1))
        moving = here is None or here in WORK
        row.add_row(self._spinner if moving else Text("●", style="green"), Text(self.run_id or "", style="bold"), way)
        return row

    def _step(self, state: State, here: State | None) -> Text:
        if here is not None and _COMES_TO.get(here) is state:
            return Text(here.value, style="bold red" if here in FAILURES else "bold yellow")
        if here is State.DISCONNECTED and state is State.CONNECTED:
            return Text(here.value, style="bold red")
        reached = state is State.CONFIGURED or state in self.visited
        return Text(state.value, style="green" if reached else "dim")

    def _bar(self) -> RenderableType:
        counts = self.counts
        if counts is None:
            return Text()
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(counts.units, 1), completed=counts.done, width=32, complete_style="cyan")
        row.add_row(bar, Text(told_counts(counts)), Text(spoken(self._clock() - self._began), style="dim"))
        return row


def _big_link(url: str) -> RenderableType:
    link = Text(url, style=Style(bold=True, color="cyan", link=url), no_wrap=True, overflow="fold")
    return Panel(link, title="open for work", title_align="left", border_style="cyan", padding=(1, 3), expand=False)
