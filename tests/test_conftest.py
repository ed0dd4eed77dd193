"""The guard of conftest.py catches each kind of leak, lets wider fixtures be, and costs next to nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SETTINGS = """\
[pytest]
addopts = --strict-markers -p no:cacheprovider
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

LEAKS = """
import asyncio, os, socket, subprocess, sys, tempfile, threading
import pytest

kept, go_on = [], threading.Event()

@pytest.fixture(scope="module", autouse=True)
def _end_what_leaked():
    yield
    go_on.set()
    for thing in kept:
        if isinstance(thing, subprocess.Popen):
            thing.kill()
            thing.wait()
        if isinstance(thing, socket.socket):
            thing.close()

def test_process():
    kept.append(subprocess.Popen(["sleep", "60"]))

def test_unawaited_process():
    subprocess.Popen(["true"]).returncode = 0

def test_orphan(tmp_path):
    script = "import subprocess; print(subprocess.Popen(['sleep', '1.5']).pid)"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)

def test_thread():
    kept.append(threading.Thread(target=go_on.wait, name="left-alone"))
    kept[-1].start()

async def test_task():
    kept.append(asyncio.create_task(asyncio.Event().wait(), name="never-awaited"))

def test_socket():
    kept.append(socket.create_server(("127.0.0.1", 0)))

def test_file():
    kept.append(os.open("/dev/null", os.O_RDONLY))

def test_directory():
    kept.append(tempfile.mkdtemp(prefix="forgotten-"))

@pytest.mark.leaks
def test_excuse_without_reason():
    pass
"""

CLEAN = """
import asyncio, socket, subprocess, tempfile, threading
import pytest

@pytest.fixture(scope="module", autouse=True)
def sleeper():
    with subprocess.Popen(["sh", "-c", "read line; sleep 1 & wait"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()

def test_what_a_wider_fixture_holds_and_starts_is_not_the_tests(sleeper):
    sleeper.stdin.write(b"go\\n")
    sleeper.stdin.flush()

@pytest.fixture
async def ticking():
    task = asyncio.create_task(asyncio.Event().wait())
    yield
    task.cancel()

async def test_what_a_fixture_takes_down_is_no_leak(ticking):
    await asyncio.to_thread(lambda: None)

async def test_what_is_about_to_end_may_end():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.close()
    server.close()
    threading.Timer(0.05, lambda: None).start()

def test_what_is_cleaned_up_is_no_leak(home, free_port):
    assert home.stat().st_mode & 0o777 == 0o700
    with tempfile.TemporaryDirectory(), socket.create_server(("127.0.0.1", free_port)):
        subprocess.run(["true"], check=True)

@pytest.mark.leaks("shows that it may")
def test_excuse():
    tempfile.mkdtemp()
"""

SKIPS = """
import pytest

def test_no_browser():
    pytest.skip("no Chromium here")

@pytest.mark.skip(reason="capability: resumable")
def test_capability():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_expected():
    raise ValueError
"""


@pytest.fixture
def guarded(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(SETTINGS)
    conftest = Path(__file__).with_name("conftest.py").read_text("utf-8")
    pytester.makeconftest(re.sub("^SETTLE_SECONDS = .*", "SETTLE_SECONDS = 0.3", conftest, flags=re.MULTILINE))
    return pytester


@pytest.mark.slow
@pytest.mark.decisive
def test_every_kind_of_leak_fails_its_test_by_name(guarded: pytest.Pytester) -> None:
    guarded.makepyfile(LEAKS)
    result = guarded.runpytest_subprocess("-v")
    result.assert_outcomes(passed=8, errors=9)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_process*",
            "  process *: sleep 60",
            "*ERROR at teardown of test_unawaited_process*",
            "  process *: ended, but not waited for",
            "*ERROR at teardown of test_orphan*",
            "  process *: sleep 1.5",
            "*ERROR at teardown of test_thread*",
            "  thread left-alone",
            "*ERROR at teardown of test_task*",
            "  task never-awaited: *",
            "*ERROR at teardown of test_socket*",
            "  descriptor *: socket:* from *127.0.0.1* listen",
            "*ERROR at teardown of test_file*",
            "  descriptor *: /dev/null",
            "*ERROR at teardown of test_directory*",
            "  temporary file or directory *forgotten-*",
            "*ERROR at setup of test_excuse_without_reason*",
        ]
    )


@pytest.mark.slow
def test_what_ends_or_belongs_to_others_is_no_leak(guarded: pytest.Pytester) -> None:
    guarded.makepyfile(CLEAN)
    guarded.runpytest_subprocess("-v").assert_outcomes(passed=5)


@pytest.mark.slow
def test_ci_turns_skips_into_failures_but_for_capabilities(
    guarded: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded.makepyfile(test_skips=SKIPS, test_module="import pytest\npytest.importorskip('no_such_module')\n")
    monkeypatch.setenv("CI", "true")
    result = guarded.runpytest_subprocess("--continue-on-collection-errors")
    result.assert_outcomes(failed=1, skipped=1, xfailed=1, errors=1)
    result.stdout.fnmatch_lines(["*This one says: no Chromium here"])
    monkeypatch.setenv("CI", "")
    guarded.runpytest_subprocess().assert_outcomes(skipped=3, xfailed=1)


TIERS = """
import pytest

def test_quick():
    pass

@pytest.mark.slow
def test_slow():
    pass

@pytest.mark.slow
@pytest.mark.decisive
def test_decisive():
    pass

@pytest.mark.parametrize("number", range(2))
def test_of_a_page(number):
    pytest.skip("no chromium here")

@pytest.mark.skip(reason="capability: resumable")
def test_capability():
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["--numprocesses=0", "--numprocesses=2"])
@pytest.mark.decisive
def test_the_short_tier_says_what_it_leaves_out_and_what_it_skips(
    guarded: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    guarded.makepyfile(test_tiers=TIERS)
    monkeypatch.setenv("CI", "")
    short = guarded.runpytest_subprocess(processes)
    short.assert_outcomes(passed=2, skipped=3, deselected=0 if processes.endswith("2") else 1)
    skipped = "skipped: 2 for want of chromium; install it to run them"
    short.stdout.fnmatch_lines([skipped, "left out: 1 slow tests; run them with: pytest --everything", "=*passed*"])
    whole = guarded.runpytest_subprocess(processes, "--everything")
    whole.assert_outcomes(passed=3, skipped=3)
    whole.stdout.fnmatch_lines([skipped, "=*passed*"])
    whole.stdout.no_fnmatch_line("left out: *")


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [("test_tiers.py",), ("-m", "slow or not slow")], ids=["by file", "by marker"])
def test_what_is_chosen_runs_whole(guarded: pytest.Pytester, chosen: tuple[str, ...]) -> None:
    guarded.makepyfile(test_tiers=TIERS)
    result = guarded.runpytest_subprocess("-k", "slow or quick or decisive", *chosen)
    result.assert_outcomes(passed=3, deselected=3)
