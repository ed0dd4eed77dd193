"""A web app that answers nothing but listens, and that SIGTERM does not end."""

import os
import signal
import socket

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("0.0.0.0", int(os.environ["PORT"]))) as listener:
    heard = []
    while True:
        heard.append(listener.accept())
