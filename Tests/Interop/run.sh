#!/bin/sh
# Real browsers and clients against a sluice binary.
#
#   Tests/Interop/run.sh PATH_TO_SLUICE_BINARY [PATTERN ...]
#
# PATTERN: only scenarios whose name contains it. VENV: the Python environment, made when it is not there.
# CHROMIUM, FIREFOX: the browsers' programs. ARTIFACTS: where logs and screenshots of failures go.
set -eu
if [ $# -lt 1 ]; then
    echo "usage: $0 PATH_TO_SLUICE_BINARY [PATTERN ...]" >&2
    exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
VENV=${VENV:-"$here/../../.build/venv"}
if [ ! -x "$VENV/bin/python" ]; then
    mkdir -p "$(dirname "$VENV")"
    python3 -m venv "$VENV"
fi
if ! "$VENV/bin/python" -c 'import aiohttp, aiortc, numpy' 2>/dev/null; then
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi
"$here/lint.sh"
exec "$VENV/bin/python" "$here/runner.py" "$@"
