from __future__ import annotations

import pytest
from falsework.engine.settings.quantities import (
    LARGEST,
    LONGEST,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from hypothesis import given
from hypothesis import strategies as st


@given(st.floats(min_value=0, max_value=LONGEST))
def test_a_duration_survives_being_written_and_read(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=LARGEST))
def test_a_size_survives_being_written_and_read(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.floats(min_value=0, max_value=1e9, allow_subnormal=False))
def test_a_plain_number_is_seconds(seconds: float) -> None:
    assert parse_duration(seconds) == seconds


@pytest.mark.parametrize(
    "text, seconds",
    [("30m", 1800), ("1.5h", 5400), ("90s", 90), ("500ms", 0.5), ("3d", 259200), ("0", 0), (" 2 s ", 2), ("0.1s", 0.1)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "seconds, text", [(0, "0s"), (0.5, "500ms"), (90.0, "90s"), (5400, "90m"), (86400.0, "1d"), (1.5, "1.5s")]
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    "text, size", [("4096", 4096), ("512KiB", 524288), ("100MiB", 104857600), ("1MB", 10**6), ("1.5kB", 1500), (7, 7)]
)
def test_sizes_are_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "value",
    [
        "",
        "m",
        "30 minutes",
        "-1s",
        "1e3",
        "1h30m",
        "٣s",
        -1,
        float("nan"),
        float("inf"),
        True,
        None,
        [],
        "99999d",
        "9" * 400,
    ],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        parse_duration(value)


@pytest.mark.parametrize("value", ["1.5", "0.1KiB", "3 bytes", "-4", "1mib", True, None, 0.5, "9" * 40])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        parse_size(value)
