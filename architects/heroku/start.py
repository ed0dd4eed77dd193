"""The small script above the server in a dyno, whichever language the server is written in. It keeps three promises.

A server that dies is Heroku's to start again, but one whose lease is over must not be: Heroku would start it anew, on a
new lease, for ever. So it is not let go of: the door stays shut, and with `self_destruct` the app is scaled to nothing.
A server is as old as its app, not as its disk: what is left of its `max_lifetime` is counted when it starts.
Whoever holds the account's token is not the server, nor anything that it starts, nor anybody who reads command lines.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

START = "start.sh"
"""In the bundle, at its top."""
EXPIRES = "FALSEWORK_EXPIRES"
"""The config var with the end of the server's life, in seconds since the epoch."""
DESTRUCT_TOKEN, DESTRUCT_URL = "FALSEWORK_DESTRUCT_TOKEN", "FALSEWORK_DESTRUCT_URL"
"""The config vars with the account's token, and the API's address of the app's formation."""

SCRIPT = r"""#!/bin/sh
# Runs the server that its arguments start. Heroku starts this again when it ends, so it ends only if that is wanted.
told= child= token=$FALSEWORK_DESTRUCT_TOKEN
unset FALSEWORK_DESTRUCT_TOKEN
trap 'told=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT

if [ -n "$FALSEWORK_EXPIRES" ]; then
    left=$((FALSEWORK_EXPIRES - $(date +%s)))
    [ "$left" -gt 0 ] || left=0
    set -- "$@" "--max-lifetime=${left}s"
fi

"$@" &
child=$!
[ -z "$told" ] || kill -TERM "$child"
while :; do
    wait "$child"
    status=$?
    kill -0 "$child" 2>/dev/null || break
done
child=
[ -z "$told" ] || exit 0
[ "$status" -eq 0 ] || exit "$status"

echo "the server has ended for good: its lease is over, or its launcher left" >&2
if [ -n "$token" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --config - --silent --show-error --fail --retry 9 \
        --request PATCH --header 'Accept: application/vnd.heroku+json; version=3' \
        --header 'Content-Type: application/json' --data '{"updates": [{"type": "web", "quantity": 0}]}' \
        --output /dev/null "$FALSEWORK_DESTRUCT_URL" >&2
fi
while [ -z "$told" ]; do
    sleep 1
done
exit 0
"""


def procfile(start: Sequence[str]) -> str:
    """The Procfile whose one process is started by that command, under the script."""
    return f"web: {shlex.join(('sh', START, *start))}\n"


def destruct_variables(address: str, app_id: str, token: str) -> Mapping[str, str]:
    """The config vars by which an app can scale itself to nothing."""
    return {DESTRUCT_TOKEN: token, DESTRUCT_URL: f"{address}/apps/{app_id}/formation"}
