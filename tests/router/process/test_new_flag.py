"""A flag is added by changing the table alone, in a copy of the tree, and arrives wherever something is started."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOURCES = Path(__file__).parents[3]
TABLE = "router/wire/router_args.py"
CLASS = re.compile(r'class TaskSettings:\n    """.*?"""\n', re.DOTALL)
FIELD = """
    greeting: str = field(default="none", metadata=flag(Kind.TEXT, "what to say to whoever comes", "WORDS"))
    patience: Seconds | None = field(default=None, metadata=flag(Kind.DURATION, "how long to wait", "D"))
"""
SECTION = {"greeting": "good day", "patience": "90s"}
"""What a task file says."""

FROM_A_TASK_FILE = """
import json, logging, sys
from dataclasses import asdict
from pathlib import Path
from falsework.architects.heroku.args import HerokuArgs
from falsework.architects.heroku.bundle import server_command
from falsework.architects.local.args import LocalArgs
from falsework.architects.local.told import router_command, server_variables
from falsework.engine.settings.fields import schema_for
from falsework.engine.contract.architect import Site

def site(args, name):
    section = schema_for(args).load({"type": name, **json.loads(sys.argv[1])})
    return Site("greet-1", section, None, Path("."), "token", logging.getLogger())

local = site(LocalArgs, "local")
told = {
    "local": router_command((), local),
    "heroku": list(server_command((), site(HerokuArgs, "heroku"))),
    "own": server_variables(local, 3000),
}
print(json.dumps(told))
"""
READ_BY_PYTHON = """
import json
from falsework.router.process.command_line import read_command_line
settings = read_command_line(None)
print(json.dumps([settings.greeting, settings.patience]))
"""
READ_BY_NODE = """
import { readSettings } from './falsework/router/node/process/command_line.js'
const { greeting, patience } = readSettings(process.argv.slice(1), { FALSEWORK_TOKEN: 'token' })
console.log(JSON.stringify([greeting, patience]))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of docs/ with two more rows in the table, and what is made from it made anew."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("architects", "engine", "router", "docs"):
        shutil.copytree(
            SOURCES / name, tree / "falsework" / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
        )
    table = tree / "falsework" / TABLE
    changed, count = CLASS.subn(lambda found: found[0] + FIELD, table.read_text("utf-8"))
    assert count == 1
    table.write_text(changed, "utf-8")
    run(tree, sys.executable, "falsework/docs/regenerate.py")
    static = tree / "static"
    static.mkdir()
    (static / "index.html").touch()
    return tree


@pytest.fixture(scope="module")
def told(tree: Path) -> dict[str, list[str]]:
    """What each server is told by the task file that says both."""
    said: dict[str, list[str]] = json.loads(run(tree, sys.executable, "-c", FROM_A_TASK_FILE, json.dumps(SECTION)))
    return said


def run(tree: Path, *command: str) -> str:
    """What a command says that has the copy in the place of the packages."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "FALSEWORK_TOKEN": "token"}
    ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def without_the_token_file(flags: list[str]) -> list[str]:
    """There is none here; the token comes from the environment."""
    return [flag for flag in flags if not flag.startswith("--token-file=")]


@pytest.mark.parametrize("architect", ["local", "heroku"])
def test_it_arrives_at_the_router_in_python(tree: Path, told: dict[str, list[str]], architect: str) -> None:
    flags = without_the_token_file(told[architect])
    assert json.loads(run(tree, sys.executable, "-c", READ_BY_PYTHON, *flags)) == ["good day", 90.0]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
@pytest.mark.parametrize("architect", ["local", "heroku"])
def test_it_arrives_at_the_router_in_node(tree: Path, told: dict[str, list[str]], architect: str) -> None:
    flags = without_the_token_file(told[architect])
    assert json.loads(run(tree, "node", "--input-type=module", "-e", READ_BY_NODE, "--", *flags)) == ["good day", 90]


def test_it_arrives_at_a_server_of_ones_own(told: dict[str, dict[str, str]]) -> None:
    assert told["own"].items() >= {"FALSEWORK_GREETING": "good day", "FALSEWORK_PATIENCE": "90s"}.items()


def test_the_docs_and_the_help_say_it(tree: Path) -> None:
    page = (tree / "falsework" / "docs" / "router.md").read_text("utf-8")
    assert "| `--greeting WORDS` | `greeting` | `FALSEWORK_GREETING` | `none` | what to say to whoever comes |" in page
    assert "what to say to whoever comes" in run(tree, sys.executable, "-m", "falsework.router", "--help")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_help_of_the_router_in_node_says_it(tree: Path) -> None:
    read = (
        "import { readSettings } from './falsework/router/node/process/command_line.js'; readSettings(['--help'], {})"
    )
    assert "--greeting WORDS" in run(tree, "node", "--input-type=module", "-e", read)
