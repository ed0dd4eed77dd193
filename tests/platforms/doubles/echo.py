"""A web app that says who it is, and says again what it hears over a WebSocket."""

import json
import os
import sys

from aiohttp import WSMsgType, web

INTERFACE = "127.0.0.1" if "--loopback" in sys.argv else "0.0.0.0"


async def who(request):
    seen = os.path.exists("seen")
    open("seen", "w").close()
    return web.json_response(
        {"pid": os.getpid(), "seen": seen, "environment": dict(os.environ), "headers": dict(request.headers)}
    )


async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(f"{os.environ['DYNO']} {message.data}")
    return socket


async def size(request):
    return web.Response(text=str(len(await request.read())))


async def crash(request):
    print(json.dumps({"crashing": True}))
    os._exit(0)


app = web.Application(client_max_size=1 << 30)
app.add_routes([web.get("/", who), web.get("/socket", echo), web.post("/size", size), web.post("/crash", crash)])
print("the echo is about to listen")
web.run_app(app, host=INTERFACE, port=int(os.environ["PORT"]), print=None)
