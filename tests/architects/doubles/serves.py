"""Serves `/is_alive` as the run that it was started for, like a router; ends as soon as it is asked to."""

import argparse
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--run-id")
parser.add_argument("--port", type=int)
given, _ = parser.parse_known_args()


class Alive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "Alive!", "run_id": given.run_id}).encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    server = HTTPServer(("127.0.0.1", given.port), Alive)
except OSError as error:
    sys.exit(f"cannot listen on port {given.port}: {error.strerror}")
print(json.dumps({"ready": {"port": server.server_port}}), flush=True)
server.serve_forever()
