"""Says that it is ready on a port where nobody listens."""

import json
import signal
import socket

with socket.create_server(("127.0.0.1", 0)) as closed_again:
    port = closed_again.getsockname()[1]
print(json.dumps({"ready": {"port": port}}), flush=True)
while True:
    signal.pause()
