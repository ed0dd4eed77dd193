"""What both routers say alike: words, statuses, refusals, limits, page policies.

It stands in agreed.json, which the router in Node reads too; here it gets its types. What is missing there, of another type,
or known to Node alone, fails the import.
"""

from __future__ import annotations

import re
from importlib.resources import files

import msgspec


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of agreed.json, which has all of these fields and no others."""


class Closing(_Part, frozen=True):
    """Why a socket is closed, as its close frame says."""

    code: int
    reason: str


class Refusal(_Part, frozen=True):
    """Why a request is not served: the HTTP status, a word for programs, a sentence for the worker; seconds to wait."""

    status: int
    error: str
    message: str
    retry_after: int | None = None


class Limit(_Part, frozen=True):
    """One limit of a router: what it is counted in (`bytes`, `count` or `seconds`), and what it is unless told otherwise."""

    kind: str
    default: int


class Packets(_Part, frozen=True, rename=str.upper):
    """Packet types, from pages, to pages, from and to the launcher."""

    alive: str
    heartbeat: str
    update_status: str
    client_bound_live_update: str
    mephisto_bound_live_update: str
    request_statuses: str
    return_statuses: str
    register_agent: str
    agent_details: str
    submit_onboarding: str
    submit_unit: str
    submit_metadata: str
    log_error: str
    welcome: str
    ack: str
    lease: str
    drain: str
    bye: str
    peers: str
    error: str


class Statuses(_Part, frozen=True):
    """Statuses of an agent (protocol §5)."""

    none: str
    disconnect: str
    working: frozenset[str]
    taken: frozenset[str]
    """The agent's work is in the launcher's hands: another submission is refused."""
    others: frozenset[str]


class Closings(_Part, frozen=True):
    """Why a router closes a socket."""

    going_away: Closing
    frame_too_large: Closing
    malformed: Closing
    bad_token: Closing
    not_newer: Closing
    displaced: Closing


class Bounds(_Part, frozen=True):
    """What no setting moves."""

    id: int
    """Characters of an agent's or a submission's id, so that what a packet says around its data has an upper bound."""
    lease: int
    """Seconds: a lease is no longer than a century."""
    timestamp: float
    """Seconds; what lies beyond is no time that a clock could show."""
    form_fields: int
    file_name: int
    """Characters of what a worker says of a file."""


class Refusals(_Part, frozen=True):
    """What a router answers to what it does not serve."""

    malformed: Refusal
    not_text: Refusal
    unknown_packet: Refusal
    no_handshake: Refusal
    cut_off: Refusal
    no_download: Refusal
    not_the_launcher: Refusal
    not_your_agent: Refusal
    not_signed_in: Refusal
    unknown_agent: Refusal
    no_such_file: Refusal
    already_taken: Refusal
    being_saved: Refusal
    finished: Refusal
    packet_too_large: Refusal
    answer_too_large: Refusal
    file_too_large: Refusal
    too_many_files: Refusal
    too_many_fields: Refusal
    closed: Refusal
    too_busy: Refusal
    launcher_away: Refusal
    no_answer: Refusal
    restarting: Refusal
    not_saved_yet: Refusal
    storage_full: Refusal


class MalformedWords(_Part, frozen=True):
    """What was expected of a packet or a body that cannot be read."""

    expected: str
    frame: str
    packet_data: str
    agent_request: str
    onboarding: str
    submission: str
    form: str
    form_field: str
    no_agent: str
    nameless: str
    no_subject: str
    agent_id: str
    submission_id: str
    status: str
    timestamp: str


class WrongSettings(_Part, frozen=True):
    """What is wrong with a setting."""

    unknown_limit: str
    limit: str
    frame_ancestor: str
    policy: str


class PageWords(_Part, frozen=True):
    """What pages are told, and what a browser keeps."""

    submitted: str
    submitted_metadata: str
    logged: str
    alive: str
    not_available: str
    session_cookie: str
    session: str
    over_https: str
    over_http: str
    visitor_cookie: str
    visitor: str
    worker_names: tuple[str, ...]
    """The parameters of a link that say who opens it, as crowd sites and links of one's own call them."""
    guarded: dict[str, str]
    """What Mephisto's launcher takes for files that the router received, and what a worker's data of that name becomes."""
    version_mismatch: str
    """In the complaint of every page load that mephisto-task's version is not the server's."""


class Policy(_Part, frozen=True):
    """What a browser is told about a page besides the page."""

    everywhere: dict[str, str]
    """On every answer. The address of a page names its worker, so it is told to nobody else."""
    default: tuple[str, ...]
    """`ws:` and `wss:` are named, as 'self' does not cover WebSockets in every browser."""
    forms: str
    framing: str
    nobody: str
    frame_ancestor: str
    """The form of what a `frame-ancestors` can hold, as are those below of what they are named for."""
    plain: str


class DataDirectoryWords(_Part, frozen=True):
    """The names in a router's data directory, and what is said of what is wrong there."""

    outbox: str
    uploads: str
    lock: str
    birth: str
    upload_name: str
    upload_extension: str
    moved_out: str
    """Data that no frame can carry, as if a worker had uploaded it under this name."""
    damaged: str
    in_use: str
    holder: str
    unknown_holder: str
    no_birth: str


class Agreed(_Part, frozen=True):
    """All of agreed.json."""

    protocol: int
    launcher_subject: str
    packets: Packets
    statuses: Statuses
    closings: Closings
    bounds: Bounds
    limits: dict[str, Limit]
    refusals: Refusals
    malformed: MalformedWords
    wrong_settings: WrongSettings
    pages: PageWords
    policy: Policy
    data_directory: DataDirectoryWords


AGREED = msgspec.json.decode(files(__package__).joinpath("agreed.json").read_bytes(), type=Agreed)


def filled(sentence: str, **facts: object) -> str:
    """A sentence with the facts in place of their {names}."""
    return _PLACE.sub(lambda place: str(facts[place[1]]), sentence)


_PLACE = re.compile(r"\{(\w+)\}")
