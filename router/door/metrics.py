"""Counters and gauges as Prometheus text."""

from __future__ import annotations

from collections.abc import Mapping


def render(gauges: Mapping[str, float], counters: Mapping[str, int]) -> str:
    """One line a sample, sorted, each with its type."""
    lines: list[str] = []
    for name, value in sorted(gauges.items()):
        lines += [f"# TYPE falsework_{name} gauge", f"falsework_{name} {value:g}"]
    for name, count in sorted(counters.items()):
        lines += [f"# TYPE falsework_{name}_total counter", f"falsework_{name}_total {count}"]
    return "\n".join(lines) + "\n"
