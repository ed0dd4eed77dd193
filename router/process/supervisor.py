"""Starts the router again when it dies, whether or not its launcher is there: a small process above it, with no other work.

The router is a fork, so this process never loads what a router needs. What passes from one router to the next (the listening
sockets, the memory of the lease) was made before the first one.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0
"""Seconds before a router is started again, doubled each time that it dies."""
STEADY = 60.0
"""Seconds of life after which a death counts as the first one."""
FINAL = (0, 2)
"""A router that exits with one of these has ended because it should, or would end in the same way again."""
TO_END = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger("falsework.supervisor")


def supervise(run: Callable[[], int], patience: float) -> int:
    """Keep `run`, which says one line on stdout once it is ready, running in a child; returns the exit status that is left.

    The first child's line is passed on. A child is not followed by another if it never was ready as the first one, if it
    exits with one of FINAL, if this process is told to end (as the child is then), or if for `patience` seconds none was ready.
    """
    with _noted_signals() as signals:
        child = _Child(run, signals)
        child.watch(on_ready=_pass_on)
        if not child.is_ready:
            log.error("the router %s before it was ready", child.ending)
            return child.status
        wait, last_ready = FIRST_WAIT, time.monotonic()
        while not child.is_final and time.monotonic() - last_ready < patience:
            log.error("the router %s; starting it again in %g s", child.ending, wait)
            if signals.told_to_end_within(wait):
                return 0
            wait = min(2 * wait, LONGEST_WAIT)
            try:
                child = _Child(run, signals)
            except OSError as error:  # the machine is short of processes, which may pass
                log.warning("no router can be started: %s", error)
                continue
            child.watch(on_ready=_keep_quiet)
            if child.is_ready:
                last_ready = time.monotonic()
            if child.lived > STEADY:
                wait = FIRST_WAIT
        return child.status


class _Signals:
    """Signals as bytes in a pipe: none is missed between two looks, and no handler runs in the midst of anything."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.told_to_end: signal.Signals | None = None

    def take(self) -> None:
        """Note what came."""
        for number in os.read(self.pipe, 1024):
            if number in TO_END:
                self.told_to_end = signal.Signals(number)

    def told_to_end_within(self, seconds: float) -> bool:
        """Wait for that long at the most."""
        until = time.monotonic() + seconds
        while self.told_to_end is None and (left := until - time.monotonic()) > 0:
            if select.select([self.pipe], [], [], left)[0]:
                self.take()
        return self.told_to_end is not None


class _Child:
    """One router."""

    def __init__(self, run: Callable[[], int], signals: _Signals) -> None:
        """Raises OSError if there can be none."""
        self.is_ready, self.lived = False, 0.0
        self._signals, self._began = signals, time.monotonic()
        self._ended: int | None = None
        self._line = b""
        self._said, say = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(self._said)
            os.close(say)
            raise
        if self._pid == 0:
            _become_the_router(say)
            raise SystemExit(run())
        os.close(say)

    def watch(self, on_ready: Callable[[bytes], None]) -> None:
        """Until it has ended. What tells this process to end is passed on to it."""
        sources = {self._signals.pipe, self._said}
        while self._ended is None:
            waiting, _, _ = select.select(sources, [], [])
            if self._said in waiting and not self._hear(on_ready):
                sources.discard(self._said)
            if self._signals.pipe in waiting:
                self._attend()
        self.lived = time.monotonic() - self._began
        os.close(self._said)

    @property
    def is_final(self) -> bool:
        """Whether no other router is to follow."""
        return self._signals.told_to_end is not None or self._ended in FINAL

    @property
    def status(self) -> int:
        """Its exit status, that of a shell where a signal killed it; 0 if it was told to end, in whichever way it did."""
        if self._ended is None or self._ended >= 0:
            return self._ended or 0
        return 0 if -self._ended == self._signals.told_to_end else 128 - self._ended

    @property
    def ending(self) -> str:
        """In words."""
        if self._ended is None or self._ended >= 0:
            return f"ended with exit status {self._ended}"
        return f"was killed by {signal.Signals(-self._ended).name}"

    def _hear(self, on_ready: Callable[[bytes], None]) -> bool:
        """What it says, until there is a whole line; False if it will say nothing more."""
        said = os.read(self._said, 1 << 16)
        self._line += b"" if self.is_ready else said
        if b"\n" in self._line and not self.is_ready:
            self.is_ready = True
            on_ready(self._line)
        return bool(said)

    def _attend(self) -> None:
        self._signals.take()
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._ended = os.waitstatus_to_exitcode(status)
        elif self._signals.told_to_end is not None:
            os.kill(self._pid, self._signals.told_to_end)


@contextmanager
def _noted_signals() -> Iterator[_Signals]:
    noticed, notice = os.pipe()
    os.set_blocking(notice, False)
    signal.set_wakeup_fd(notice, warn_on_full_buffer=False)
    ours = (*TO_END, signal.SIGCHLD)
    before = [signal.signal(number, _only_wake) for number in ours]
    try:
        yield _Signals(noticed)
    finally:
        for number, handler in zip(ours, before, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(noticed)
        os.close(notice)


def _only_wake(number: int, frame: object) -> None:
    """The byte in the pipe is all that is wanted of a signal."""


def _become_the_router(say: int) -> None:
    """In the child: its signals are its own, and what it says is heard by the process above it first."""
    signal.set_wakeup_fd(-1)
    for number in (*TO_END, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(say, 1)
    os.close(say)


def _pass_on(line: bytes) -> None:
    with suppress(OSError):  # nobody listens any more: it is known by its lease whether anybody cares
        os.write(1, line)


def _keep_quiet(line: bytes) -> None:
    """Who waits for the ready line has it."""
