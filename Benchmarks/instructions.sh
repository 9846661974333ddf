#!/usr/bin/env bash
# Counts the instructions of each step of the packet path with callgrind, without those of OpenSSL and of memcpy, which
# differ between processors; fails when a step takes more than instructions.txt allows.
#
#     Benchmarks/instructions.sh [--write]     --write makes instructions.txt anew, with 5 per cent of room
#
# A count does not depend on what else the machine does, so it can be a threshold where a time cannot.
set -euo pipefail
cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "instructions: valgrind is not installed; nothing was counted" >&2; exit 0; }
build="${BENCHMARKS_BUILD:-.build}"
swift build -c release --scratch-path "$build" --product InstructionCount >&2
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
# valgrind does not read the compiler's debug information.
objcopy --strip-debug "$build/release/InstructionCount" "$output/program"
# Dictionaries take their seed from where they lie otherwise, and look a few times more or less.
SWIFT_DETERMINISTIC_HASHING=1 valgrind --quiet --tool=callgrind --collect-atstart=no --toggle-collect=measured_call --dump-after=measured_call \
    --callgrind-out-file="$output/profile" "$output/program" >"$output/workloads"

number=0
while IFS=$'\t' read -r operations name; do
    number=$((number + 1))
    # Of each function its own cost: the line after "calls=" is that of what it calls.
    awk -v operations="$operations" -v name="$name" '
        /^ob=/ {
            match($0, /\([0-9]+\)/)
            id = substr($0, RSTART, RLENGTH)
            if (RSTART + RLENGTH <= length($0)) objects[id] = substr($0, RSTART + RLENGTH + 1)
            isCounted = objects[id] !~ /libcrypto|libc\.so|libIPSec_MB/
            next
        }
        /^cob=/ {
            match($0, /\([0-9]+\)/)
            id = substr($0, RSTART, RLENGTH)
            if (RSTART + RLENGTH <= length($0)) objects[id] = substr($0, RSTART + RLENGTH + 1)
            next
        }
        /^calls=/ { getline; next }
        /^[0-9+*-]/ && NF >= 2 && isCounted { sum += $2 }
        END { printf "%d\t%s\n", sum / operations, name }' "$output/profile.$number"
done <"$output/workloads" >"$output/counts"

if [[ "${1:-}" = --write ]]; then
    awk -F'\t' '{ printf "%d\t%s\n", $1 * 1.05 + 1, $2 }' "$output/counts" >instructions.txt
fi
awk -F'\t' '
    NR == FNR { limit[$2] = $1; next }
    !($2 in limit) { printf "FAILED\t%s: %d instructions, and instructions.txt does not name it\n", $2, $1; failures++; next }
    {
        isOver = $1 > limit[$2]; failures += isOver
        printf "%s\t%s: %d instructions, at most %d\n", isOver ? "FAILED" : "ok", $2, $1, limit[$2]
    }
    END { exit failures > 0 }' instructions.txt "$output/counts"
