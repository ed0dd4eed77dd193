"""What the workers' pages are told, and over which channel: an agent is answered over the one that it came by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...router.wire import protocol as wire
from ...router.wire.protocol import Envelope
from ..channel.channel import Channel, PacketTooLarge
from ..report import Reporter

REASONS = {
    "finished": "This task is finished: every part of it has been done. Thank you!",
    "nothing_left": "There is nothing left for you to do here. Thank you for your work!",
    "all_in_work": "Others are working on all that is left at the moment. Please come back in a few minutes.",
    "not_qualified": "Thank you for your time. This task does not suit everybody, and we have no work for you in it.",
    "no_name": "This page was opened without the name of a worker. Please follow the link that you were given.",
    "start_again": "The task was restarted while you were at it. Please reload this page.",
    "cannot_save": "The task cannot save anything at the moment. Please come back in a few minutes.",
    "closed": "Nobody looks after this task at the moment. Please come back in a few minutes.",
    "too_large": "This part of the task cannot be shown: it is too large. Please tell whoever sent you here.",
}
"""What a worker reads who gets no agent, by the code that programs read."""


class Answers:
    """The way back to the pages. `attach` first, and again after reconnecting."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._channels: dict[str, Channel] = {}
        self._channel_of: dict[str, str] = {}

    def attach(self, channels: list[Channel]) -> None:
        """The channels to answer over."""
        self._channels = {channel.channel_id: channel for channel in channels}

    def lose(self, channel_id: str) -> list[str]:
        """A channel is lost for good; returns who came by it. Whatever they are told goes over all the others from now on."""
        self._channels.pop(channel_id, None)
        lost = [agent_id for agent_id, came_by in self._channel_of.items() if came_by == channel_id]
        for agent_id in lost:
            del self._channel_of[agent_id]
        return lost

    def heard(self, agent_id: str, channel_id: str) -> None:
        """An agent said something over a channel: that is where it is, unless it was given out over another."""
        if channel_id in self._channels:
            self._channel_of.setdefault(agent_id, channel_id)

    def is_at(self, agent_id: str, channel_id: str) -> bool:
        """Whether an agent is at the other end of a channel, as far as that is known."""
        return self._channel_of.get(agent_id, channel_id) == channel_id

    def router_epoch(self, channel_id: str) -> str:
        """The epoch of the router at the other end of a channel now."""
        channel = self._channels.get(channel_id)
        return (channel.router_epoch if channel is not None else None) or ""

    def acknowledge(self, channel_id: str, router_epoch: str, number: int) -> None:
        """Everything of this router epoch up to `number` is safe here."""
        channel = self._channels.get(channel_id)
        if channel is not None:
            channel.acknowledge(router_epoch, number)

    def give(self, channel_id: str, request_id: str, worker_id: str, agent_id: str, init_task_data: Any) -> None:
        """A page asked for an agent, and this is it."""
        self._channel_of[agent_id] = channel_id
        try:
            self._answer(channel_id, request_id, worker_id, agent_id, init_task_data)
        except PacketTooLarge as error:
            self._reporter.say(f"agent {agent_id} cannot be given its unit: {error}")
            self.refuse(channel_id, request_id, worker_id, "too_large")

    def refuse(self, channel_id: str, request_id: str, worker_id: str | None, reason: str) -> None:
        """A page asked for an agent and gets none; `reason` is one of REASONS."""
        self._answer(channel_id, request_id, worker_id, None, None, reason)

    def tell_status(self, agent_id: str, status: str) -> None:
        """An agent has another status."""
        self._send_to(agent_id, _status(agent_id, status))

    def tell_again(self, channel_id: str, statuses: Iterable[tuple[str, str]]) -> None:
        """A router may have been restarted: say who is at work, and at what, as far as they came by this channel."""
        for agent_id, status in statuses:
            if self.is_at(agent_id, channel_id):
                self._send(channel_id, _status(agent_id, status))

    def send_update(self, agent_id: str, update: dict[str, Any]) -> None:
        """A live update for an agent's page. Raises PacketTooLarge."""
        self._send_to(agent_id, Envelope(wire.CLIENT_BOUND_LIVE_UPDATE, agent_id, update))

    def _answer(
        self,
        channel_id: str,
        request_id: str,
        worker_id: str | None,
        agent_id: str | None,
        init_task_data: Any,
        reason: str | None = None,
    ) -> None:
        details = {
            "request_id": request_id,
            "worker_id": worker_id,
            "agent_id": agent_id,
            "init_task_data": init_task_data,
            "failure_reason": REASONS[reason] if reason else None,
            "failure_code": reason,
        }
        self._send(channel_id, Envelope(wire.AGENT_DETAILS, channel_id, details))

    def _send_to(self, agent_id: str, envelope: Envelope) -> None:
        """Over the channel that the agent came by; over all of them where that is not known."""
        known = self._channel_of.get(agent_id)
        for channel_id in self._channels if known is None else (known,):
            self._send(channel_id, envelope)

    def _send(self, channel_id: str, envelope: Envelope) -> None:
        channel = self._channels.get(channel_id)
        if channel is not None:
            channel.send(envelope)


def _status(agent_id: str, status: str) -> Envelope:
    return Envelope(wire.UPDATE_STATUS, agent_id, {"status": status})
