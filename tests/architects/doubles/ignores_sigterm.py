"""Is ready, and does not end when it is asked to."""

import json
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"ready": {"port": 1}}), flush=True)
while True:
    signal.pause()
