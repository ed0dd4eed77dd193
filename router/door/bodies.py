"""The bodies of pages' requests: foreign JSON and forms in, structs out, and the data as the launcher gets it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from aiohttp import web

from ..wire import protocol as wire
from ..wire.agreed import AGREED
from ..wire.errors import Malformed
from ..wire.protocol import UploadedFile, encode
from .uploads import Form

_NULL = msgspec.Raw(b"null")
_EMPTY = msgspec.Raw(b"{}")


class AgentRequest(msgspec.Struct):
    provider_data: msgspec.Raw = _EMPTY
    client_timestamp: float | None = None


class OnboardingOf(msgspec.Struct):
    USED_AGENT_ID: str
    onboarding_data: msgspec.Raw = _EMPTY


class OnboardingRequest(msgspec.Struct):
    provider_data: OnboardingOf
    client_timestamp: float | None = None


class Submission(msgspec.Struct):
    """The body of /submit_task, /submit_metadata and /log_error: each uses one of the three data fields."""

    USED_AGENT_ID: str
    final_data: msgspec.Raw = _NULL
    metadata: msgspec.Raw = _EMPTY
    error_data: msgspec.Raw = _EMPTY
    client_timestamp: float | None = None
    submission_id: str | None = None

    @property
    def id(self) -> str:
        """By which a repeat is known for one. Raises Malformed."""
        if self.submission_id and len(self.submission_id) > wire.LONGEST_ID:
            raise Malformed(AGREED.malformed.submission_id, limit=wire.LONGEST_ID)
        return self.submission_id or hashlib.sha256(bytes(self.final_data)).hexdigest()


AGENT_REQUEST = msgspec.json.Decoder(AgentRequest)
ONBOARDING = msgspec.json.Decoder(OnboardingRequest)
SUBMISSION = msgspec.json.Decoder(Submission)
_ANY = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def read_body(
    request: web.Request, decoder: msgspec.json.Decoder[wire.T], expected: str, **facts: object
) -> wire.T:
    """The JSON of a request. Raises Malformed, which names the fields that were expected."""
    return wire.decode(await request.read(), decoder, expected, **facts)


def submission_of(form: Form, json_fields: tuple[str, ...]) -> Submission:
    """The same as a form says it; the first of `json_fields` that is there has the data. Raises Malformed."""
    agent_id = form.fields.get("USED_AGENT_ID")
    if agent_id is None:
        raise Malformed(AGREED.malformed.no_agent)
    submission = Submission(agent_id.decode(errors="replace"))
    for name in json_fields:
        if name in form.fields:
            value = wire.decode(form.fields[name], _ANY, AGREED.malformed.form_field, name=name)
            if name == "metadata":
                submission.metadata = value
            else:
                submission.final_data = value
            break
    if "client_timestamp" in form.fields:
        submission.client_timestamp = _number(form.fields["client_timestamp"])
    if "submission_id" in form.fields:
        submission.submission_id = form.fields["submission_id"].decode(errors="replace")
    return submission


def merge_files(data: msgspec.Raw, files: list[UploadedFile]) -> dict[str, Any]:
    """The worker's data with the router's word on the files, in the two forms that Mephisto's launcher reads."""
    merged: dict[str, Any] = dict(_fields_of(data)) if _is_object(data) else {"data": data}
    by_field: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        facts = msgspec.to_builtins(file)
        by_field.setdefault(facts.pop("fieldname"), []).append(facts)
    return {**merged, "files": files, "filesByFields": by_field}


def without_files(data: msgspec.Raw) -> msgspec.Raw:
    """Without anything that Mephisto's launcher would take for files that the router received."""
    if not _is_object(data):
        return data
    return msgspec.Raw(encode({_RENAMED.get(name, name): value for name, value in _fields_of(data).items()}))


def _number(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_object(data: msgspec.Raw) -> bool:
    return bytes(data).lstrip().startswith(b"{")


def _fields_of(data: msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Raises Malformed for what is nested so deeply that it could just be read as a part of the whole."""
    return wire.decode(bytes(data), _OBJECT, "an object that is not nested deeper than that")


_RENAMED = AGREED.pages.guarded
