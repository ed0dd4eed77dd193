from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from falsework.engine.errors import ConfigError, Problem
from falsework.engine.fields import (
    LARGEST,
    LONGEST,
    Duration,
    Size,
    did_you_mean,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    schema_for,
)
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError


def refuse_even(value: int) -> None:
    if value % 2 == 0:
        raise ValueError("is even")


def refuse_with_problems(_: str) -> None:
    raise ConfigError(Problem("is broken", "elsewhere.txt", 3))


@dataclass(frozen=True)
class Pier:
    length: float
    material: Literal["oak", "iron"] = "oak"


@dataclass(frozen=True)
class Harbour:
    name: str
    port: int = field(default=0, metadata={"min": 0, "max": 65535})
    odd: int = field(default=1, metadata={"check": refuse_even})
    open: bool = True
    chart: Path = Path("chart")
    tide: Duration = field(default=60.0, metadata={"above": 0})
    closes: Duration | None = None
    cargo: Size = 0
    berths: list[int] = field(default_factory=list, metadata={"min": 1})
    flags: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    pier: Pier | None = None
    piers: list[Pier] = field(default_factory=list)
    main: Pier = Pier(1.0)
    data: str | None = None  # a name that marshmallow uses itself


def load(**values: Any) -> Any:
    return schema_for(Harbour, Path("/sea")).load({"name": "x", **values})


def refusal(**values: Any) -> Any:
    with pytest.raises(ValidationError) as refused:
        load(**values)
    return refused.value.messages


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


def test_defaults_are_the_dataclass_own() -> None:
    assert load() == Harbour("x")


def test_a_whole_section_becomes_its_dataclass() -> None:
    loaded = load(
        port=80,
        odd=3,
        open=False,
        chart="maps/north",
        tide="2h",
        closes="1d",
        cargo="1KiB",
        berths=[1, 2],
        flags={"a": "b"},
        notes={"any": [None, 1.5]},
        pier={"length": 3, "material": "iron"},
        piers=[{"length": 1}],
        data="d",
    )
    assert loaded == Harbour(
        name="x",
        port=80,
        odd=3,
        open=False,
        chart=Path("/sea/maps/north"),
        tide=7200.0,
        closes=86400.0,
        cargo=1024,
        berths=[1, 2],
        flags={"a": "b"},
        notes={"any": [None, 1.5]},
        pier=Pier(3.0, "iron"),
        piers=[Pier(1.0)],
        data="d",
    )


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("name", 5, "found the number 5; allowed: text (in quotes where it looks like a number or a truth value)"),
        ("name", None, "found nothing; allowed: text"),
        ("port", True, "found the truth value true; allowed: a whole number, at least 0 and at most 65535"),
        ("port", "80", "found '80'; allowed: a whole number"),
        ("port", 1.0, "found the number 1.0; allowed: a whole number"),
        ("port", 70000, "found the number 70000; allowed: a whole number, at least 0 and at most 65535"),
        ("odd", 2, "is even"),
        ("open", 1, "found the number 1; allowed: true or false"),
        ("open", "yes", "found 'yes'; allowed: true or false"),
        ("chart", "", "found ''; allowed: a path"),
        ("chart", "a\0b", "allowed: a path"),
        ("chart", "~nobody-of-that-name/x", "allowed: a path"),
        ("tide", "0s", "found '0s'; allowed: a duration such as"),
        ("tide", "never", "found 'never'; allowed: a duration"),
        ("closes", "soon", "3d (up to a century), or never"),
        ("cargo", "1.5B", "allowed: a size such as"),
        ("berths", 3, "found the number 3; allowed: a list, each of it a whole number, at least 1"),
        ("flags", [1], "found a list; allowed: a section of keys"),
        ("pier", "oak", "found 'oak'; allowed: a section with the keys length, material"),
        ("main", 1, "found the number 1; allowed: a section with the keys length, material"),
    ],
)
def test_what_was_found_and_what_is_allowed_is_said(key: str, value: object, expected: str) -> None:
    [message] = refusal(**{key: value})[key]
    assert expected in message


def test_problems_of_a_list_and_of_a_dict_stand_at_their_items() -> None:
    messages = refusal(berths=[1, 0, 2, "x"], flags={"good": "x", "bad": 1}, piers=[{"length": 1}, {}])
    assert messages["berths"].keys() == {1, 3}
    assert messages["flags"].keys() == {"bad"}
    assert messages["piers"] == {1: {"length": ["is missing; allowed: a number"]}}


def test_all_problems_are_found_at_once() -> None:
    messages = refusal(prot=1, port=-1, pier={"length": "x", "materiel": "oak", "material": "lead"})
    assert messages["prot"][0].startswith("is not known; did you mean 'port'?; known: name, port, odd")
    assert messages["port"]
    assert messages["pier"]["length"]
    assert messages["pier"]["material"] == ["found 'lead'; allowed: oak, iron"]
    assert "did you mean 'material'?" in messages["pier"]["materiel"][0]


def test_an_empty_section_has_its_defaults() -> None:
    assert load(main={"length": 2}, pier=None).pier is None
    assert refusal(main=None)["main"] == {"length": ["is missing; allowed: a number"]}


@pytest.mark.parametrize("value", ["never", None])
def test_never_and_nothing_mean_no_limit(value: object) -> None:
    assert load(closes=value).closes is None


@pytest.mark.parametrize("value", [True, "1", float("nan"), float("inf")])
def test_a_float_is_a_finite_number(value: object) -> None:
    with pytest.raises(ValidationError):
        schema_for(Pier).load({"length": value})


def test_a_choice_is_not_mistaken_for_its_equal_of_another_type() -> None:
    @dataclass(frozen=True)
    class Level:
        level: Literal[1, 2]

    assert schema_for(Level).load({"level": 1}) == Level(1)
    with pytest.raises(ValidationError):
        schema_for(Level).load({"level": True})


def test_an_absolute_path_stays_and_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load(chart="/a/../b").chart == Path("/b")
    assert load(chart="~/x").chart == Path("/home/somebody/x")


def test_values_that_do_not_fit_together_are_refused() -> None:
    @dataclass(frozen=True)
    class Window:
        start: int = 0
        end: int = 1

        def __post_init__(self) -> None:
            if self.start > self.end:
                raise ValueError("starts after its end")

    with pytest.raises(ValidationError) as refused:
        schema_for(Window).load({"start": 2})
    assert refused.value.messages == {"_schema": ["starts after its end"]}


def test_a_check_may_find_problems_in_other_files() -> None:
    @dataclass(frozen=True)
    class Reader:
        file: str = field(metadata={"check": refuse_with_problems})

    with pytest.raises(ValidationError) as refused:
        schema_for(Reader).load({"file": "x"})
    assert refused.value.messages == {"file": [Problem("is broken", "elsewhere.txt", 3)]}


def test_a_misspelt_metadata_key_is_the_authors_error() -> None:
    @dataclass(frozen=True)
    class Careless:
        port: int = field(default=0, metadata={"maximum": 5})

    with pytest.raises(TypeError, match=r"Careless\.port.*'maximum'.*min, max, above, check"):
        schema_for(Careless)


@pytest.mark.parametrize("hint", [complex, int | str, dict[int, str], set[int]])
def test_a_type_that_no_setting_can_have_is_the_authors_error(hint: Any) -> None:
    strange = make_dataclass("Strange", [("value", hint)])
    with pytest.raises(TypeError, match=r"Strange\.value: no setting can be of type"):
        schema_for(strange)


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert did_you_mean("Port", ["host", "port"]) == "; did you mean 'port'?"
    assert did_you_mean("zzz", ["host", "port"]) == ""
