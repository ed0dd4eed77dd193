"""The command line: `falsework`. What each command is called with is in commands.py, what it does in a file beside it.

Nothing of the engine is imported before a command needs it, so that `falsework --help` answers at once.
"""

from __future__ import annotations

from .commands import app
from .exits import end_without_what_is_left
from .streams import make_stderr_unbreakable


def main() -> None:
    """The console script. Ends the process, with a code of exits.py."""
    make_stderr_unbreakable()
    try:
        app()
    except BaseException as ended:
        end_without_what_is_left(ended)
        raise
