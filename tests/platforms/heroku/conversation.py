"""What a browser and one dyno say to each other through the front door, byte by byte."""

from __future__ import annotations

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from contextlib import suppress

from .address import ADDRESS
from .app import App
from .dyno import Dyno
from .heads import Head, read_head
from .settings import Settings

CHUNK = 1 << 16
AFFINITY_COOKIE = "heroku-session-affinity"


class Unserved(Exception):
    """Heroku's code of what went wrong, and whether the browser had an answer before that."""

    def __init__(self, code: str, *, answered: bool = False) -> None:
        self.code, self.answered = code, answered
        super().__init__(code)


class Conversation:
    """One request and its answer, or one WebSocket. `status` is that of the answer, 0 until there is one."""

    def __init__(self, app: App, dyno: Dyno, reader: StreamReader, writer: StreamWriter, settings: Settings) -> None:
        self.app, self.dyno, self.settings = app, dyno, settings
        self.reader, self.writer = reader, writer
        self.status = 0
        self._last_word = time.monotonic()

    async def hold(self, head: Head, *, lose_reply: bool = False) -> None:
        """Until the dyno has said all or the browser has left. Raises Unserved."""
        try:
            from_dyno, to_dyno = await asyncio.open_connection(ADDRESS, self.dyno.port, limit=CHUNK)
        except OSError as error:
            raise Unserved("H21") from error
        try:
            to_dyno.write(self._forwarded(head).encoded())
            await self._both_ways(from_dyno, to_dyno, lose_reply)
        finally:
            await close(to_dyno)

    async def _both_ways(self, from_dyno: StreamReader, to_dyno: StreamWriter, lose_reply: bool) -> None:
        upward = asyncio.create_task(self._relay(self.reader, to_dyno))
        downward = asyncio.create_task(self._hear(from_dyno, lose_reply))
        tasks = (upward, downward)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not downward.done() and not self.reader.at_eof():
                await asyncio.wait([downward])  # the dyno takes no more, but may still have something to say
            if downward.done():
                downward.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, from_dyno: StreamReader, lose_reply: bool) -> None:
        head = await self._answer_of(from_dyno)
        while head.is_interim:
            self.writer.write(head.encoded())
            head = await self._answer_of(from_dyno)
        self.status = head.status
        if lose_reply:
            return
        self.writer.write(self._returned(head).encoded())
        self._last_word = time.monotonic()
        relaying = asyncio.create_task(self._relay(from_dyno, self.writer))
        try:
            while not relaying.done():
                quiet_until = self._last_word + self.settings.idle_limit
                await asyncio.wait([relaying], timeout=max(0, quiet_until - time.monotonic()))
                if not relaying.done() and time.monotonic() >= self._last_word + self.settings.idle_limit:
                    raise Unserved("H15", answered=True)
        finally:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)

    async def _answer_of(self, from_dyno: StreamReader) -> Head:
        try:
            async with asyncio.timeout(self.settings.request_limit):
                head = await read_head(from_dyno)
        except TimeoutError as error:
            raise Unserved("H12") from error
        except OSError as error:
            raise Unserved("H13") from error
        if head is None:
            raise Unserved("H13")
        return head

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                self._last_word = time.monotonic()
                writer.write(data)
                await writer.drain()

    def _forwarded(self, head: Head) -> Head:
        address, port = self.writer.get_extra_info("peername")[0], self.writer.get_extra_info("sockname")[1]
        added = {"X-Forwarded-For": address, "X-Forwarded-Proto": "http", "X-Forwarded-Port": str(port)}
        added |= {"Via": "1.1 heroku-router"} | ({} if head.is_upgrade else {"Connection": "close"})
        return head.replacing(added)

    def _returned(self, head: Head) -> Head:
        if head.status != 101:
            head = head.replacing({"Connection": "close"})
        if self.app.sticky:
            head = head.adding([("Set-Cookie", f"{AFFINITY_COOKIE}={self.dyno.id}; Path=/; HttpOnly")])
        return head


async def close(writer: StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
