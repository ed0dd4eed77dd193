"""Ends before it is ready, and says why on its way out."""

import sys

for line in ("starting", "reading the configuration", "no such flavour: plum"):
    print(line, file=sys.stderr)
sys.exit(7)
