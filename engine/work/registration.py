"""Who asks for an agent, as pages say it. Foreign text: whatever it says, it is read as somebody, or as nobody."""

from __future__ import annotations

import msgspec

LONGEST_NAME = 200


class Registration(msgspec.Struct, frozen=True):
    """What Mephisto's pages say of their worker."""

    worker_name: str | None = None
    worker_id: str | None = None
    assignment_id: str | None = None
    agent_registration_id: str | None = None

    @property
    def name(self) -> str | None:
        """By which the worker is known; None if there is none that can be used."""
        name = self.worker_name or self.worker_id
        return name if name and len(name) <= LONGEST_NAME else None

    @property
    def registration_id(self) -> str:
        """What tells one visit of a worker from another."""
        return self.agent_registration_id or self.assignment_id or ""


class AgentRequest(msgspec.Struct):
    """The data of a `register_agent`."""

    request_id: str
    provider_data: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def registration(self) -> Registration:
        """Nobody, if the page says something else."""
        try:
            return msgspec.json.decode(self.provider_data, type=Registration)
        except msgspec.MsgspecError:
            return Registration()
