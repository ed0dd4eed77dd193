"""A disk that takes nothing, at the one place where falsework's files of records are written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from falsework.router.wire.journal import Journal


@contextmanager
def full_disk(name: str = "") -> Iterator[None]:
    """While it lasts, no journal can be written; with a name only those that are called so."""
    write = Journal._write

    def refuse(journal: Journal, block: bytes) -> None:
        if name in journal.path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(journal, block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "_write", refuse)
        yield
