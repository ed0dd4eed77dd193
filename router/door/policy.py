"""What a browser is told about a page besides the page: what it may load, and who may show it in a frame. No I/O.

The default lets a page do what pages of a task do (own scripts and styles, pictures and recordings made on the spot, the
router's WebSocket) and nothing else: no inline script, no `eval`, nothing from elsewhere. A crowd site that frames the task
is where its form goes, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..wire.agreed import AGREED


def page_headers(policy: str | None, frame_ancestors: Sequence[str]) -> dict[str, str]:
    """The headers of what a browser shows. `policy` takes the default's place, but for the ancestors that it does not name."""
    allowed = " ".join(frame_ancestors)
    directives = list(AGREED.policy.default) if policy is None else [policy.strip().rstrip(";")]
    if policy is None:
        directives.append(f"{AGREED.policy.forms} {allowed}".strip())
    if policy is None or not _names_ancestors(policy):
        directives.append(f"{AGREED.policy.framing} {allowed or AGREED.policy.nobody}")
    return {"Content-Security-Policy": "; ".join(directives)}


def _names_ancestors(policy: str) -> bool:
    names = [directive.split(maxsplit=1)[0].lower() for directive in policy.split(";") if directive.strip()]
    return AGREED.policy.framing in names
