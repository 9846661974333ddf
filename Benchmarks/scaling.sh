#!/usr/bin/env bash
# Measures whether two media workers forward twice what one does, in one run: Benchmarks/scaling.sh [ROUNDS]
#
# The last line is the ratio for video. SCALING_CIPHER=evp takes OpenSSL where Intel's multi-buffer library is installed.
# Worth something only on an idle machine with two cores or more.
set -euo pipefail
cd "$(dirname "$0")"
build="${BENCHMARKS_BUILD:-.build}"
cipher="${SCALING_CIPHER:-ipsec-mb}"
if ! ldconfig -p | grep -q libIPSec_MB; then cipher=evp; fi
swift build -c release --scratch-path "$build" --product WorkerScaling >&2
exec "$build/release/WorkerScaling" "$cipher" "${1:-11}"
