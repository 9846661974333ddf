"""What this machine can give to browsers that encode and paint without a graphics card, and what others took from it."""
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

#: Seconds that `_work` may take with every processor busy, for 30 pictures per second. At this limit four pages with
#: 720 lines use 85 % of two processors.
QUICK = 0.25
#: Of the time, that a host gave to others: from here on a failure may well be its own.
SHORT = 0.05

#: Pictures per second that cameras make. A slow machine shows half of them whole instead of all of them late.
SLOW_FRAME_RATE = 15
frame_rate = 30


def least_frame_rate():
    """What has to be shown of them."""
    return frame_rate * 2 / 3


def _work():
    started = time.monotonic()
    total = 0
    for number in range(3_000_000):
        total += number
    return time.monotonic() - started


def _work_everywhere(timeout=30):
    """Keeps every processor busy for a second or so; the least time that `_work` took on the slowest, in seconds.

    In processes of their own, not in forks: a fork of a program with threads can wait for ever.
    """
    workers = [subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
               for _ in range(os.cpu_count() or 1)]
    try:
        deadline = time.monotonic() + timeout
        return max(float(worker.communicate(timeout=max(deadline - time.monotonic(), 0.1))[0]) for worker in workers)
    except (subprocess.TimeoutExpired, ValueError):
        return float("inf")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def measure():
    """Sets `frame_rate`, from FRAME_RATE in the environment if it is there; returns what to tell about it."""
    global frame_rate
    if told := os.environ.get("FRAME_RATE"):
        frame_rate = int(told)
        return f"cameras make {frame_rate} pictures per second, as FRAME_RATE says"
    seconds = _work_everywhere()
    frame_rate = 30 if seconds <= QUICK else SLOW_FRAME_RATE
    return (f"cameras make {frame_rate} pictures per second: the measured work took {seconds:.2f} s, "
            f"up to {QUICK} s are quick enough for 30")


@contextlib.contextmanager
def at_frame_rate(rate):
    """Cameras that are made meanwhile make so many pictures per second, or fewer."""
    global frame_rate
    before = frame_rate
    frame_rate = min(frame_rate, rate)
    try:
        yield
    finally:
        frame_rate = before


def wait_until_quiet(seconds):
    """Waits for a moment at which the host takes little, for so long at most: what others do comes and goes."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        before = times()
        _work_everywhere()
        if stolen_since(before) < SHORT:
            return f"the host takes little after {time.monotonic() - started:.0f} s"
        # Some hosts give back, after a rest, what they took from who was busy for long.
        time.sleep(10)
    return f"the host still takes {SHORT:.0%} and more after {seconds:.0f} s"


def times():
    """(what the host gave to others, all) of all processors so far, in ticks; None where the kernel does not say."""
    try:
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:
        return None
    return ticks[7], sum(ticks)


def stolen_since(before):
    """From 0 to 1; `before` is what `times` gave."""
    after = times()
    if before is None or after is None or after[1] <= before[1]:
        return 0.0
    return (after[0] - before[0]) / (after[1] - before[1])


if __name__ == "__main__":
    # The best of three, since something else may have run beside one.
    print(min(_work() for _ in range(3)))
