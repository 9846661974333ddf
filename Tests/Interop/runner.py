"""Runs the scenarios one after the other: a line for each, then `N passed, N failed`."""
import asyncio
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import harness
import scenarios_page  # noqa: F401: registers its scenarios
import scenarios_signalling  # noqa: F401
import scenarios_streams  # noqa: F401

#: Of the whole run, in seconds; what has not begun by then counts as failed.
BUDGET = float(os.environ.get("BUDGET", "600"))


async def perform(binary, artifacts, sentence, timeout, function):
    run = harness.Run(binary, sentence, artifacts)
    started = time.monotonic()
    failure = None
    try:
        async with run.stack:
            try:
                async with asyncio.timeout(timeout):
                    await function(run)
            except BaseException:
                await run.keep_evidence()
                raise
    except TimeoutError:
        failure = f"took longer than {timeout} s\n{traceback.format_exc()}"
    except Exception as error:  # noqa: BLE001: every error is the scenario's failure
        failure = f"{error}" if isinstance(error, AssertionError) else traceback.format_exc()
    seconds = time.monotonic() - started
    facts = f": {'; '.join(run.facts)}" if run.facts else ""
    print(f"{'FAILED' if failure else 'passed'}  {sentence} ({seconds:.1f} s){facts}", flush=True)
    if failure:
        print("        " + failure.strip().replace("\n", "\n        "), flush=True)
        print(f"        evidence: {run.folder}", flush=True)
    return failure is None


async def main(binary, patterns):
    binary = str(Path(binary).resolve())
    if not os.access(binary, os.X_OK):
        print(f"{binary} is no program that can be run", file=sys.stderr)
        return 66
    artifacts = os.environ.get("ARTIFACTS") or Path(__file__).resolve().parents[2] / ".build" / "interop"
    chosen = [entry for entry in harness.SCENARIOS
              if not patterns or any(pattern.lower() in entry[0].lower() for pattern in patterns)]
    if not chosen:
        print("no scenario has such a name", file=sys.stderr)
        return 64
    passed = failed = 0
    deadline = time.monotonic() + BUDGET
    for sentence, timeout, function in chosen:
        left = deadline - time.monotonic()
        if left <= 0:
            print(f"FAILED  {sentence}: not begun, the {BUDGET:.0f} s of the whole run are over", flush=True)
            failed += 1
            continue
        if await perform(binary, artifacts, sentence, min(timeout, left), function):
            passed += 1
        else:
            failed += 1
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    # aiortc reports through it what is no failure of the scenario.
    logging.basicConfig(level=logging.CRITICAL)
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
