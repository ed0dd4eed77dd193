"""The end of an app's log, without what Heroku says there of each request."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing

from .api import HerokuApi
from .errors import Unanswered
from .rows import HerokuApp

MOST_KEPT = 1500
"""Lines that Heroku keeps of a log."""
REQUEST = " heroku[router]: "
DATA = "data: "
"""How a line of an event stream begins that holds something."""


async def log_tail(api: HerokuApi, app: HerokuApp, lines: int) -> list[str]:
    """The last lines that the server and Heroku wrote; as many as came, if the stream breaks."""
    last: deque[str] = deque(maxlen=lines)
    try:
        async with aclosing(await api.log(app, MOST_KEPT)) as events:
            async for event in events:
                line = event.removeprefix(DATA)
                if event.startswith(DATA) and line.strip() and REQUEST not in line:
                    last.append(line.rstrip())
    except Unanswered:
        pass
    return list(last)
