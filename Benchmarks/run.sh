#!/usr/bin/env bash
# Builds the benchmarks and prints a table: Benchmarks/run.sh [--allocations | --memory | --time [FILTER]]
#
# --allocations  only the check that the packet path neither allocates nor copies more than a packet at once; its exit code
#                is the verdict (CI runs this)
# --memory       only what a session keeps, in the heap and resident; fails over the limits
# --time         only the times, of all workloads or of those whose name the regular expression FILTER matches
set -euo pipefail
cd "$(dirname "$0")"
scratch=(--scratch-path "${BENCHMARKS_BUILD:-.build}")

if [[ -z "${1:-}" || "$1" == --allocations ]]; then
    swift build -c release "${scratch[@]}" --product AllocationCheck >&2
    "${scratch[1]}/release/AllocationCheck"
fi
if [[ -z "${1:-}" || "$1" == --memory ]]; then
    swift build -c release "${scratch[@]}" --product SessionMemory >&2
    "${scratch[1]}/release/SessionMemory"
fi
if [[ -z "${1:-}" || "$1" == --time ]]; then
    filter=()
    if [[ -n "${2:-}" ]]; then filter=(--filter "$2"); fi
    swift package "${scratch[@]}" --disable-sandbox --allow-writing-to-package-directory \
        benchmark run --no-progress --grouping metric --time-units nanoseconds "${filter[@]}"
fi
