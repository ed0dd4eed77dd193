"""What is thrown at a router: frames and requests, well-formed, almost so, or not at all."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st

from .raw_connections import as_json, frame
from .wire_clients import BOUNDARY

T = TypeVar("T")
AGENTS = ("__proto__", *(f"a{number}" for number in range(60)))
"""Those whom the launcher names before anything is thrown."""
BOMB = b"[" * 30_000
FROM_PAGES = ["alive", "heartbeat", "mephisto_bound_live_update"]
FROM_LAUNCHERS = [
    "client_bound_live_update",
    "update_status",
    "agent_details",
    "request_statuses",
    "ack",
    "lease",
    "drain",
]
FORM = b"multipart/form-data; boundary=" + BOUNDARY
ENDPOINTS = [b"/request_agent", b"/submit_task", b"/submit_onboarding", b"/submit_metadata", b"/log_error"]
PAGES = [b"/", b"/index.html", b"/is_alive", b"/metrics", b"/download_file/x"]
ODD_PATHS = [b"/download_file/%00", b"/..%2f..%2fetc", b"/%ff", b"*", b"//", b"/?\xff", b"/" + b"x" * 9000]
ODD_HEADERS = [
    b"Expect: 100-continue",
    b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip",
    b"Content-Length: -1",
    b"Content-Length: 5",
    b"Cookie: falsework_vector-1=x; \xff",
    b"Authorization: Bearer \xff",
    b"Upgrade: websocket",
    b"X-Forwarded-Proto: https",
    b"Range: bytes=5-1",
    b"If-Modified-Since: never",
    b"Host: \xff",
    b": ",
]
PART_HEADERS = [b"Content-Type: \xff", b"Content-Transfer-Encoding: base64", b"Content-Length: 9999", b": "]


def mostly(usual: st.SearchStrategy[T], odd: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The usual, and the odd one out of eight."""
    return st.integers(0, 7).flatmap(lambda number: odd if number == 7 else usual)


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=5,
)
odd_names = st.sampled_from(["nobody", "mephisto", "", "constructor", "a\0b", "\ud83d", "x" * 300]) | st.text(
    max_size=8
)
names = mostly(st.sampled_from(AGENTS), odd_names)
statuses = st.sampled_from(["none", "in task", "waiting", "completed", "disconnect", "asleep"])
data_of_packets = st.fixed_dictionaries(
    {},
    optional={
        "update_id": values,
        "status": statuses,
        "request_id": names,
        "agent_id": names | st.none(),
        "router_epoch": names,
        "number": st.integers(-1, 5),
        "seconds": st.sampled_from([60, 900.5, -1, 0, 1e300, "x"]),
        "token": names,
        "protocol": st.sampled_from([0, 1, 2, -1, "1"]),
        "epoch": values,
        "acked": values,
        "lease": st.sampled_from([60, -5, "x"]),
    },
)


def packets(kinds: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """What looks like a packet."""
    kind: st.SearchStrategy[Any] = mostly(st.sampled_from(kinds), st.sampled_from(["error", "welcome", ""]) | values)
    return st.fixed_dictionaries(
        {"packet_type": kind, "subject_id": mostly(names, values)},
        optional={
            "data": mostly(data_of_packets, values),
            "client_timestamp": mostly(st.floats(allow_nan=False), values),
            "server_timestamp": values,
            "number": values,
            "files": values,
            "submission_id": values,
        },
    )


def texts(kinds: list[str]) -> st.SearchStrategy[bytes]:
    """The content of a text frame."""
    whole = (packets(kinds) | st.lists(packets(kinds), max_size=3)).map(as_json)
    large = st.sampled_from([BOMB, b"x" * 70_000, b'{"packet_type": "heartbeat", "subject_id": "a1", "data": ' + BOMB])
    return mostly(whole, values.map(as_json) | st.binary(max_size=40) | large)


def frames(kinds: list[str]) -> st.SearchStrategy[bytes]:
    """Whole frames of text, whatever else a frame may be, and bytes that are none."""
    odd = st.builds(
        frame, st.integers(0, 255), st.binary(max_size=200), st.booleans(), st.none() | st.integers(0, 2**63)
    )
    return mostly(texts(kinds).map(lambda content: frame(0x81, content)), odd | st.binary(max_size=40))


provider_data = st.fixed_dictionaries({"USED_AGENT_ID": names}, optional={"onboarding_data": values})
objects = st.fixed_dictionaries(
    {"USED_AGENT_ID": mostly(names, values), "provider_data": mostly(provider_data, values)},
    optional={
        "final_data": values,
        "metadata": values,
        "error_data": values,
        "submission_id": mostly(names, values),
        "client_timestamp": mostly(st.floats(0, 1e10), values),
    },
)
large_bodies = st.sampled_from([BOMB, b"x" * 30_000, b'{"USED_AGENT_ID": "a1", "final_data": ' + BOMB])
bodies = mostly(
    objects.map(lambda body: as_json(body)),
    values.map(lambda value: as_json(value)) | st.binary(max_size=60) | large_bodies,
)


def part(name: bytes, file: bytes, more: list[bytes], content: bytes, end: bytes) -> bytes:
    """One part of a form, or something like it."""
    head = b'Content-Disposition: form-data; name="' + name + b'"' + file
    return b"\r\n".join([b"--" + BOUNDARY + end, head, *more, b"", content])


FIELDS = [b"USED_AGENT_ID", b"final_string_data", b"metadata", b"submission_id", b"client_timestamp", b"f"]
FILES = [b"", b'; filename="x.png"', b'; filename="../../x"', b"; filename*=utf-8''%ff", b'; filename="\xff"']
parts = mostly(
    st.builds(
        part,
        st.sampled_from(FIELDS),
        st.sampled_from(FILES),
        st.lists(mostly(st.just(b"Content-Type: image/png"), st.sampled_from(PART_HEADERS)), max_size=1),
        mostly(st.sampled_from([b"{}", b"5", b"text"]), st.binary(max_size=60) | st.just(b"x" * 30_000)),
        mostly(st.just(b""), st.sampled_from([b"--", b"x"])),
    ),
    st.binary(max_size=30),
)
whose = st.sampled_from(AGENTS).map(lambda name: part(b"USED_AGENT_ID", b"", [], name.encode(), b""))
forms = st.builds(
    lambda first, held, end: b"\r\n".join([first, *held, end]),
    mostly(whose, parts),
    st.lists(parts, max_size=3),
    mostly(st.just(b"--" + BOUNDARY + b"--\r\n"), st.sampled_from([b"--" + BOUNDARY, b"", b"--"])),
)
odd_types = st.sampled_from(
    [b"text/plain", b"", b"multipart/form-data", FORM + b"x", b"multipart/form-data; boundary=" + b"b" * 100]
)
contents = st.tuples(mostly(st.just(b"application/json"), odd_types), bodies) | st.tuples(
    mostly(st.just(FORM), odd_types), forms
)
paths = mostly(
    st.sampled_from([*ENDPOINTS, *ENDPOINTS, *ENDPOINTS, *PAGES]),
    st.sampled_from(ODD_PATHS) | st.binary(max_size=12).map(lambda path: b"/" + path),
)
methods = mostly(st.just(b"POST"), st.sampled_from([b"GET", b"HEAD", b"PUT", b"OPTIONS", b"post", b"\xff", b""]))
odd_headers = mostly(
    st.just([]), st.lists(st.sampled_from(ODD_HEADERS) | st.binary(max_size=20), min_size=1, max_size=2)
)


@st.composite
def whole_requests(draw: st.DrawFn) -> bytes:
    """One request, whose head and body agree more often than not."""
    content_type, body = draw(contents)
    length = len(body) + draw(mostly(st.just(0), st.sampled_from([0, 0, 1, -1])))
    lines = [
        draw(methods) + b" " + draw(paths) + b" HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Connection: close",
        b"Content-Type: " + content_type,
        b"Content-Length: " + str(max(0, length)).encode(),
        *draw(odd_headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


requests = mostly(whole_requests(), st.binary(max_size=60))
