"""What is answered to who is not served: JSON for a page, a page for a person; and what is counted, not logged."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..wire.agreed import AGREED, filled
from ..wire.errors import Refused

NOT_HTTP = (HttpProcessingError, web.RequestPayloadError, ConnectionError)
"""What aiohttp raises for requests that are none, or that end in the middle."""


def refusal(refused: Refused) -> web.Response:
    """For a page that asked: {error, message}."""
    response = web.json_response({"error": refused.error, "message": refused.message}, status=refused.status)
    return _with_retry(response, refused)


def plain_page(refused: Refused, headers: Mapping[str, str]) -> web.Response:
    """For a person who opened the task."""
    text = filled(AGREED.pages.not_available, message=refused.message)
    return _with_retry(
        web.Response(text=text, content_type="text/html", status=refused.status, headers=headers), refused
    )


def http_log(counters: Counter[str]) -> logging.Logger:
    """For aiohttp's errors. What is no HTTP is only counted: whoever finds the port could fill the disk with it."""

    def is_ours(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, NOT_HTTP):
            return record.levelno >= logging.INFO
        counters["refused_not_http"] += 1
        return False

    log = logging.Logger("falsework.router.http", logging.DEBUG)
    log.parent = logging.getLogger("falsework.router")
    log.addFilter(is_ours)
    return log


def _with_retry(response: web.Response, refused: Refused) -> web.Response:
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response
