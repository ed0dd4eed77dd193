"""Serves, but as a run that it was not started for."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "Alive!", "run_id": "somebody-else"}).encode())


server = HTTPServer(("127.0.0.1", 0), Foreign)
print(json.dumps({"ready": {"port": server.server_port}}), flush=True)
server.serve_forever()
