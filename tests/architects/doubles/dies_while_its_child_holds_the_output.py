"""Ends before it is ready, while a child of its own keeps the output open."""

import os
import signal
import sys

if os.fork() == 0:
    while True:
        signal.pause()
sys.exit(3)
