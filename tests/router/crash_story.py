"""A story of workers who hand in and a launcher that fetches and acknowledges, told to routers that die in the midst of it.

What the launcher stored and what the workers were told stays here when a router dies, as it does in the real world.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from typing import Any

import aiohttp

from .router_process import TOKEN
from .wire_clients import BOUNDARY, multipart

PATIENCE = 20.0
LIMITS = ("--limit", "frame=16384")
"""So that an answer of 20,000 characters lies beside the uploads."""
LARGE = "x" * 20_000


class Died(Exception):
    """The router is gone."""


class Work:
    """One thing that a worker hands in: what it says, and with which files. Its id is its agent's."""

    def __init__(self, agent: str, answer: Any, **files: str) -> None:
        self.agent, self.answer, self.files = agent, answer, files
        self.told = False
        """Whether its worker was told that it is saved."""


class World:
    """All that outlives a router."""

    def __init__(self) -> None:
        self.works = [
            Work("plain", {"text": "short"}),
            Work("with a file", {"text": "see the picture"}, picture="a picture"),
            Work("large", {"text": LARGE}),
            Work("large with files", {"text": LARGE}, one="first", two="second"),
            *(Work(f"crowd {number}", {"n": number}) for number in range(3)),
        ]
        self.acked: dict[str, int] = {}
        self.stored: dict[tuple[str, int], dict[str, Any]] = {}
        """What the launcher has, by router epoch and number."""
        self.epoch = 0

    def check(self) -> None:
        """Everything that was handed in was stored once, whole, with its files."""
        assert [work.agent for work in self.works if not work.told] == []
        stored = Counter(packet["submission_id"] for packet in self.stored.values())
        assert stored == {f"of {work.agent}": 1 for work in self.works}
        found = {packet["submission_id"]: packet for packet in self.stored.values()}
        for work in self.works:
            packet = found[f"of {work.agent}"]
            assert packet["subject_id"] == work.agent
            assert packet["answer"] == work.answer
            assert packet["uploads"] == work.files


class Story:
    """The world with one router. Raises Died as soon as somebody notices that the router is gone."""

    def __init__(self, world: World, port: int) -> None:
        self._world, self._url = world, f"http://127.0.0.1:{port}"
        self._session = aiohttp.ClientSession()
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._epoch = ""
        self._early: list[dict[str, Any]] = []

    async def tell(self) -> None:
        """All of it: whatever was not told to be saved is handed in, and everything is fetched."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._attach()
                async with asyncio.TaskGroup() as group:
                    launcher = group.create_task(self._listen())
                    await self._hand_in()
                    await self._until_collected()
                    launcher.cancel()
        except* Died as died:
            raise Died(str(died.exceptions[0])) from died
        finally:
            if self._socket is not None:
                await self._socket.close()
            await self._session.close()

    async def hand_in_only(self) -> None:
        """The launcher names the agents and hears nothing."""
        await self._attach()
        await self._hand_in()
        await self._session.close()

    # Workers

    async def _hand_in(self) -> None:
        *one_by_one, first, second, third = self._world.works
        for work in one_by_one:
            await self._submit(work)
        await asyncio.gather(*(self._submit(work) for work in (first, second, third)))

    async def _submit(self, work: Work) -> None:
        if work.told:
            return
        body = {"USED_AGENT_ID": work.agent, "submission_id": f"of {work.agent}"}
        if work.files:
            fields: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in body.items()]
            fields.append({"name": "final_string_data", "value": json.dumps(work.answer)})
            fields += [{"name": name, "filename": name, "content": text} for name, text in work.files.items()]
            told = await self._post(multipart(fields), f"multipart/form-data; boundary={BOUNDARY.decode()}")
        else:
            told = await self._post(json.dumps({**body, "final_data": work.answer}).encode(), "application/json")
        assert told == (200, {"status": "Submitted!"})
        work.told = True

    async def _post(self, body: bytes, content_type: str) -> tuple[int, Any]:
        try:
            headers = {"Content-Type": content_type}
            async with self._session.post(f"{self._url}/submit_task", data=body, headers=headers) as answer:
                return answer.status, await answer.json()
        except aiohttp.ClientError as error:
            raise Died(repr(error)) from error

    # The launcher

    async def _attach(self) -> None:
        world = self._world
        world.epoch += 1
        try:
            self._socket = socket = await self._session.ws_connect(self._url)
            hello = {"token": TOKEN, "protocol": 1, "epoch": world.epoch, "acked": world.acked}
            await self._say("alive", "mephisto", hello)
            welcome, *self._early = _packets(await socket.receive())
            self._epoch = welcome["data"]["router_epoch"]
            for work in world.works:
                await self._say("update_status", work.agent, {"status": "in task"})
            await self._say("request_statuses", "mephisto", {})
            while (await self._get("/metrics"))["agents"] < len(world.works):
                pass
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Died(repr(error)) from error

    async def _listen(self) -> None:
        if self._socket is None:
            raise ValueError("attach first")
        packets = self._early
        while True:
            for packet in packets:
                if "number" in packet:
                    await self._store(packet)
            packets = _packets(await self._socket.receive())

    async def _store(self, packet: dict[str, Any]) -> None:
        """Fetch, store, acknowledge; a repeat is the same packet, and is acknowledged only."""
        key = (self._epoch, packet["number"])
        whole = {"submission_id": packet["submission_id"], "subject_id": packet["subject_id"], "answer": packet["data"]}
        digest = hashlib.sha256(json.dumps(packet["data"]).encode()).hexdigest()
        if key in self._world.stored:
            assert self._world.stored[key]["digest"] == digest, f"{key} is the number of two packets"
        else:
            if "data_file" in packet:
                whole["answer"] = json.loads(await self._fetch(packet["data_file"]))
            files = packet.get("files", [])
            whole["uploads"] = {file["fieldname"]: (await self._fetch(file["filename"])).decode() for file in files}
            if isinstance(whole["answer"], dict):
                whole["answer"] = {k: v for k, v in whole["answer"].items() if k not in ("files", "filesByFields")}
            self._world.stored[key] = {**whole, "digest": digest}
        self._world.acked[self._epoch] = max(self._world.acked.get(self._epoch, 0), packet["number"])
        await self._say("ack", "mephisto", {"router_epoch": self._epoch, "number": packet["number"]})

    async def _fetch(self, name: str) -> bytes:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            async with self._session.get(f"{self._url}/download_file/{name}", headers=headers) as answer:
                assert answer.status == 200, f"{name}, which was handed in, is not there"
                return await answer.read()
        except aiohttp.ClientError as error:
            raise Died(repr(error)) from error

    async def _say(self, packet_type: str, subject_id: str, data: Any) -> None:
        if self._socket is None:
            raise ValueError("attach first")
        try:
            await self._socket.send_json({"packet_type": packet_type, "subject_id": subject_id, "data": data})
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Died(repr(error)) from error

    async def _until_collected(self) -> None:
        while (await self._get("/metrics"))["outbox_held"]:
            pass

    async def _get(self, path: str) -> dict[str, float]:
        try:
            async with self._session.get(self._url + path) as answer:
                lines = (await answer.text()).splitlines()
        except aiohttp.ClientError as error:
            raise Died(repr(error)) from error
        samples = dict(line.split() for line in lines if not line.startswith("#"))
        return {name.removeprefix("falsework_"): float(value) for name, value in samples.items()}


def _packets(message: Any) -> list[dict[str, Any]]:
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise Died(f"the launcher's socket closed with {message.data}")
    said = json.loads(message.data)
    return said if isinstance(said, list) else [said]
