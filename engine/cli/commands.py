"""Every command as a user sees it: its name, arguments, options and help. What it does is in the file that it calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .choices import Example, PictureFormat, SubmissionKind, TableFormat
from .exits import reported


class Commands(TyperGroup):
    """All commands; an error of any of them is told and leaves with its exit code."""

    def invoke(self, ctx: Any) -> Any:
        with reported():
            return super().invoke(ctx)


File = Annotated[Path, typer.Argument(metavar="FILE", help="A task file, or a directory that holds a task.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Values that replace the file's, as in architect.port=3000."),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or as much of its beginning as is unique.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write to this file, not to stdout.")]

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help looks better and takes three times as long
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"falsework {version('falsework')}")
        raise typer.Exit


@app.callback()
def falsework(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Puts a task server up, lets people work through it, collects what they hand in, and always takes it down again.

    Exit codes: 0 done and down, 1 failed but down, 2 usage or configuration, 3 something still stands, 130 interrupted and
    down.
    """


@app.command()
def launch(
    file: File,
    overrides: Overrides = None,
    bots: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Rehearse with this many scripted workers.")
    ] = None,
    think: Annotated[str, typer.Option(metavar="TIME", help="How long a bot takes for a unit, such as 0.2s.")] = "0s",
    bot_faults: Annotated[
        float,
        typer.Option(metavar="P", min=0, max=1, help="How likely a bot leaves, reloads or drops out at each step."),
    ] = 0.0,
    bot_seed: Annotated[int, typer.Option(metavar="N", help="Another seed, other answers and faults.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run a task to its end.

    Puts its server up, waits until every unit is done, and takes the server down. Ctrl-C stops it and takes everything
    down; again, it says what it waits for; the third time it leaves at once.
    """
    from .launch import bot_settings, launch

    launch(file, overrides or (), bot_settings(bots, think, bot_faults, bot_seed), as_json)


@app.command()
def check(file: File, overrides: Overrides = None) -> None:
    """Say what a task file would do.

    Or all that is wrong with it. Creates nothing.
    """
    from .tasks import check

    check(file, overrides or ())


@app.command()
def ps(
    every: Annotated[bool, typer.Option("--all", help="Also the runs that have ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs that stand, newest first."""
    from .runs import ps

    ps(every, as_json)


@app.command()
def show(run: RunId, as_json: AsJson = False) -> None:
    """Tell the story of a run.

    Its states and why it came there, what stands, what was handed in.
    """
    from .runs import show

    show(run, as_json)


@app.command()
def logs(
    run: RunId,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="Only the last N lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
) -> None:
    """Print what a run's server logged."""
    from .logs import logs

    logs(run, lines, follow)


@app.command()
def shutdown(
    run: RunId,
    force: Annotated[
        bool, typer.Option(help="Also if it was launched on another host. It will not be looked for there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a run down.

    Whoever launched it, and whether or not the launcher lives. Does nothing if it is down.
    """
    from .shutdown import shutdown

    shutdown(run, force, as_json)


@app.command()
def resume(run: RunId, as_json: AsJson = False) -> None:
    """Take up a run whose launcher is gone.

    Its server goes on under the same URL, who is at work stays at work, and what was handed in meanwhile is collected. The
    rest is as with `launch`.
    """
    from .recover import resume

    resume(run, as_json)


@app.command()
def collect(run: RunId, as_json: AsJson = False) -> None:
    """Take in what the server of a dead launcher holds.

    Without resuming the run: nobody is given work.
    """
    from .recover import collect

    collect(run, as_json)


@app.command()
def sweep(
    elsewhere: Annotated[
        bool, typer.Option(help="Also what was launched elsewhere: on other hosts, or from other homes.")
    ] = False,
    provider: Annotated[
        bool, typer.Option(help="Also what carries falsework's mark at the providers and is in no ledger here.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take down what dead launchers left behind.

    What their servers hold is collected first. A run whose launcher lives is never touched.
    """
    from .sweep import sweep

    sweep(elsewhere, provider, yes, as_json)


@app.command()
def export(
    run: RunId,
    table_format: Annotated[
        TableFormat | None, typer.Option("--format", help="csv, unless the file's name ends in .jsonl.")
    ] = None,
    output: Output = None,
    kind: Annotated[list[SubmissionKind] | None, typer.Option(help="May be repeated. Default: unit.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also the extras, which do not count.")] = False,
) -> None:
    """Write what the workers handed in.

    One row for each submission, oldest first.
    """
    from .results import export

    export(run, table_format, output, [*(kind or [SubmissionKind.UNIT])], every)


@app.command()
def diagram(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run whose way is to be shown.")] = None,
    picture_format: Annotated[
        PictureFormat | None, typer.Option("--format", help="mermaid, unless the file's name ends in .svg.")
    ] = None,
    output: Output = None,
) -> None:
    """Draw the lifecycle, or a run's way in it."""
    from .about import diagram

    diagram(run, picture_format, output)


@app.command()
def new(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that is empty or not there yet.")],
    example: Annotated[Example, typer.Option(help="What to start from.")] = Example.QUESTION,
) -> None:
    """Make a task that launches as it is."""
    from .tasks import new

    new(directory, example)


@app.command()
def architects(as_json: AsJson = False) -> None:
    """List where a server can run.

    And which lines of the promise each of these keeps when its launcher is gone.
    """
    from .about import architects

    architects(as_json)
