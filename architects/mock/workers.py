"""The workers of a mock server, in the words that users of Mephisto's mock know. Each is one packet; nothing is waited for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from falsework.router.wire import protocol as wire
from falsework.router.wire.protocol import UploadedFile


class MockWorkers(ABC):
    """Speaks for every worker's page."""

    def __init__(self, uploads: dict[str, bytes]) -> None:
        self.uploads = uploads
        """What can be downloaded, by name."""

    @abstractmethod
    def send_packet(self, packet_type: str, subject_id: str, data: Any, *, durable: bool = False, **fields: Any) -> int:
        """Say any packet to the launcher; `fields` are those of `falsework.router.wire.protocol.Envelope`.

        A durable one gets a number, which is returned (0 for others), and is said on each connection until it is
        acknowledged.
        """

    def register_mock_agent(self, worker_id: str, agent_details: str | None = None) -> str:
        """A worker's page asks for an agent. Returns the id of the request, for `answer_to`.

        `agent_details`, where it is given, is that id, and the page's registration id, as in Mephisto.
        """
        request_id = agent_details or uuid4().hex
        who = {"worker_name": worker_id, "worker_id": worker_id, "agent_registration_id": request_id}
        self.send_packet(wire.REGISTER_AGENT, request_id, {"provider_data": who, "request_id": request_id})
        return request_id

    def register_mock_agent_after_onboarding(self, worker_id: str, agent_id: str, onboard_data: Any) -> str:
        """A worker hands in an onboarding agent's answers, and asks for the next agent. Returns the id of the request.

        Who the worker is follows from the agent; `worker_id` is there for the reader, as in Mephisto.
        """
        request_id = uuid4().hex
        data = {"onboarding_data": onboard_data, "request_id": request_id}
        self.send_packet(wire.SUBMIT_ONBOARDING, agent_id, data, durable=True)
        return request_id

    def send_agent_act(self, agent_id: str, act_content: Mapping[str, Any]) -> None:
        """An agent's page sends a live update; it gets an `update_id` if it has none."""
        self.send_packet(wire.MEPHISTO_BOUND_LIVE_UPDATE, agent_id, {"update_id": uuid4().hex, **act_content})

    def submit_mock_unit(
        self,
        agent_id: str,
        submission: Any = None,
        files: Mapping[str, bytes] | None = None,
        submission_id: str | None = None,
    ) -> int:
        """An agent hands in its work, with `files` by the names of their fields. Returns its number, for `acknowledged`.

        `submission_id` is by which the page knows it: of two with one id, one is stored.
        """
        return self.send_packet(
            wire.SUBMIT_UNIT,
            agent_id,
            {} if submission is None else submission,
            durable=True,
            files=[self._upload(field, content) for field, content in (files or {}).items()],
            submission_id=submission_id or uuid4().hex,
        )

    def disconnect_mock_agent(self, agent_id: str) -> None:
        """An agent's page fell silent."""
        self.send_packet(wire.RETURN_STATUSES, wire.LAUNCHER_SUBJECT, {agent_id: wire.DISCONNECT})

    def _upload(self, field: str, content: bytes) -> UploadedFile:
        name = uuid4().hex
        self.uploads[name] = content
        return UploadedFile(
            field, field, "7bit", "application/octet-stream", "uploads", name, f"uploads/{name}", len(content)
        )
