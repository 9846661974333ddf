"""What scenarios are made of: a server and browsers that end with the scenario, and the watch over media that flows."""
import asyncio
import contextlib
import json
import re
import shutil
import time
from pathlib import Path

import machine
from browsers import Chromium, Firefox
from emulation import Link
from server import Server

HERE = Path(__file__).resolve().parent
WHIP_SCRIPT = (HERE / "whip.js").read_text()
ROOMS_SCRIPT = (HERE / "rooms.js").read_text()

#: What a person waits for, on a machine that does nothing else.
GOAL_SECONDS = 2.0
#: What a busy machine of the continuous integration may take.
LIMIT_SECONDS = 5.0

SCENARIOS = []


class Skipped(Exception):
    """Raised by a scenario that this machine lacks something for, with the words what."""


def scenario(sentence, timeout=60, on_request=False):
    """Registers a coroutine function `f(run)` under its sentence. `on_request`: runs only if a pattern names it."""

    def register(function):
        SCENARIOS.append((sentence, timeout, on_request, function))
        return function

    return register


class Run:
    """One scenario under way. `facts` are printed behind its name."""

    def __init__(self, binary, sentence, artifacts):
        self.binary = binary
        self.folder = Path(artifacts) / re.sub(r"[^a-z0-9]+", "-", sentence.lower()).strip("-")[:80]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.facts = []
        self.pages = []
        self.servers = []
        self.stack = contextlib.AsyncExitStack()

    async def server(self, **options):
        server = await self.stack.enter_async_context(Server(self.binary, self.folder / "server.log", **options))
        self.servers.append(server)
        return server

    async def chromium(self):
        return await self.stack.enter_async_context(Chromium())

    async def firefox(self):
        return await self.stack.enter_async_context(Firefox())

    async def link(self, server, seed=1):
        ports = range(server.media_port, server.media_port + server.workers)
        return await self.stack.enter_async_context(Link(server.media_host or "127.0.0.1", ports, seed))

    async def room_page(self, browser, server, link=None):
        """A page for `rooms.js`, whose media passes the link."""
        page = await self.page(browser, f"{server.url}/?media=none")
        if browser.name == "firefox":
            # With permission for camera or microphone a page may use loopback addresses.
            await page.evaluate("navigator.mediaDevices.getUserMedia({ audio: true }).then(() => true)")
        await page.evaluate(f"(() => {{ {ROOMS_SCRIPT}; return true; }})()")
        if link:
            await page.evaluate(f"window.rooms.through({json.dumps(link.ports)})")
        return page

    async def page(self, browser, url, **options):
        page = await browser.page(url, **options)
        self.pages.append(page)
        await page.evaluate(f"(() => {{ {WHIP_SCRIPT}; return true; }})()")
        return page

    def fact(self, text):
        self.facts.append(text)

    async def keep_evidence(self):
        for index, page in enumerate(self.pages):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(page.screenshot(self.folder / f"page-{index}-{page.browser.name}.png"), 5)
            with contextlib.suppress(Exception):
                evidence = await asyncio.wait_for(page.evaluate(
                    "(async () => { const pc = window.sluice?.room?.peerConnection "
                    "?? [...(window.interop?.sessions.values() ?? [])].at(-1)?.pc; "
                    "return { errors: window.sluice?.errors, timings: window.sluice?.timings, "
                    "local: pc?.localDescription?.sdp, remote: pc?.remoteDescription?.sdp, "
                    "stats: pc ? [...(await pc.getStats()).values()] : [] }; })()"
                ), 5)
                evidence["console"] = page.errors
                text = json.dumps(evidence, indent=1)
                (self.folder / f"page-{index}-{page.browser.name}.json").write_text(text)


# MARK: The meeting page


async def open_meeting(run, browser, server, room, name, size="640x360", viewport=(1024, 700)):
    """The lobby, with the fake camera's picture in the preview; ready for the click."""
    page = await run.page(browser, f"{server.url}/?room={room}&name={name}&size={size}", size=viewport)
    await page.until("document.body.dataset.ready === 'true'", 15, "the lobby with its preview")
    await page.until("document.getElementById('preview').videoWidth > 0", 10, "the preview's picture")
    return page


async def click_join(page):
    await page.evaluate("(document.getElementById('join').click(), true)")


async def milestones(page):
    """Of the page's own marks, in seconds since the epoch."""
    return await page.evaluate(
        "Object.fromEntries(Object.entries(window.sluice.timings)"
        ".map(([name, at]) => [name, (performance.timeOrigin + at) / 1000]))"
    )


async def meet(run, first, second, limit=LIMIT_SECONDS):
    """`first` is in the room when `second` clicks; both see the other within the limit."""
    await click_join(first)
    await first.until("window.sluice.timings.connected", 10, "the first participant's media connection")
    await click_join(second)
    for page in (first, second):
        await page.until("window.sluice.timings.firstFrame", 15, "the other's picture")
    arrivals = [await milestones(page) for page in (first, second)]
    click = arrivals[1]["click"]
    for page, marks in zip((second, first), reversed(arrivals)):
        taken = marks["firstFrame"] - click
        run.fact(f"{page.browser.name} saw the other {taken:.2f} s after the click")
        assert taken <= limit, f"{page.browser.name} saw the other's first frame {taken:.2f} s after the click"
    if any(marks["firstFrame"] - click > GOAL_SECONDS for marks in arrivals):
        run.fact(f"slower than the goal of {GOAL_SECONDS:.0f} s")


# MARK: Media


async def numbers(page, key=None):
    return await page.evaluate(f"window.interop.numbers({json.dumps(key)})")


def cpu_pressure():
    """Seconds so far in which something waited for a processor; None where the kernel does not say."""
    try:
        fields = Path("/proc/pressure/cpu").read_text().split("\n")[0].split()
    except OSError:
        return None
    return int(fields[-1].removeprefix("total=")) / 1e6


def assert_no_freezes(run, name, start, entry, elapsed, pressure, times):
    """A machine that is saturated, or whose host gives its processors to others, freezes pictures by itself: then short
    freezes are told, not failed."""
    if entry.get("freezeCount") is None:
        return
    freezes = entry["freezeCount"] - start["freezeCount"]
    if freezes == 0:
        return
    seconds = (entry.get("totalFreezesDuration") or 0) - (start.get("totalFreezesDuration") or 0)
    waiting = 0 if pressure is None else (cpu_pressure() - pressure) / elapsed
    stolen = machine.stolen_since(times)
    text = (f"{name}: {freezes} freezes, {seconds:.2f} s of {elapsed:.0f} s, processors short {waiting:.0%} of the time, "
            f"the host took {stolen:.0%} of theirs")
    is_excused = waiting > 0.8 and freezes <= 2 and seconds < 1 or stolen >= machine.SHORT and seconds < 0.2 * elapsed
    assert is_excused, f"{text}; {entry}"
    run.fact(f"TOLERATED {text}")


async def has_flowing(page, key=None, timeout=10, kinds=("audio", "video")):
    """Waits until every kind arrives and video is decoded."""
    deadline = time.monotonic() + timeout
    while True:
        sample = await numbers(page, key)
        present = {entry["kind"] for entry in (sample or {}).get("inbound", [])
                   if entry["kind"] == "audio" or entry.get("framesDecoded")}
        if present >= set(kinds):
            return sample
        assert time.monotonic() < deadline, (
            f"{page.browser.name} does not get {' and '.join(sorted(set(kinds) - present))} within {timeout} s: {sample}"
        )
        await asyncio.sleep(0.1)


async def watch(run, page, key=None, seconds=20, warm_up=1.5):
    """Media that arrives goes on arriving: frames, sound in each second, no freeze, no loss."""
    least = machine.least_frame_rate()
    name = page.browser.name
    await has_flowing(page, key)
    await asyncio.sleep(warm_up)
    samples = [await numbers(page, key)]
    pressure, times = cpu_pressure(), machine.times()
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        await asyncio.sleep(1)
        samples.append(await numbers(page, key))
        before, after = samples[-2], samples[-1]
        assert after["connection"] == "connected", f"{name}: the connection is {after['connection']}"
        old = {entry["id"]: entry for entry in before["inbound"]}
        for entry in after["inbound"]:
            if entry["kind"] != "audio" or entry["id"] not in old:
                continue
            grown = entry["packetsReceived"] - old[entry["id"]]["packetsReceived"]
            assert grown > 0, f"{name}: no sound came for a second, after {time.monotonic() - started:.0f} s"
    first, last = samples[0], samples[-1]
    elapsed = (last["at"] - first["at"]) / 1_000
    begin = {entry["id"]: entry for entry in first["inbound"]}
    seen = set()
    for entry in last["inbound"]:
        start = begin.get(entry["id"])
        if start is None:
            continue
        seen.add(entry["kind"])
        if entry["kind"] != "video":
            continue
        rate = (entry["framesDecoded"] - start["framesDecoded"]) / elapsed
        text = f"{name} decoded {rate:.1f} fps of {entry['frameWidth']}x{entry['frameHeight']} {entry['codec'] or ''}"
        run.fact(text.strip())
        assert rate > least, f"{name}: {rate:.1f} frames per second over {elapsed:.0f} s; {entry}"
        assert_no_freezes(run, name, start, entry, elapsed, pressure, times)
    assert seen == {"audio", "video"}, f"{name}: only {seen} came all the time"
    return samples


def assert_quiet(*pages):
    """Nothing was thrown and nothing refused by the policy."""
    for page in pages:
        assert not page.errors, f"{page.browser.name}'s console has errors: {page.errors}"
