from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from falsework.engine.errors import ConfigError, Problem
from falsework.engine.settings.fields import Duration, Size, schema_for
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
