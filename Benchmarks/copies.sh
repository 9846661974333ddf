#!/usr/bin/env bash
# Counts a program's calls of memcpy and memmove by caller and size, and prints those that copied most when it ends:
#
#     Benchmarks/copies.sh [-s SMALLEST] [-n LINES] PROGRAM [ARGUMENT…]
#
# as with .build/release/sluice serve --dev, while sluice-load is at work; end it with Ctrl-C. SMALLEST: of this many bytes
# and more, 512 if not said. A large value that Swift copies for a call is a line whose size is the value's.
set -euo pipefail
smallest=512
lines=40
while getopts s:n: option; do
    case "$option" in
        s) smallest="$OPTARG" ;;
        n) lines="$OPTARG" ;;
        *) exit 64 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 64; }
program=$(realpath "$(command -v "$1")")
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cc -O2 -Wall -Wextra -shared -fPIC -o "$folder/copies.so" "$(dirname "$0")/Copies/copies.c" -ldl
# Ctrl-C and the signal that ends this script end the program; the table comes after it.
LD_PRELOAD="$folder/copies.so" COPIES_FILE="$folder/sites" COPIES_SMALLEST="$smallest" "$program" "$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' INT TERM
wait "$child" || true
# A signal ends the first wait, not the program.
wait "$child" 2>/dev/null || true
[ -s "$folder/sites" ] || { echo "copies: the program did not end by itself: nothing is known" >&2; exit 1; }

# Functions by address, each site after the one that it lies in.
{
    nm --defined-only "$program" | awk 'tolower($2) ~ /^[tw]$/ { print $1, "-", $3 }'
    awk -v program="$program" '$2 > 0 && $4 == program {
        address = $3
        while (length(address) < 16) address = "0" address
        print address, $1, $2
    }' "$folder/sites"
} | LC_ALL=C sort -k1,1 -k2,2 | awk '
    $2 == "-" { name = $3; next }
    { count[name " " $3] += $2 }
    END { for (key in count) { split(key, part, " "); print count[key] * part[2], count[key], part[2], part[1] } }
' | sort -rn | head -n "$lines" >"$folder/table"
printf '%14s %10s %8s  %s\n' "bytes in all" times size function
cut -d ' ' -f 4 "$folder/table" | swift demangle --simplified --compact | paste -d ' ' <(cut -d ' ' -f 1-3 "$folder/table") - |
    while read -r all times size name; do printf '%14s %10s %8s  %s\n' "$all" "$times" "$size" "$name"; done
awk '$2 == 0 && $1 > 0 { print "copies: not counted, for want of room:", $1 }' "$folder/sites" >&2
