from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from falsework.router.door.data_directory import (
    BIRTH,
    LOCK,
    DataDirectory,
    DataDirectoryError,
)

from ..disks import disk_full_above


def test_a_directory_is_one_routers_until_it_is_released(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path / "data", "run-1")
    with pytest.raises(DataDirectoryError, match=f"in use by the router of run run-1, process {os.getpid()}"):
        DataDirectory(tmp_path / "data", "run-2")
    first.release()
    first.release()
    DataDirectory(tmp_path / "data", "run-2").release()


def test_a_directory_whose_router_died_is_free(tmp_path: Path) -> None:
    router = os.fork()
    if router == 0:
        DataDirectory(tmp_path, "run-1")
        os._exit(0)
    os.waitpid(router, 0)
    DataDirectory(tmp_path, "run-1").release()


@pytest.mark.parametrize("said", ["", "{", "5", '{"pid": 1}'])
def test_a_holder_that_did_not_say_who_it_is_is_a_holder(tmp_path: Path, said: str) -> None:
    first = DataDirectory(tmp_path, "run-1")
    (tmp_path / LOCK).write_text(said)
    with pytest.raises(DataDirectoryError, match="in use by another router"):
        DataDirectory(tmp_path, "run-2")
    first.release()


def test_a_directory_and_what_is_in_it_are_private(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data", "run-1")
    directory.age(1000.0)
    directory.release()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()} == {
        LOCK: 0o600,
        BIRTH: 0o600,
    }


def test_its_age_counts_from_when_it_was_asked_first(tmp_path: Path) -> None:
    for now, age in ((1000.0, 0.0), (1060.5, 60.5), (4000.0, 3000.0), (900.0, 0.0)):
        directory = DataDirectory(tmp_path, "run-1")
        assert directory.age(now) == age
        directory.release()


def test_an_age_that_cannot_be_read_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / BIRTH).write_text("long ago")
    directory = DataDirectory(tmp_path, "run-1")
    with pytest.raises(DataDirectoryError, match=rf"{re.escape(BIRTH)} does not say .*move it away"):
        directory.age(1000.0)
    directory.release()


def test_where_there_is_no_room_nothing_is_born(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path, "run-1")
    with disk_full_above(2), pytest.raises(OSError):
        directory.age(1000.0)
    assert not (tmp_path / BIRTH).exists()
    assert directory.age(2000.0) == 0.0
    directory.release()
