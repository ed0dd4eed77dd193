"""What the model did is told at the end of the session: how many schedules, how they ended, and how to play them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .durable import SharedDatabase

_told = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_told, []):
        terminalreporter.write_line(line)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say a line at the end of the session."""
    return request.config.stash.setdefault(_told, []).append


@pytest.fixture(scope="module")
def database() -> Iterator[SharedDatabase]:
    """The database of all schedules: emptied for each of them."""
    database = SharedDatabase("model")
    yield database
    database.really_close()
