"""Lives, logs, and never says that it is ready."""

import signal
import sys

print("thinking about it", file=sys.stderr, flush=True)
while True:
    signal.pause()
