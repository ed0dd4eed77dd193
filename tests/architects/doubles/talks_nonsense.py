"""Says something that is no ready line."""

import signal

print("Listening on port 3000, have fun!", flush=True)
while True:
    signal.pause()
