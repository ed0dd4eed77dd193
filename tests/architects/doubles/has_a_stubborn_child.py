"""Ends politely, but has a child in its group that does not. Says the child's process id."""

import json
import os
import signal
import sys

reading, writing = os.pipe()
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(1)
    os.write(writing, b"!")
    while True:
        signal.pause()

os.read(reading, 1)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(json.dumps({"ready": {"port": 1, "child": child}}), flush=True)
while True:
    signal.pause()
