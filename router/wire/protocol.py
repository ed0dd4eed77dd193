"""The packets, statuses, limits and close codes of the wire. No I/O, no clock, no state.

What a packet means is the switchboard's business; how it travels is the server's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, TypeVar

import msgspec

PROTOCOL = 1
LAUNCHER_SUBJECT = "mephisto"
"""The subject of a launcher's `alive`, as Mephisto's launcher says it."""

# Packet types, from pages, to pages, from and to the launcher.
ALIVE = "alive"
HEARTBEAT = "heartbeat"
UPDATE_STATUS = "update_status"
CLIENT_BOUND_LIVE_UPDATE = "client_bound_live_update"
MEPHISTO_BOUND_LIVE_UPDATE = "mephisto_bound_live_update"
REQUEST_STATUSES = "request_statuses"
RETURN_STATUSES = "return_statuses"
REGISTER_AGENT = "register_agent"
AGENT_DETAILS = "agent_details"
SUBMIT_ONBOARDING = "submit_onboarding"
SUBMIT_UNIT = "submit_unit"
SUBMIT_METADATA = "submit_metadata"
LOG_ERROR = "log_error"
WELCOME = "welcome"
ACK = "ack"
LEASE = "lease"
DRAIN = "drain"
BYE = "bye"
PEERS = "peers"
ERROR = "error"

# Close codes of the router's own.
MALFORMED = 4400
BAD_TOKEN = 4401
DISPLACED = 4409

# Statuses of an agent (protocol §5).
NONE = "none"
WORKING = frozenset({"onboarding", "waiting", "in task"})
TAKEN = frozenset({"completed", "approved", "soft_rejected", "rejected"})
"""The agent's work is in the launcher's hands: another submission is refused."""
DISCONNECT = "disconnect"
STATUSES = (
    frozenset({NONE, "accepted", DISCONNECT, "timeout", "partner disconnect", "expired", "returned"}) | WORKING | TAKEN
)

LONGEST_ID = 256
"""Characters of an agent's or a submission's id, so that what a packet says around its data has an upper bound."""
LeaseSeconds = Annotated[float, msgspec.Meta(gt=0, le=3_200_000_000)]
"""A lease is no longer than a century."""
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


@dataclass(frozen=True)
class Limits:
    """What a router takes and how long it waits. Bytes and seconds. Any of them can be set with `--limit NAME=VALUE`."""

    frame: int = 1 << 20
    """One WebSocket frame, either way."""
    submission: int = 32 << 20
    """The JSON of one HTTP request."""
    upload: int = 100 << 20
    """One uploaded file."""
    upload_files: int = 20
    """Files in one submission."""
    request_deadline: float = 120.0
    """How long a page's request waits for the launcher's answer."""
    away_deadline: float = 10.0
    """How long a page's request waits for a launcher that is not connected."""
    silence: float = 15.0
    """A working agent whose page was not heard for this long is disconnected."""
    ping: float = 20.0
    """WebSocket pings, both ways."""
    page_queue: int = 1000
    """Live updates kept for an agent whose page is away; the oldest go first."""
    launcher_queue: int = 20_000
    """Packets kept for a launcher that is away; the oldest go first."""
    launcher_queue_bytes: int = 64 << 20
    waiting: int = 10_000
    """Requests held open at once."""
    peer_bytes: int = 16 << 20
    """What one slow reader may leave unread before it is dropped."""
    peer_stall: float = 20.0
    """How long a slow reader may stay behind before it is dropped."""
    sockets_per_agent: int = 4
    outbox_window: int = 4 << 20
    """Bytes of durable packets on the way to the launcher and not yet acknowledged."""

    def override(self, settings: dict[str, str]) -> Limits:
        """A copy with the named limits set. Raises ValueError for a name that is none, or a value that is no positive number."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in settings.items():
            if name not in kinds:
                raise ValueError(f"{name!r} is no limit; the limits are {', '.join(kinds)}")
            if not re.fullmatch(r"\d+(\.\d+)?", value) or float(value) <= 0:
                raise ValueError(f"limit {name}: {value!r} is no positive number")
        return replace(self, **{name: kinds[name](float(value)) for name, value in settings.items()})


def check_frame_ancestor(origin: str) -> None:
    """Raise ValueError for what no `frame-ancestors` can hold."""
    if not _FRAME_ANCESTOR.fullmatch(origin):
        raise ValueError(f"{origin!r} is no origin such as https://worker.example.org or https://*.example.org")


def check_policy(policy: str) -> None:
    """Raise ValueError for what no Content-Security-Policy header can hold."""
    if not re.fullmatch(r"[ -~]+", policy):
        raise ValueError(f"{policy!r} is no Content-Security-Policy: one line of plain characters")


_FRAME_ANCESTOR = re.compile(r"'self'|\*|https?:|(https?://)?(\*\.)?\w[\w-]*(\.\w[\w-]*)*(:(\d{1,5}|\*))?", re.ASCII)


class Refused(Exception):
    """A request that is not served: the HTTP status, a word for programs and a sentence for the worker."""

    def __init__(self, status: int, error: str, message: str, retry_after: int | None = None) -> None:
        self.status, self.error, self.message, self.retry_after = status, error, message, retry_after
        super().__init__(message)


class Malformed(ValueError):
    """Bytes that are no packet; says what was expected."""


encode = msgspec.json.Encoder().encode
_frame = msgspec.json.Decoder(Packet | list[Packet])
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..(\\u[dD][c-fC-F]..)?|u[dD][c-fC-F]..|.)", re.DOTALL)


def decode_frame(frame: bytes) -> list[Packet]:
    """The packets of a frame: one packet, or an array of them. Raises Malformed.

    `data` still points into `frame`, so the frame must not be changed while a packet is in use.
    """
    packets = decode(frame, _frame, "a packet or an array of packets")
    return packets if isinstance(packets, list) else [packets]


def decode(text: bytes, decoder: msgspec.json.Decoder[T], expected: str) -> T:
    """Decode JSON of a foreign hand. Raises Malformed, which says what was expected.

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
        raise Malformed(f"expected {expected}: {error}") from error


def _mend_surrogate(escape: re.Match[bytes]) -> bytes:
    text = escape[0]
    return b"\\ufffd" if text[1:2] == b"u" and len(text) == 6 else text


def encode_frame(packets: list[bytes]) -> bytes:
    """One frame of packets that are encoded already."""
    return packets[0] if len(packets) == 1 else b"[" + b",".join(packets) + b"]"
