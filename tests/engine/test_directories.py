"""Where falsework keeps its state."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from falsework.engine.directories import home, new_run_id, run_directory
from falsework.engine.errors import ConfigError


@pytest.fixture
def home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FALSEWORK_HOME", str(tmp_path / "state" / "falsework"))
    return tmp_path / "state" / "falsework"


def mode(directory: Path) -> int:
    return stat.S_IMODE(directory.stat().st_mode)


def test_the_home_is_made_for_its_owner_alone(home_directory: Path) -> None:
    assert home() == home_directory
    assert mode(home_directory) == 0o700
    assert home() == home_directory


def test_without_the_variable_the_home_is_the_users_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FALSEWORK_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home().is_relative_to(tmp_path)
    assert home().name == "falsework"
    assert mode(home()) == 0o700


def test_a_run_has_a_directory_of_its_own(home_directory: Path) -> None:
    directory = run_directory("caption-7f3a9c")
    assert directory == home_directory / "runs" / "caption-7f3a9c"
    assert (mode(directory), mode(directory.parent)) == (0o700, 0o700)
    assert run_directory("caption-7f3a9c") == directory


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "../x", "A", "a\n", "-a", "a\0"])
def test_what_is_no_run_id_has_no_directory(home_directory: Path, run_id: str) -> None:
    with pytest.raises(ConfigError, match="is no run id"):
        run_directory(run_id)
    assert not home_directory.exists()


def test_a_home_that_cannot_be_made_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FALSEWORK_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="set FALSEWORK_HOME to a directory"):
        home()


@pytest.mark.parametrize("name", ["caption", "a", "abcdefghijklmnopqrs-tuvw", "a" * 30])
def test_run_ids_are_short_new_and_usable(home_directory: Path, name: str) -> None:
    first, second = new_run_id(name), new_run_id(name)
    assert first != second
    assert len(first) <= 27
    assert "--" not in first
    assert run_directory(first).name == first
