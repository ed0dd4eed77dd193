"""Lists in pages, as the Range and Next-Range headers ask for them; always in ascending order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from .errors import ApiError

SORTABLE = ("id", "name")
RANGE = re.compile(r"(?P<key>\w+) (?P<after>\]?)(?P<first>[^;.\]]*)\.\.(?P<last>[^;]*)(;(?P<rest>.*))?")


def page(request: web.Request, rows: Sequence[dict[str, Any]], most: int) -> web.Response:
    """One page of rows: 200, or 206 with a Next-Range where more follow. Raises ApiError for a Range that says nothing."""
    key, after, first, last, wanted = _asked(request.headers.get("Range", "id ..").strip())
    chosen = sorted((row for row in rows if _between(row[key], after, first, last)), key=lambda row: row[key])
    size = max(1, min(most, wanted or most))
    shown = chosen[:size]
    headers = {"Accept-Ranges": ", ".join(SORTABLE)}
    if shown:
        headers["Content-Range"] = f"{key} {shown[0][key]}..{shown[-1][key]}"
    if len(chosen) == len(shown):
        return web.json_response(shown, headers=headers)
    headers["Next-Range"] = f"{key} ]{shown[-1][key]}..{last}; max={size}"
    return web.json_response(shown, status=206, headers=headers)


def _asked(text: str) -> tuple[str, bool, str, str, int | None]:
    found = RANGE.fullmatch(text)
    if found is None or found["key"] not in SORTABLE:
        raise ApiError(416, "requested_range_not_satisfiable", f"Invalid `Range` header: {text}")
    options = dict(option.strip().partition("=")[::2] for option in re.split("[;,]", found["rest"] or ""))
    wanted = int(options["max"]) if options.get("max", "").isdigit() else None
    return found["key"], bool(found["after"]), found["first"], found["last"], wanted


def _between(value: str, after: bool, first: str, last: str) -> bool:
    return (not first or (value > first if after else value >= first)) and (not last or value <= last)
