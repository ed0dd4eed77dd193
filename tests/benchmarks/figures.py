"""What was measured, and the lines of the table that it makes: the best and the median of several short windows."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured, and the best and the median of it."""

    what: str
    best: str
    median: str = ""


@dataclass(frozen=True)
class Window:
    """A short time under load."""

    seconds: float
    count: int
    router_cpu: float
    load_cpu: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def router_micros(self) -> float:
        return self.router_cpu / self.count * 1e6

    @property
    def load_micros(self) -> float:
        return self.load_cpu / self.count * 1e6


def as_table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = [f"| {row.what} | {row.best} | {row.median} |" for row in rows]
    return "\n".join(["| | best | median |", "| --- | --- | --- |", *lines])


def rates(what: str, windows: list[Window]) -> Row:
    all_rates = [window.rate for window in windows]
    return Row(what, f"{max(all_rates):,.0f}", f"{statistics.median(all_rates):,.0f}")


def router_micros(what: str, windows: list[Window]) -> Row:
    micros = [window.router_micros for window in windows]
    return Row(what, f"{min(micros):.1f}", f"{statistics.median(micros):.1f}")


def load_micros(what: str, windows: list[Window]) -> Row:
    micros = [window.load_micros for window in windows]
    return Row(what, f"{min(micros):.1f}", f"{statistics.median(micros):.1f}")


def busy(what: str, windows: list[Window]) -> Row:
    """Shares of a core; the one near 100% is what the rate is limited by, where nobody else uses the machine."""
    fastest = max(windows, key=lambda window: window.rate)
    return Row(what, f"{fastest.router_cpu / fastest.seconds:.0%} / {fastest.load_cpu / fastest.seconds:.0%}")


def millis(*seconds: float) -> str:
    return " / ".join(f"{second * 1000:.2f}" for second in seconds)
