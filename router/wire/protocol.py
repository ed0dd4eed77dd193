"""The packets, statuses, limits and close codes of the wire. No I/O, no clock, no state.

What a packet means is the switchboard's business; how it travels is the server's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, TypeVar

import msgspec

from .agreed import AGREED, filled
from .errors import Malformed

PROTOCOL = AGREED.protocol
LAUNCHER_SUBJECT = AGREED.launcher_subject
"""The subject of a launcher's `alive`, as Mephisto's launcher says it."""

# Packet types, from pages, to pages, from and to the launcher.
ALIVE = AGREED.packets.alive
HEARTBEAT = AGREED.packets.heartbeat
UPDATE_STATUS = AGREED.packets.update_status
CLIENT_BOUND_LIVE_UPDATE = AGREED.packets.client_bound_live_update
MEPHISTO_BOUND_LIVE_UPDATE = AGREED.packets.mephisto_bound_live_update
REQUEST_STATUSES = AGREED.packets.request_statuses
RETURN_STATUSES = AGREED.packets.return_statuses
REGISTER_AGENT = AGREED.packets.register_agent
AGENT_DETAILS = AGREED.packets.agent_details
SUBMIT_ONBOARDING = AGREED.packets.submit_onboarding
SUBMIT_UNIT = AGREED.packets.submit_unit
SUBMIT_METADATA = AGREED.packets.submit_metadata
LOG_ERROR = AGREED.packets.log_error
WELCOME = AGREED.packets.welcome
ACK = AGREED.packets.ack
LEASE = AGREED.packets.lease
DRAIN = AGREED.packets.drain
BYE = AGREED.packets.bye
PEERS = AGREED.packets.peers
ERROR = AGREED.packets.error

# Statuses of an agent (protocol §5).
NONE, DISCONNECT = AGREED.statuses.none, AGREED.statuses.disconnect
WORKING, TAKEN = AGREED.statuses.working, AGREED.statuses.taken
STATUSES = frozenset({NONE, DISCONNECT}) | WORKING | TAKEN | AGREED.statuses.others

# Close codes of the router's own.
MALFORMED = AGREED.closings.malformed.code
BAD_TOKEN = AGREED.closings.bad_token.code
DISPLACED = AGREED.closings.displaced.code

LONGEST_ID = AGREED.bounds.id
LeaseSeconds = Annotated[float, msgspec.Meta(gt=0, le=AGREED.bounds.lease)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

T = TypeVar("T")
_EMPTY = msgspec.Raw(b"{}")


class Packet(msgspec.Struct, gc=False):
    """What anyone may say over a socket. `data` is passed on as it came, without parsing it."""

    packet_type: str
    subject_id: str | None = None
    data: msgspec.Raw = _EMPTY
    client_timestamp: float | None = None
    server_timestamp: float | None = None
    router_incoming_timestamp: float | None = None
    router_outgoing_timestamp: float | None = None
    number: int | None = None
    files: list[UploadedFile] = []
    data_file: str | None = None
    submission_id: str | None = None


class UploadedFile(msgspec.Struct, frozen=True):
    """A file that the router received: `filename` is the router's own name for it, the rest is what the worker said."""

    fieldname: str
    originalname: str
    encoding: str
    mimetype: str
    destination: str
    filename: str
    path: str
    size: int


class Envelope(msgspec.Struct, gc=False, omit_defaults=True):
    """What the router says: a packet that always has a type, a subject and data, as Mephisto's channel demands."""

    packet_type: str
    subject_id: str
    data: Any
    client_timestamp: float | None = None
    server_timestamp: float | None = None
    router_incoming_timestamp: float | None = None
    router_outgoing_timestamp: float | None = None
    number: int | None = None
    files: list[UploadedFile] = []
    """The router's own word for what was uploaded with a submission; `data` is the worker's and proves nothing."""
    data_file: str | None = None
    """Where the data is too large for a frame: the name under which `/download_file/` has it."""
    submission_id: str | None = None
    """By which a submission is known: the page's own word, or else a digest of what it handed in."""


class Hello(msgspec.Struct):
    """The data of a launcher's first `alive`. A launcher that knows only Mephisto's packets says none of it."""

    token: str | None = None
    protocol: int = 0
    epoch: int = 0
    acked: dict[str, int] = {}
    lease: LeaseSeconds | None = None


class AgentDetails(msgspec.Struct):
    """What the router reads of an `agent_details`; the page gets all of it."""

    request_id: str
    agent_id: str | None = None


class StatusUpdate(msgspec.Struct):
    """The data of an `update_status`."""

    status: str


class Acknowledgement(msgspec.Struct):
    """The data of an `ack`: everything of this epoch up to `number` is safe with the launcher."""

    router_epoch: str
    number: int


class LeaseRenewal(msgspec.Struct):
    """The data of a `lease`: how long the server may go on unheard, in seconds."""

    seconds: LeaseSeconds


class PeersNews(msgspec.Struct):
    """The data of a `peers`: the routers of this run, by number, and on which port each one listens.

    `own` is the number of whoever is told.
    """

    own: str
    ports: dict[str, Port]


def _agreed(name: str) -> Any:
    limit = AGREED.limits[name]
    return float(limit.default) if limit.kind == "seconds" else limit.default


@dataclass(frozen=True)
class Limits:
    """What a router takes and how long it waits. Bytes and seconds. Any of them can be set with `--limit NAME=VALUE`."""

    frame: int = _agreed("frame")
    """One WebSocket frame, either way."""
    submission: int = _agreed("submission")
    """The JSON of one HTTP request."""
    upload: int = _agreed("upload")
    """One uploaded file."""
    upload_files: int = _agreed("upload_files")
    """Files in one submission."""
    request_deadline: float = _agreed("request_deadline")
    """How long a page's request waits for the launcher's answer."""
    away_deadline: float = _agreed("away_deadline")
    """How long a page's request waits for a launcher that is not connected."""
    silence: float = _agreed("silence")
    """A working agent whose page was not heard for this long is disconnected."""
    ping: float = _agreed("ping")
    """WebSocket pings, both ways."""
    page_queue: int = _agreed("page_queue")
    """Live updates kept for an agent whose page is away; the oldest go first."""
    launcher_queue: int = _agreed("launcher_queue")
    """Packets kept for a launcher that is away; the oldest go first."""
    launcher_queue_bytes: int = _agreed("launcher_queue_bytes")
    waiting: int = _agreed("waiting")
    """Requests held open at once."""
    peer_bytes: int = _agreed("peer_bytes")
    """What one slow reader may leave unread before it is dropped."""
    peer_stall: float = _agreed("peer_stall")
    """How long a slow reader may stay behind before it is dropped."""
    sockets_per_agent: int = _agreed("sockets_per_agent")
    outbox_window: int = _agreed("outbox_window")
    """Bytes of durable packets on the way to the launcher and not yet acknowledged."""

    def override(self, settings: dict[str, str]) -> Limits:
        """A copy with the named limits set. Raises ValueError for a name that is none, or a value that is no positive number."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        wrong = AGREED.wrong_settings
        for name, value in settings.items():
            if name not in kinds:
                raise ValueError(filled(wrong.unknown_limit, name=name, names=", ".join(kinds)))
            if not re.fullmatch(r"\d+(\.\d+)?", value) or float(value) <= 0:
                raise ValueError(filled(wrong.limit, name=name, value=value))
        return replace(self, **{name: kinds[name](float(value)) for name, value in settings.items()})


def check_frame_ancestor(origin: str) -> None:
    """Raise ValueError for what no `frame-ancestors` can hold."""
    if not re.fullmatch(AGREED.policy.frame_ancestor, origin, re.ASCII):
        raise ValueError(filled(AGREED.wrong_settings.frame_ancestor, said=origin))


def check_policy(policy: str) -> None:
    """Raise ValueError for what no Content-Security-Policy header can hold."""
    if not re.fullmatch(AGREED.policy.plain, policy):
        raise ValueError(filled(AGREED.wrong_settings.policy, said=repr(policy)))


encode = msgspec.json.Encoder().encode
_frame = msgspec.json.Decoder(Packet | list[Packet])
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..(\\u[dD][c-fC-F]..)?|u[dD][c-fC-F]..|.)", re.DOTALL)


def decode_frame(frame: bytes) -> list[Packet]:
    """The packets of a frame: one packet, or an array of them. Raises Malformed.

    `data` still points into `frame`, so the frame must not be changed while a packet is in use.
    """
    packets = decode(frame, _frame, AGREED.malformed.frame)
    return packets if isinstance(packets, list) else [packets]


def decode(text: bytes, decoder: msgspec.json.Decoder[T], expected: str, **facts: object) -> T:
    """Decode JSON of a foreign hand. Raises Malformed, which says what was expected, with the facts in their places.

    Half a surrogate pair is mended to U+FFFD: a text field with a maximum length cuts an emoji in two, and browsers send it.
    """
    try:
        if not text.isascii():
            text.decode()
        try:
            return decoder.decode(text)
        except msgspec.DecodeError:
            mended = _ESCAPE.sub(_mend_surrogate, text)
            if mended == text:
                raise
            return decoder.decode(mended)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed.expected(expected, error, **facts) from error


def _mend_surrogate(escape: re.Match[bytes]) -> bytes:
    text = escape[0]
    return b"\\ufffd" if text[1:2] == b"u" and len(text) == 6 else text


def encode_frame(packets: list[bytes]) -> bytes:
    """One frame of packets that are encoded already."""
    return packets[0] if len(packets) == 1 else b"[" + b",".join(packets) + b"]"
