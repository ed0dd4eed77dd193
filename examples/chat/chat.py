"""What the launcher does with the live updates of a chat: it passes them on.

A message goes to everybody in the session, its writer included, so that the writer's page knows that it has arrived. Pages
may send a message twice when a connection broke; its `id` tells them, so pages show each id once.
"""

from typing import Any

LONGEST = 2000
"""Characters of one message; what is longer is cut."""

OPENINGS = ["Hello! What do you think?", "Hi there. Shall we start?", "Good to meet you. You first?"]
REPLIES = ["I like that.", "Could we make it cheaper?", "Then let us do it that way.", "I am not sure yet.", "Agreed!"]


async def on_start(session: Any) -> None:
    """Both are here: tell each of them."""
    await _send_all(session, {"type": "start", "topic": session.unit["topic"]})


async def on_update(session: Any, agent: Any, update: dict[str, Any]) -> None:
    """Pass a message on to everybody, and what else a page says to its partner only."""
    match update:
        case {"type": "message", "id": str(), "text": str(text)} if text.strip():
            message = {"type": "message", "id": update["id"], "text": text[:LONGEST], "from": agent.agent_id}
            await _send_all(session, message)
        case {"type": "typing" | "finished"}:
            await _send_partner(session, agent, {"type": update["type"]})


async def on_leave(session: Any, agent: Any) -> None:
    """Somebody has handed in or is gone."""
    await _send_partner(session, agent, {"type": "left"})


def bot_updates(data: dict[str, Any], random: Any) -> list[dict[str, Any]]:
    """What a bot says before it hands in."""
    texts = [random.choice(OPENINGS), *random.sample(REPLIES, k=2)]
    return [{"type": "message", "id": f"{random.getrandbits(64):016x}", "text": text} for text in texts]


def bot_answer(data: dict[str, Any], random: Any) -> dict[str, Any]:
    """What a bot hands in; it has the form of what chat.js hands in."""
    return {"rating": random.randint(1, 5), "comment": f"A talk about: {data['topic']}", "transcript": []}


async def _send_all(session: Any, update: dict[str, Any]) -> None:
    for agent in session.agents:
        await agent.send(update)


async def _send_partner(session: Any, sender: Any, update: dict[str, Any]) -> None:
    for agent in session.agents:
        if agent.agent_id != sender.agent_id:
            await agent.send(update)
