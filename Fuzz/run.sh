#!/usr/bin/env bash
# Runs the fuzz targets: Fuzz/run.sh [SECONDS] [TARGET...], by default 30 s of each.
#
# Every input that ever broke something (FailCases/) is tried first. A new one is put there and named. Seeds come from
# Corpus/; what the fuzzer finds on its way stays outside the repository, in $FUZZ_STATE (default: .build/fuzz-state).
set -uo pipefail
cd "$(dirname "$0")" || exit 2

seconds=30
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
targets=("$@")
if ((${#targets[@]} == 0)); then
    targets=(FuzzSTUN FuzzRTP FuzzRTCP FuzzSDP FuzzSignalling FuzzDemultiplexer)
fi

# The crash backtracer outlives its process and would hold the pipe open.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=${FUZZ_DETECT_LEAKS:-0}:allocator_may_return_null=1
scratch=${FUZZ_BUILD:-.build}
state=${FUZZ_STATE:-$scratch/fuzz-state}

for target in "${targets[@]}"; do
    if ! swift build -c release --scratch-path "$scratch" --product "$target" >"/tmp/fuzz-build.$$" 2>&1; then
        cat "/tmp/fuzz-build.$$"
        rm -f "/tmp/fuzz-build.$$"
        echo "error: $target does not build"
        exit 2
    fi
done
rm -f "/tmp/fuzz-build.$$"

passed=0
failed=0
for target in "${targets[@]}"; do
    binary=$scratch/release/$target
    corpus=$state/$target
    log=$state/$target.log
    mkdir -p "$corpus" "FailCases/$target"
    case $target in
    FuzzSDP) limits=(-max_len=65536 -dict=Dictionaries/FuzzSDP.dict) ;;
    FuzzSignalling) limits=(-max_len=65536 -dict=Dictionaries/FuzzSignalling.dict) ;;
    FuzzDemultiplexer) limits=(-max_len=8192) ;;
    *) limits=(-max_len=1500) ;;
    esac
    limits+=(-rss_limit_mb=2048 -timeout=10)

    cases=("FailCases/$target"/*)
    if [[ -e "${cases[0]}" ]] && ! "$binary" "${limits[@]}" "${cases[@]}" >"$log" 2>&1; then
        echo "$target: FAILED on an input that was found before:"
        grep -E "^Running:|Fatal error|ERROR|broken rule" "$log" | tail -n 3
        failed=$((failed + 1))
        continue
    fi
    if "$binary" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 \
        -artifact_prefix="FailCases/$target/" "$corpus" "Corpus/$target" >"$log" 2>&1; then
        rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
        count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9)
        echo "$target: passed, $count executions, $rate/s, $coverage edges"
        passed=$((passed + 1))
    else
        echo "$target: FAILED"
        grep -E "Fatal error|ERROR: |SUMMARY|Test unit written" "$log" | head -n 6
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
((failed == 0))
