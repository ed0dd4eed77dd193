"""Who is asked, and as whom: the API's address and a token, where `heroku login` and its environment leave them.

The token is looked up each time that it is needed, and kept nowhere.
"""

from __future__ import annotations

import asyncio
import netrc
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from .errors import NoCredentials

CLIENT_LIMIT = 30.0
"""Seconds for `heroku auth:token`; the client takes one or two to start."""
HOW_TO_LOG_IN = "log in with `heroku login`, or put a token into HEROKU_API_KEY"


def api_address() -> str:
    """The Platform API, as the Heroku client finds it: HEROKU_HOST is a domain or a whole URL."""
    host = os.environ.get("HEROKU_HOST") or "heroku.com"
    return host.rstrip("/") if host.startswith(("http://", "https://")) else f"https://api.{host}"


async def find_token(address: str) -> str:
    """The token for the API at that address: HEROKU_API_KEY, else ~/.netrc, else what `heroku auth:token` says.

    Raises NoCredentials.
    """
    token = os.environ.get("HEROKU_API_KEY") or _token_of_netrc(address) or await _token_of_client()
    if not token:
        raise NoCredentials(f"nobody is logged in to Heroku here; {HOW_TO_LOG_IN}")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise NoCredentials(f"what is kept here as Heroku's token is none; {HOW_TO_LOG_IN}")
    return token


def _token_of_netrc(address: str) -> str | None:
    """The password of the API's own host and port, as the client names machines: another host gets none of Heroku's."""
    path = Path("~/.netrc").expanduser()
    try:
        found = netrc.netrc(path).authenticators(urlsplit(address).netloc)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, netrc.NetrcParseError) as error:
        raise NoCredentials(f"{path} cannot be read: {error}; {HOW_TO_LOG_IN}") from error
    return found[2] if found else None


async def _token_of_client() -> str | None:
    """What the client keeps elsewhere, such as in the system's keychain; None without a client, or if it has none."""
    client = shutil.which("heroku")
    if client is None:
        return None
    command = (client, "auth:token")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(CLIENT_LIMIT):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise NoCredentials(f"{' '.join(command)} said nothing for {CLIENT_LIMIT:g} s; {HOW_TO_LOG_IN}") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    lines = said.decode(errors="replace").split()
    return lines[-1] if process.returncode == 0 and lines else None
