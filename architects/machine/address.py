"""Where a server on this machine is reached, and whose it is."""

from __future__ import annotations

import json

import aiohttp


def url_of(host: str, port: int) -> str:
    """The URL that leads from this machine to a server that listens on `host`, which may mean every address."""
    reachable = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


async def run_id_at(url: str, limit: float) -> str | None:
    """The run whose server answers at `url` within `limit` seconds; None if nothing answers, or something else does."""
    timeout = aiohttp.ClientTimeout(total=limit)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/is_alive") as answer:
            said = json.loads(await answer.content.read(1 << 12))
    except (aiohttp.ClientError, OSError, ValueError):
        return None
    run_id = said.get("run_id") if isinstance(said, dict) else None
    return run_id if isinstance(run_id, str) else None
