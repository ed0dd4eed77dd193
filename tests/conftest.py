"""What holds around every test: nothing leaks, nothing touches the user's own state, and CI skips nothing by accident.

It also has the two tiers. `pytest` is the short one, and leaves out what is marked slow and not decisive; `--everything`
leaves out nothing. What is named by its file runs whole, and in this process. The last lines say what did not run.

The guard fails a test that leaves a process, thread, task, descriptor (a socket, a file, a pipe) or temporary file behind,
and names what it left. What fixtures of a wider scope hold is not the test's: the guard looks only at what came after it.
A test that cannot help it says why: `@pytest.mark.leaks("the reason")`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import psutil
import pytest
import uvloop

SETTLE_SECONDS = 2.0
"""How long what ends by itself may take to end after a test: a killed process, a pool's thread, a transport."""

LASTING_THREADS = ("pytest_timeout",)
LOOP_THREADS = ("asyncio_",)
"""Threads that others end: the timer of a time-out, and the pool of an async test's loop, which ends with the loop."""

BROWSER_FILES = (".com.google.Chrome", ".org.chromium.", "org.chromium.", "playwright")
"""What a browser that outlives the test puts into the temporary directory while the test runs."""

SKIPS_ALLOWED_IN_CI = ("capability:",)
"""How the reason of a skip begins that CI accepts: a contract does not ask this of that backend."""

MARKERS = (
    "slow: takes over a quarter of a second; only --everything runs it, but for what is decisive too",
    "decisive: slow, and in the short tier all the same: the one real run of its kind",
    "leaks(reason): may leave something behind, for the reason given",
)

MOST_PROCESSES = 8
LEFT_OUT = pytest.StashKey[int]()
"""How many tests the short tier left out."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

hypothesis.settings.register_profile("falsework", deadline=None)
hypothesis.settings.load_profile("falsework")


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    uvloop.new_event_loop().close()  # the first of a process opens a pipe for signals that stays


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--everything", action="store_true", help="run what the short tier leaves out, too")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two even on one core: tests wait for processes most of the time. None beside this one for single files."""
    return 0 if _names_only_files(config) else min(max(2, os.cpu_count() or 2), MOST_PROCESSES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In the short tier, leave out what is slow. Whoever chooses by files or by markers gets what was chosen."""
    if config.option.everything or config.option.markexpr or _names_only_files(config):
        return
    left_out = [item for item in items if _is_left_out(item)]
    items[:] = [item for item in items if not _is_left_out(item)]
    config.stash[LEFT_OUT] = len(left_out)
    config.hook.pytest_deselected(items=left_out)


def _is_left_out(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None and item.get_closest_marker("decisive") is None


def _names_only_files(config: pytest.Config) -> bool:
    return all(Path(argument.partition("::")[0]).is_file() for argument in config.args)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Each of several processes has collected the same tests, and tells the one that writes the last lines."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """A process has ended; one that crashed says nothing."""
    said = getattr(node, "workeroutput", {})
    if "left_out" in said:
        node.config.stash[LEFT_OUT] = said["left_out"]  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, object, object]:
    """After the summary of others, what did not run, and how it would."""
    result = yield
    skipped = Counter(_missing_tool(report) for report in terminalreporter.stats.get("skipped", ()))
    skipped.pop("", None)
    if skipped:
        counted = ", ".join(f"{number} for want of {tool}" for tool, number in skipped.most_common())
        terminalreporter.write_line(f"skipped: {counted}; install it to run them")
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"left out: {left_out} slow tests; run them with: pytest --everything")
    return result


def _missing_tool(report: Report) -> str:
    """What a test was skipped for want of; empty if that was a capability."""
    reason = _reason(report)
    return "" if reason.startswith(SKIPS_ALLOWED_IN_CI) else reason.partition(" here")[0].removeprefix("no ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _failed_if_skipped_in_ci(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _failed_if_skipped_in_ci(report)


def _failed_if_skipped_in_ci(report: Report) -> Report:
    """CI has a browser, Node and whatever else tests need: what is skipped there would be run by nobody."""
    if not report.skipped or not os.environ.get("CI") or hasattr(report, "wasxfail"):
        return report
    reason = _reason(report)
    if not reason.startswith(SKIPS_ALLOWED_IN_CI):
        report.outcome = "failed"
        report.longrepr = f"CI accepts no skip but for {', '.join(SKIPS_ALLOWED_IN_CI)} This one says: {reason}"
    return report


def _reason(report: Report) -> str:
    """Why it was skipped, in the words of the test."""
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")


@pytest.fixture(scope="session", autouse=True)
def own_temporary_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Temporary files and falsework's state go under this session's own directory, in child processes too."""
    temporary = tmp_path_factory.mktemp("tmp", numbered=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setenv("TMPDIR", str(temporary))
        patch.setenv("FALSEWORK_HOME", str(temporary.with_name("home-of-no-test")))
        yield temporary


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest, own_temporary_directory: Path) -> Iterator[None]:
    """The first of a test's own fixtures to be set up, so the last to be taken down: then it looks."""
    excuse = request.node.get_closest_marker("leaks")
    if excuse is not None and not excuse.args:
        pytest.fail("a test that may leak says why: @pytest.mark.leaks('the reason')")
    guard = LeakGuard(request.node.nodeid, own_temporary_directory, _loop_of(request))
    yield
    left = [] if excuse else guard.left_behind()
    if left:
        pytest.fail("the test left behind:\n" + "\n".join(f"  {line}" for line in left), pytrace=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty FALSEWORK_HOME of the test's own, mode 0700."""
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("FALSEWORK_HOME", str(directory))
    return directory


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens now. Where port 0 will do, use that: somebody else may take this one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class LeakGuard:
    """What there was before a test, and what there is more of afterwards."""

    def __init__(self, nodeid: str, temporary: Path, loop: asyncio.AbstractEventLoop | None) -> None:
        self.temporary, self.loop = temporary, loop
        self.marks = (f"PYTEST_CURRENT_TEST={nodeid} (".encode(), str(temporary.parent).encode())
        self.processes = _process_ids()
        self.threads = set(threading.enumerate())
        self.tasks = self._unfinished_tasks()
        self.files = set(os.listdir(temporary))
        self.descriptors = _descriptors()

    def left_behind(self) -> list[str]:
        """What the test left, a line each. Looks again for a while at what may be about to end."""
        if not self._look():
            return []
        gc.collect()
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := self._look()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return left

    def _look(self) -> list[str]:
        if self.loop is not None and not self.loop.is_closed():
            self.loop.run_until_complete(asyncio.sleep(0))
        return [*self._processes(), *self._threads(), *self._tasks(), *self._descriptors(), *self._files()]

    def _processes(self) -> Iterator[str]:
        for process in _process_ids() - self.processes:
            if self._is_of_the_test(process):
                yield f"process {process}: {_command(process)}"

    def _is_of_the_test(self, process: int) -> bool:
        """A descendant that no wider fixture's process started, or an orphan that carries the test's marks."""
        lineage = _lineage(process)
        if os.getpid() in lineage:
            return lineage[lineage.index(os.getpid()) - 1] not in self.processes
        said = _read(process, "environ") + _read(process, "cmdline")
        return any(mark in said for mark in self.marks)

    def _threads(self) -> Iterator[str]:
        lasting = LASTING_THREADS + (LOOP_THREADS if self.loop else ())
        for thread in set(threading.enumerate()) - self.threads:
            if not thread.name.startswith(lasting):
                yield f"thread {thread.name}"

    def _tasks(self) -> Iterator[str]:
        for task in self._unfinished_tasks() - self.tasks:
            yield f"task {task.get_name()}: {task.get_coro()}"

    def _unfinished_tasks(self) -> set[asyncio.Task[object]]:
        return asyncio.all_tasks(self.loop) if self.loop is not None else set()

    def _descriptors(self) -> Iterator[str]:
        for number, target in sorted(_descriptors().items()):
            if self.descriptors.get(number) != target:
                yield f"descriptor {number}: {target}{_ends(number) if target.startswith('socket:') else ''}"

    def _files(self) -> Iterator[str]:
        for name in sorted(set(os.listdir(self.temporary)) - self.files):
            if not name.startswith(BROWSER_FILES):
                yield f"temporary file or directory {self.temporary / name}"


def _loop_of(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoop | None:
    """The loop of an async test. The fixture asks for its runner, so the loop is open until after the guard's look."""
    runners = [name for name in request.fixturenames if name.endswith("_scoped_runner")]
    return request.getfixturevalue(runners[0]).get_loop() if runners else None


def _process_ids() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def _read(process: int, name: str) -> bytes:
    """A file of /proc; empty for a process that is gone, or somebody else's."""
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""


def _lineage(process: int) -> list[int]:
    """A process, its parent, and so on up to the first of all."""
    lineage = [process]
    while fields := _read(lineage[-1], "stat").rpartition(b")")[2].split():
        lineage.append(int(fields[1]))
    return lineage


def _command(process: int) -> str:
    return (
        _read(process, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip() or "ended, but not waited for"
    )


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # the listing's own
    return found


def _ends(descriptor: int) -> str:
    """From where to where a socket goes, as far as the system tells."""
    for connection in psutil.Process().net_connections("all"):
        if connection.fd == descriptor:
            return f" from {connection.laddr or '-'} to {connection.raddr or '-'}, {connection.status.lower()}"
    return ""
