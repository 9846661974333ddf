#!/usr/bin/env bash
# Measures the server's hot path against the least that C can do, in one run: Benchmarks/floor.sh [ROUNDS]
#
# The last line is the ratio of CPU for each forwarded video packet. Both use the same cipher: Intel's multi-buffer
# library where it is installed, or what FLOOR_CIPHER says (evp or ipsec-mb). Worth something only on an idle machine
# with two cores or more.
set -euo pipefail
cd "$(dirname "$0")"
build="${BENCHMARKS_BUILD:-.build}"
mkdir -p "$build"
floor=$(realpath "$build")/floor
compile=(cc -O3 -Wall -Wextra -o "$floor" Floor/floor.c -lcrypto)
cipher="${FLOOR_CIPHER:-}"
if "${compile[@]}" -DWITH_IPSEC_MB -lIPSec_MB 2>/dev/null; then
    cipher="${cipher:-ipsec-mb}"
else
    "${compile[@]}"
    cipher="${cipher:-evp}"
fi
swift build -c release --scratch-path "$build" --product FloorComparison >&2
exec "$build/release/FloorComparison" "$floor" "$cipher" "${1:-11}"
