from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from falsework.engine.config import LifecycleArgs, ProviderArgs, TaskArgs, TaskFile, load_task_file
from falsework.engine.directories import home, new_run_id, run_directory
from falsework.engine.errors import ConfigError, Problem
from falsework.engine.registry import GROUP
from hypothesis import given
from hypothesis import strategies as st

HARBOUR = """
from dataclasses import dataclass, field
from pathlib import Path
from falsework.engine.architect import Architect, ArchitectArgs
@dataclass(frozen=True)
class HarbourArgs(ArchitectArgs):
    port: int = field(default=0, metadata={"min": 0, "max": 65535})
    host: str = "127.0.0.1"
    chart: Path | None = None
    config_args: dict[str, str] = field(default_factory=dict)
class Harbour(Architect):
    ArgsClass = HarbourArgs
"""

MINIMAL = """
task:
  name: caption
  static: static
  units: units.jsonl
architect: {type: harbour}
"""

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def harbour(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package whose architect is called harbour."""
    site = tmp_path_factory.mktemp("site")
    (site / "harbour_of_a_test.py").write_text(HARBOUR)
    metadata = site / "harbour_of_a_test-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: harbour_of_a_test\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nharbour = harbour_of_a_test:Harbour\n")
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("harbour_of_a_test", None)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes task.yaml into a directory with a page and two units."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("<!doctype html>")
    (tmp_path / "units.jsonl").write_text("1\n2\n")

    def write(text: str) -> Path:
        (tmp_path / "task.yaml").write_text(text)
        return tmp_path / "task.yaml"

    return write


def refusal(path: Path, overrides: Sequence[str] = ()) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as refused:
        load_task_file(path, overrides)
    return refused.value.problems


def only_problem(path: Path, *overrides: str) -> Problem:
    problems = refusal(path, overrides)
    assert len(problems) == 1, problems
    return problems[0]


# What a task file may say.


def test_a_minimal_file_has_the_defaults(write: Write, tmp_path: Path) -> None:
    loaded = load_task_file(write(MINIMAL))
    assert loaded == TaskFile(
        file=tmp_path / "task.yaml",
        task=TaskArgs("caption", tmp_path / "static", tmp_path / "units.jsonl"),
        architect=loaded.architect,
        provider=ProviderArgs("link"),
        lifecycle=LifecycleArgs(),
        ignored=(),
    )
    assert (loaded.architect.type, loaded.architect.port) == ("harbour", 0)
    assert loaded.task.submission_timeout == 1800.0
    assert loaded.lifecycle.idle_timeout is None
    assert (loaded.lifecycle.deploy.attempts, loaded.lifecycle.shutdown.timeout) == (4, 300.0)


def test_a_full_file_is_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "hook.py").write_text("async def on_update(agent, update): ...\n")
    file = write("""
task:
  name: chat-2
  static: ./static/
  units: units.jsonl
  assignments_per_unit: 2
  submission_timeout: 1.5h
  review: true
  hook: hook.py
  together: yes
  onboarding: on
  units_per_worker: 3
  config: {title: Hello, nested: {on: [1, 2.5, null]}, date: 2024-01-01, octal: 0755, time: 12:30:00}
architect: {type: harbour, port: 3000, chart: maps/north, config_args: {A: b}}
provider: {type: link}
lifecycle:
  deploy: {attempts: 2, wait_min: 500ms, wait_max: 1s, attempt_timeout: 1m, timeout: 2m}
  shutdown: {attempts: 3, timeout: 10s}
  lease: 20m
  grace: 2d
  idle_timeout: 2h
  max_lifetime: never
  cleanup: after_review
""")
    loaded = load_task_file(file)
    assert loaded.task == TaskArgs(
        name="chat-2",
        static=tmp_path / "static",
        units=tmp_path / "units.jsonl",
        assignments_per_unit=2,
        submission_timeout=5400.0,
        review=True,
        hook=tmp_path / "hook.py",
        together=True,
        onboarding=True,
        units_per_worker=3,
        config={
            "title": "Hello",
            "nested": {"on": [1, 2.5, None]},
            "date": "2024-01-01",
            "octal": "0755",
            "time": "12:30:00",
        },
    )
    assert loaded.architect.chart == tmp_path / "maps" / "north"
    assert loaded.architect.config_args == {"A": "b"}
    assert loaded.lifecycle.deploy.wait_min == 0.5
    assert (loaded.lifecycle.idle_timeout, loaded.lifecycle.max_lifetime) == (7200.0, None)
    assert loaded.lifecycle.cleanup == "after_review"


def test_a_directory_stands_for_its_task_file(write: Write, tmp_path: Path) -> None:
    write(MINIMAL)
    assert load_task_file(str(tmp_path)).file == tmp_path / "task.yaml"


def test_paths_are_absolute_from_wherever_falsework_is_called(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(MINIMAL)
    monkeypatch.chdir(tmp_path.parent)
    loaded = load_task_file(Path(tmp_path.name))
    assert loaded.file == tmp_path / "task.yaml"
    assert loaded.task.static == tmp_path / "static"


def test_without_an_architect_it_is_the_local_one(write: Write) -> None:
    assert load_task_file(write(MINIMAL.replace("architect: {type: harbour}", "architect:"))).architect.type == "local"


def test_anchors_and_merges_are_fine(write: Write) -> None:
    file = write(
        MINIMAL
        + """
lifecycle:
  deploy: &patient {attempts: 7, timeout: 1h}
  shutdown:
    <<: *patient
    attempts: 9
"""
    )
    lifecycle = load_task_file(file).lifecycle
    assert (lifecycle.shutdown.attempts, lifecycle.shutdown.timeout) == (9, 3600.0)


# What is wrong, and where.


def test_all_problems_are_told_at_once_with_their_lines(write: Write) -> None:
    file = write("""# a comment
task:
  name: Caption Task
  static: nowhere
  units: units.jsonl
  assignments_per_unit: 0
  submision_timeout: 5m
architect:
  type: harbour
  port: 70000
lifecycle:
  lease: soon
  deploy:
    atempts: 3
    wait_min: 1h
liefcycle: {}
""")
    problems = refusal(file)
    assert all(problem.file == str(file) for problem in problems)
    assert [(problem.line, problem.key) for problem in problems] == [
        (3, "task.name"),
        (4, "task.static"),
        (6, "task.assignments_per_unit"),
        (7, "task.submision_timeout"),
        (10, "architect.port"),
        (12, "lifecycle.lease"),
        (14, "lifecycle.deploy.atempts"),
        (16, "liefcycle"),
    ]
    by_key = {problem.key: problem.message for problem in problems}
    assert "found 'Caption Task'; allowed: 1 to 30 of a-z, 0-9 and -" in by_key["task.name"]
    assert "such as 'caption-task'" in by_key["task.name"]
    assert "found the number 0; allowed: a whole number, at least 1" in by_key["task.assignments_per_unit"]
    assert "did you mean 'submission_timeout'?" in by_key["task.submision_timeout"]
    assert "at least 0 and at most 65535" in by_key["architect.port"]
    assert "found 'soon'; allowed: a duration" in by_key["lifecycle.lease"]
    assert "did you mean 'attempts'?" in by_key["lifecycle.deploy.atempts"]
    assert "did you mean 'lifecycle'?" in by_key["liefcycle"]


def test_what_is_missing_stands_at_its_section(write: Write) -> None:
    problems = refusal(write("\ntask:\n  name: x\narchitect: {type: harbour}\n"))
    assert [(problem.line, problem.key) for problem in problems] == [(2, "task.static"), (2, "task.units")]
    assert problems[0].message == "is missing; allowed: a path"


def test_a_missing_section_says_what_belongs_there(write: Write) -> None:
    problem = only_problem(write("architect: {type: harbour}\n"))
    assert (problem.line, problem.key) == (None, "task")
    assert problem.message.startswith("is missing; allowed: a section with the keys name, static, units")


def test_waits_that_do_not_fit_together_are_refused(write: Write) -> None:
    problem = only_problem(write(MINIMAL + "lifecycle:\n  shutdown: {wait_min: 1m, wait_max: 5s}\n"))
    assert (problem.line, problem.key) == (8, "lifecycle.shutdown")
    assert problem.message == "wait_min (60s) is longer than wait_max (5s)"


@pytest.mark.parametrize("name", ["", "1st", "-a", "a_b", "Ab", "ä", "a" * 31, "a\n"])
def test_a_name_that_no_backend_would_take_is_refused(write: Write, name: str) -> None:
    problem = only_problem(write(MINIMAL), f"task.name={name!r}".replace("\\n", "\n\n"))
    assert problem.key == "task.name"


def test_an_unknown_architect_names_the_nearest_beside_other_problems(write: Write) -> None:
    problems = refusal(write(MINIMAL.replace("harbour", "harbor").replace("caption", "1")))
    assert [(problem.line, problem.key) for problem in problems] == [(3, "task.name"), (6, "architect.type")]
    assert "did you mean 'harbour'?" in problems[1].message


@pytest.mark.parametrize("section", ["harbour", "[harbour]", "{type: 5}", "{type: }"])
def test_an_architect_that_is_no_section_is_refused(write: Write, section: str) -> None:
    problem = only_problem(write(MINIMAL.replace("{type: harbour}", section)))
    assert problem.line == 6
    assert problem.message.startswith("found ")


def test_an_unknown_provider_is_refused(write: Write) -> None:
    problem = only_problem(write(MINIMAL + "provider: {type: pigeon}\n"))
    assert (problem.line, problem.key, problem.message) == (7, "provider.type", "found 'pigeon'; allowed: link")


# What cannot be read.


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    problem = only_problem(tmp_path / "task.yaml")
    assert str(problem) == f"{tmp_path / 'task.yaml'}: cannot be read: No such file or directory"


def test_a_name_that_no_file_can_have_is_an_error() -> None:
    assert "cannot be read: " in only_problem(Path("a\0b")).message


def test_a_directory_without_a_task_file_is_an_error(tmp_path: Path) -> None:
    assert "holds no task.yaml" in only_problem(tmp_path).message


@pytest.mark.parametrize(
    "text, found", [("", "nothing"), ("# only this\n", "nothing"), ("[1]", "a list"), ("hello", "'hello'")]
)
def test_what_is_no_section_of_keys_is_an_error(write: Write, text: str, found: str) -> None:
    assert only_problem(write(text)).message == f"found {found}; allowed: a section `task:` and others"


@pytest.mark.parametrize(
    "text, line",
    [
        ("task:\n  name: [1\n", 3),
        ("task:\n\tname: x\n", 2),
        ("a: b: c\n", 1),
        ("a: *nobody\n", 1),
        ("a: 1\n---\nb: 2\n", 2),
        ("task: {a: 1,\n b\x07: 2}\n", 2),
    ],
    ids=["unclosed", "tab", "two values", "no anchor", "two documents", "control character"],
)
def test_what_is_not_yaml_names_the_line(write: Write, text: str, line: int) -> None:
    problem = only_problem(write(text))
    assert problem.message.startswith("is not YAML: ")
    assert problem.line == line


def test_what_is_not_utf8_names_the_line(write: Write) -> None:
    file = write("")
    file.write_bytes(b"task:\n  name: caf\xe9\n")
    assert (only_problem(file).line, only_problem(file).message) == (2, "is not UTF-8 text")


def test_a_byte_order_mark_and_windows_lines_are_fine(write: Write) -> None:
    file = write("")
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load_task_file(file).task.name == "caption"


def test_keys_given_twice_are_all_named(write: Write) -> None:
    problems = refusal(write(MINIMAL + "task: {}\nlifecycle:\n  lease: 1m\n  lease: 2m\n"))
    assert [(problem.line, problem.key, problem.message) for problem in problems] == [
        (7, "task", "is given twice, first on line 2"),
        (10, "lifecycle.lease", "is given twice, first on line 9"),
    ]


@pytest.mark.parametrize(
    "value, expected",
    [
        (
            "!!python/object/apply:os.getcwd []",
            "the tag tag:yaml.org,2002:python/object/apply:os.getcwd is not allowed",
        ),
        ("!!binary aGk=", "is not allowed"),
        ("!secret x", "the tag !secret is not allowed"),
        ("!!set {a}", "is not allowed"),
        ("!!int many", "cannot be read as int"),
        ("!!bool maybe", "cannot be read as bool"),
        ("9" * 5000, "cannot be read as int"),
        ('"\\uD800"', "cannot be read as str"),
        ("1e999", "allowed: a number that is finite"),
        ("!!float .nan", "allowed: a number that is finite"),
        ("{? [a] : 1}", "has a key on line 7 that is a list or a section"),
        ("{<<: 5}", "merges (<<) what is no section"),
    ],
)
def test_only_plain_values_are_read(write: Write, value: str, expected: str) -> None:
    problem = only_problem(write(MINIMAL.replace("architect:", f"  config:\n    x: {value}\narchitect:")))
    assert (problem.line, problem.key) == (7, "task.config.x")
    assert expected in problem.message


def bomb(levels: int, form: str) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} " + form.format(", ".join([f"*a{n - 1}"] * 10)) for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(9, "[{}]"),
        bomb(9, "{{<<: [{}]}}"),
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a {<<: *a}\n",
        "a: " + "[" * 600 + "]" * 600,
        pytest.param("a: [" + "1, " * 21_000 + "1]", marks=pytest.mark.slow),
        'a: &a "' + "x" * 200_000 + '"\nb: [*a, *a, *a, *a, *a, *a]\n',
        "a: " + "x" * 2_000_000,
    ],
    ids=["lists", "merges", "in itself", "in its section", "merged into itself", "deep", "long", "wide", "large"],
)
def test_a_document_that_would_explode_is_refused(write: Write, text: str) -> None:
    message = only_problem(write(text)).message
    assert any(
        words in message for words in ("expand to more than", "nested too deeply", "it has more than", "is larger than")
    )


@given(st.text(max_size=60))
def test_whatever_stands_in_a_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "whatever.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load_task_file(file)


# Overrides on the command line.


def test_an_override_wins(write: Write) -> None:
    overrides = ["architect.port=3000", "task.review=true", "lifecycle.deploy.attempts=2", "task.config={a: [1]}"]
    loaded = load_task_file(write(MINIMAL), overrides)
    assert loaded.architect.port == 3000
    assert loaded.task.review is True
    assert loaded.lifecycle.deploy.attempts == 2
    assert loaded.task.config == {"a": [1]}


def test_the_last_of_two_overrides_wins_and_a_value_may_hold_an_equals_sign(write: Write) -> None:
    loaded = load_task_file(write(MINIMAL), ["task.config.a=1", "task.config.a=x=y"])
    assert loaded.task.config == {"a": "x=y"}


@pytest.mark.parametrize(
    "override, key, expected",
    [
        ("architect.port=x", "architect.port", "found 'x'; allowed: a whole number"),
        ("architect.prot=1", "architect.prot", "did you mean 'port'?"),
        ("architekt.port=1", "architekt", "did you mean 'architect'?"),
        ("liefcycle=1", "liefcycle", "did you mean 'lifecycle'?"),
        ("lifecycle.deploy={attempts: 0}", "lifecycle.deploy.attempts", "at least 1"),
        ("architect.type=harbor", "architect.type", "did you mean 'harbour'?"),
        ("task.name.x=1", "task.name.x", "stands in something that has no keys"),
        ("task.name=[", "task.name", "is not YAML: "),
        ("task.name=!!set {a}", "task.name", "is not allowed"),
        ("task.static=nowhere", "task.static", "found no directory"),
        ("task.name=", "task.name", "found nothing; allowed: text"),
        ("port", None, "found 'port'; allowed: key=value"),
        ("=3", None, "found '=3'; allowed: key=value"),
        ("task..name=3", None, "allowed: key=value"),
    ],
)
def test_a_problem_of_an_override_names_the_command_line(
    write: Write, override: str, key: str | None, expected: str
) -> None:
    problem = only_problem(write(MINIMAL), override)
    assert (problem.file, problem.line, problem.key) == ("command line", None, key)
    assert expected in problem.message


def test_problems_of_the_file_and_of_overrides_are_told_together(write: Write) -> None:
    problems = refusal(write(MINIMAL.replace("caption", "1")), ["architect.port=-1", "nonsense"])
    assert {(problem.file, problem.key) for problem in problems} == {
        (str(write("").parent / "task.yaml"), "task.name"),
        ("command line", "architect.port"),
        ("command line", None),
    }


# The files that a task names.


def test_a_static_directory_needs_an_index(write: Write, tmp_path: Path) -> None:
    (tmp_path / "static" / "index.html").unlink()
    problem = only_problem(write(MINIMAL))
    assert (problem.line, problem.key) == (4, "task.static")
    assert problem.message.startswith("found no index.html in ")


def test_links_that_lead_out_or_nowhere_are_named(write: Write, tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "deep").mkdir()
    (static / "deep" / "out").symlink_to("../../units.jsonl")
    (static / "absolute").symlink_to("/etc")
    (static / "nowhere").symlink_to("missing.png")
    (static / "round").symlink_to("round")
    (static / "deep" / "up").symlink_to("..")
    (static / "fine").symlink_to("index.html")
    os.mkfifo(static / "pipe")
    found = {Path(p.file or "").name: p.message for p in refusal(write(MINIMAL))}
    assert found == {
        "out": "is a link that leads out of the task's static directory, to ../../units.jsonl",
        "absolute": "is a link that leads out of the task's static directory, to /etc",
        "nowhere": "is a link that leads nowhere, to missing.png",
        "round": "is a link that leads nowhere, to round",
        "up": "is a link to a directory that holds it, ..",
        "pipe": "is neither a file nor a directory",
    }


def test_of_many_bad_links_the_rest_is_counted(write: Write, tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / "static" / f"link{number}").symlink_to("/etc")
    problems = refusal(write(MINIMAL))
    assert len(problems) == 21
    assert "and 5 more" in [problem.message for problem in problems]


def test_a_static_directory_may_itself_be_a_link(write: Write, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to("static")
    assert load_task_file(write(MINIMAL), ["task.static=linked"]).task.static == tmp_path / "linked"


def test_bad_units_are_told_with_the_rest(write: Write, tmp_path: Path) -> None:
    (tmp_path / "units.jsonl").write_text("1\nx\n")
    problems = refusal(write(MINIMAL), ["architect.port=-1"])
    assert (str(tmp_path / "units.jsonl"), 2) in [(problem.file, problem.line) for problem in problems]
    assert ("command line", None) in [(problem.file, problem.line) for problem in problems]


def test_missing_units_and_a_missing_hook_are_named_at_their_lines(write: Write, tmp_path: Path) -> None:
    (tmp_path / "units.jsonl").unlink()
    problems = refusal(write(MINIMAL.replace("architect:", "  hook: hook.py\narchitect:")))
    assert [(problem.line, problem.key) for problem in problems] == [(5, "task.units"), (6, "task.hook")]
    assert all("found no file" in problem.message for problem in problems)


@pytest.mark.parametrize(
    "source, line",
    [("x = 1\ndef on_update(:\n", 2), ("\nreturn 1\n", 2), ("x = '\0'\n", None)],
    ids=["syntax", "return", "NUL"],
)
def test_a_hook_that_is_no_python_names_its_line(write: Write, tmp_path: Path, source: str, line: int | None) -> None:
    (tmp_path / "hook.py").write_text(source)
    problem = only_problem(write(MINIMAL), "task.hook=hook.py")
    assert problem.file == str(tmp_path / "hook.py")
    assert problem.line == line


# The form that Mephisto's users have.

MEPHISTO = """#@package _global_
defaults:
  - /mephisto/architect: local
mephisto:
  blueprint:
    _blueprint_type: static_task
    data_jsonl: ${task_dir}/units.jsonl
    task_source: ${task_dir}/static/index.html
    units_per_assignment: 2
    onboarding_qualification: trained
    block_qualification: null
  task:
    task_name: Caption_Task 1
    task_title: Caption these
    submission_timeout: 600
    assignment_duration_in_seconds: 3600
    maximum_units_per_worker: 5
  architect:
    _architect_type: harbour
    port: 3000
    config_args: {A: b}
    server_type: node
  provider:
    _provider_type: mock
    requester_name: me
num_conversations: 4
"""


def test_the_mephisto_form_is_read(write: Write, tmp_path: Path) -> None:
    loaded = load_task_file(write(MEPHISTO))
    assert loaded.task == TaskArgs(
        name="caption-task-1",
        static=tmp_path / "static",
        units=tmp_path / "units.jsonl",
        assignments_per_unit=2,
        submission_timeout=3600.0,
        onboarding=True,
        units_per_worker=5,
    )
    assert (loaded.architect.type, loaded.architect.port) == ("harbour", 3000)
    assert loaded.architect.config_args == {"A": "b"}
    assert loaded.provider.type == "link"


def test_what_of_the_mephisto_form_means_nothing_is_listed(write: Write) -> None:
    assert sorted(load_task_file(write(MEPHISTO)).ignored) == [
        "defaults",
        "mephisto.architect.server_type",
        "mephisto.blueprint._blueprint_type",
        "mephisto.blueprint.block_qualification",
        "mephisto.provider.requester_name",
        "mephisto.task.submission_timeout",
        "mephisto.task.task_title",
        "num_conversations",
    ]


def test_falseworks_own_sections_win_over_the_mephisto_form(write: Write, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").touch()
    file = write(MEPHISTO + "task:\n  static: other\n  name: mine\narchitect: {port: 1}\n")
    loaded = load_task_file(file)
    assert (loaded.task.name, loaded.task.static) == ("mine", tmp_path / "other")
    assert loaded.task.units == tmp_path / "units.jsonl"
    assert (loaded.architect.type, loaded.architect.port) == ("harbour", 1)
    assert {"mephisto.task.task_name", "mephisto.blueprint.task_source", "mephisto.architect.port"} <= set(
        loaded.ignored
    )


def test_problems_of_the_mephisto_form_stand_where_they_were_written(write: Write) -> None:
    text = MEPHISTO.replace("harbour", "harbor").replace(
        "maximum_units_per_worker: 5", "maximum_units_per_worker: many"
    )
    text = text.replace("_provider_type: mock", "_provider_type: pigeon")
    problems = refusal(write(text))
    assert [(problem.line, problem.key) for problem in problems] == [
        (17, "mephisto.task.maximum_units_per_worker"),
        (19, "mephisto.architect._architect_type"),
        (24, "mephisto.provider._provider_type"),
    ]


def test_what_the_mephisto_form_lacks_is_missing(write: Write) -> None:
    problems = refusal(write("mephisto: {architect: {_architect_type: harbour}, task: {task_name: x}}\n"))
    assert [problem.key for problem in problems] == ["task.static", "task.units"]


@pytest.mark.parametrize("text", ["mephisto: 3\n", "mephisto: {architect: heroku}\n"])
def test_a_mephisto_form_that_is_no_section_is_refused(write: Write, text: str) -> None:
    problem = only_problem(write(text + MINIMAL))
    assert "allowed: a section" in problem.message


def test_an_override_of_the_mephisto_form_is_an_override(write: Write) -> None:
    assert load_task_file(write(MEPHISTO), ["architect.port=9"]).architect.port == 9
    assert load_task_file(write(MEPHISTO), ["mephisto.architect.port=9"]).architect.port == 9
    problem = only_problem(write(MEPHISTO), "architekt.port=9")
    assert (problem.file, problem.key) == ("command line", "architekt")


def test_hydras_configuration_directory_lies_below_the_tasks(write: Write, tmp_path: Path) -> None:
    conf = tmp_path / "hydra_configs" / "conf"
    conf.mkdir(parents=True)
    write(MEPHISTO).rename(conf / "example.yaml")
    assert load_task_file(conf / "example.yaml").task.units == tmp_path / "units.jsonl"


def test_a_json_array_of_units_is_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "units.json").write_text("[1, 2]")
    file = write(MEPHISTO.replace("data_jsonl: ${task_dir}/units.jsonl", "data_json: units.json"))
    assert load_task_file(file).task.units == tmp_path / "units.json"


# Where falsework keeps its state.


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
