"""Runs the scenarios one after the other: a line for each, then `N passed, N failed`."""
import asyncio
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import harness
import machine
import scenarios_bandwidth  # noqa: F401: registers its scenarios
import scenarios_gstreamer  # noqa: F401
import scenarios_layers  # noqa: F401
import scenarios_link  # noqa: F401
import scenarios_load  # noqa: F401
import scenarios_page  # noqa: F401
import scenarios_permits  # noqa: F401
import scenarios_pion  # noqa: F401
import scenarios_reconnection  # noqa: F401
import scenarios_signalling  # noqa: F401
import scenarios_streams  # noqa: F401
import scenarios_whip_client  # noqa: F401

#: Of the whole run, in seconds; what has not begun by then counts as failed.
BUDGET = float(os.environ.get("BUDGET", "1800"))
#: How many scenarios of a run of continuous integration may fail once and pass when they are tried again: browsers are not
#: deterministic. Those from which the host took processor time meanwhile (`machine.SHORT`) do not count, have a third and a
#: fourth try, and these with fewer pictures. A server that ends by itself has no second try, and who changes the code sees
#: each failure.
IS_INTEGRATION = os.environ.get("CI") == "true"
SECOND_TRIES = 2
TRIES_WHEN_SHORT = 4
#: For all tries after the first, with the waiting for a quiet moment, in seconds.
REPETITION = 700
QUIET_WAIT = 60


class Try:
    """What became of one: `passed` is None when it was skipped; `died`, a server by itself; `stolen`, the share of the
    processors' time that the host took meanwhile."""

    def __init__(self, passed, text, complaint=None, died=False, stolen=0.0):
        self.passed = passed
        self.text = text
        self.complaint = complaint
        self.died = died
        self.stolen = stolen

    @property
    def is_short(self):
        return self.stolen >= machine.SHORT

    def tell(self, word):
        print(f"{word:<7} {self.text}", flush=True)
        if self.complaint:
            print("        " + self.complaint.replace("\n", "\n        "), flush=True)


async def perform(binary, artifacts, sentence, timeout, function):
    times = machine.times()
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
    except harness.Skipped as reason:
        return Try(None, f"{sentence}: {reason}")
    except TimeoutError:
        failure = f"took longer than {timeout} s\n{traceback.format_exc()}"
    except Exception as error:  # noqa: BLE001: every error is the scenario's failure
        failure = isinstance(error, AssertionError) and str(error) or traceback.format_exc()
    seconds = time.monotonic() - started
    stolen = machine.stolen_since(times)
    if stolen >= machine.SHORT:
        run.fact(f"the host took {stolen:.0%} of the processors' time")
    facts = f": {'; '.join(run.facts)}" if run.facts else ""
    complaint = failure and f"{failure.strip()}\nevidence: {run.folder}"
    died = any(server.died for server in run.servers)
    return Try(failure is None, f"{sentence} ({seconds:.1f} s){facts}", complaint, died, stolen)


class Allowance:
    """What tries after the first may still take in this run of continuous integration."""

    def __init__(self):
        self.tries = SECOND_TRIES
        self.seconds = REPETITION
        self.tried_again = []

    def permits(self, is_short, failures, least):
        """Whether there may be one more try, of `least` seconds or more, after so many `failures` that count."""
        return self.seconds > least and (is_short or self.tries > 0 and failures == 1)


async def perform_until_sure(binary, artifacts, scenario, deadline, allowance):
    """The last try."""
    sentence, timeout, function = scenario
    last = await perform(binary, artifacts, sentence, min(timeout, deadline - time.monotonic()), function)
    failures = 0
    for number in range(2, TRIES_WHEN_SHORT + 1):
        if last.passed is not False:
            break
        failures += 0 if last.is_short else 1
        started = time.monotonic()
        left = min(deadline - started, allowance.seconds)
        if last.died or not IS_INTEGRATION or not allowance.permits(last.is_short, failures, timeout / 2):
            break
        last.tell("again")
        # What a host leaves half of may still be enough for half of the pictures.
        frame_rate = machine.SLOW_FRAME_RATE if last.is_short else machine.frame_rate
        if last.is_short:
            print(f"        {machine.wait_until_quiet(min(QUIET_WAIT, left - timeout / 2))}", flush=True)
        else:
            allowance.tries -= 1
        allowance.tried_again.append(sentence)
        limit = min(timeout, left - (time.monotonic() - started))
        with machine.at_frame_rate(frame_rate):
            print(f"        try {number}, cameras make {machine.frame_rate} pictures per second:", flush=True)
            last = await perform(binary, f"{artifacts}/try-{number}", sentence, limit, function)
        allowance.seconds -= time.monotonic() - started
    last.tell({True: "passed", False: "FAILED", None: "skipped"}[last.passed])
    return last


async def main(binary, patterns):
    binary = str(Path(binary).resolve())
    if not os.access(binary, os.X_OK):
        print(f"{binary} is no program that can be run", file=sys.stderr)
        return 66
    artifacts = os.environ.get("ARTIFACTS") or Path(__file__).resolve().parents[2] / ".build" / "interop"
    chosen = [(sentence, timeout, function) for sentence, timeout, on_request, function in harness.SCENARIOS
              if any(pattern.lower() in sentence.lower() for pattern in patterns) or not (patterns or on_request)]
    # Last: they need most of the processors, and hosts give little to who has just kept them busy for long, as with a build.
    chosen.sort(key=lambda entry: entry[2].__module__ == scenarios_bandwidth.__name__)
    if not chosen:
        print("no scenario has such a name", file=sys.stderr)
        return 64
    if IS_INTEGRATION:
        print(machine.wait_until_quiet(QUIET_WAIT), flush=True)
    print(machine.measure(), flush=True)
    counts = {True: 0, False: 0, None: 0}
    failed = []
    deadline = time.monotonic() + BUDGET
    allowance = Allowance()
    for sentence, timeout, function in chosen:
        left = deadline - time.monotonic()
        if left <= 0:
            failed.append(Try(False, f"{sentence}: not begun, the {BUDGET:.0f} s of the whole run are over"))
            counts[False] += 1
            continue
        last = await perform_until_sure(binary, artifacts, (sentence, timeout, function), deadline, allowance)
        counts[last.passed] += 1
        if last.passed is False:
            failed.append(last)
    for sentence in dict.fromkeys(allowance.tried_again):
        print(f"failed at first, and was tried again: {sentence}", flush=True)
    # Once more where the run ends: the rest of it is long.
    for last in failed:
        last.tell("FAILED")
    skipped = f", {counts[None]} skipped" if counts[None] else ""
    print(f"{counts[True]} passed, {counts[False]} failed{skipped}", flush=True)
    return 1 if counts[False] else 0


if __name__ == "__main__":
    # aiortc reports through it what is no failure of the scenario.
    logging.basicConfig(level=logging.CRITICAL)
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
