"""A certificate that nobody else trusts, made by openssl."""

from __future__ import annotations

import asyncio
import ssl
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

COMMAND = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


async def make_certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """The certificate's file, which a client is to trust, and the context for a server."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    arguments = [*COMMAND.split(), "-addext", NAMES, "-keyout", str(key), "-out", str(certificate)]
    openssl = await asyncio.create_subprocess_exec("openssl", *arguments, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
    _, said = await openssl.communicate()
    if openssl.returncode != 0:
        raise RuntimeError(f"openssl made no certificate: {said.decode(errors='replace')}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate, context
