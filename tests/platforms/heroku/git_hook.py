"""The pre-receive hook of every repository: has what was pushed built, and prints what the build says.

Git runs it in a process of its own, shows its output to whoever pushes, and refuses the push unless it exits with 0.
Standard library only.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile

BRANCHES = ("refs/heads/main", "refs/heads/master")


def main() -> int:
    pushed = {ref: new for _, new, ref in (line.split() for line in sys.stdin) if set(new) != {"0"}}
    commit = next((pushed[branch] for branch in BRANCHES if branch in pushed), None)
    if commit is None:
        print("Pushed to branch other than [main, master], skipping build.", flush=True)
        return 0
    with tempfile.NamedTemporaryFile(dir=os.environ["STAND_IN_DIRECTORY"], suffix=".tgz") as archive:
        subprocess.run(["git", "archive", "--format=tar.gz", commit], stdout=archive, check=True)
        return build(commit, archive.name)


def build(commit: str, archive: str) -> int:
    host, port = os.environ["STAND_IN_ADDRESS"].split(":")
    asked = {"push": os.environ["STAND_IN_PUSH"], "commit": commit, "archive": archive}
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rw") as words:
        print(json.dumps(asked), file=words, flush=True)
        for line in words:
            said = json.loads(line)
            if "status" in said:
                return 0 if said["status"] == "succeeded" else 1
            print(said["line"], flush=True)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
