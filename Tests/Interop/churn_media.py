"""Participants who come and go at random with ICE, DTLS and media: is anybody left without sound or picture, and is
the memory back afterwards?

    python churn_media.py SLUICE_BINARY [--participants 50] [--seconds 600] [--rooms 10] [--tabs 2] [--seed 1]

All but the tabs are light clients (light_client.py), which send sound and count what comes; the tabs are Chromium, with
picture. The time is spent in `--rounds` rounds; after each everybody leaves, and the server's memory is taken. Ends with
1 if somebody who was there for `--patience` seconds got nothing of a track for so long, or could not join, or if the
memory after the last round is more than after the first by over a tenth.
"""
import argparse
import asyncio
import itertools
import json
import logging
import random
import re
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from browsers import Chromium
from harness import HERE
from light_client import TICK, LightClient
from server import Server, own_address


class Churn:
    def __init__(self, options, server):
        self.options = options
        self.server = server
        self.random = random.Random(options.seed)
        self.lives = itertools.count(1)
        self.counts = {}
        self.complaints = []
        self.present = {}
        #: Who stopped without a word; what they published is silent until the server notices.
        self.vanished = {}
        self.episodes = {}
        #: By viewer and track: since when there is an m-line free that the track is not on.
        self.waiting = {}
        self.longest_tick = 0.0
        self.deadline = 0.0

    def count(self, what, by=1):
        self.counts[what] = self.counts.get(what, 0) + by

    def complain(self, text):
        self.complaints.append(text)
        if len(self.complaints) <= 50:
            print(f"COMPLAINT {time.strftime('%H:%M:%S')} {text}", flush=True)

    # MARK: Lives

    async def participant(self, number):
        await asyncio.sleep(self.random.uniform(0, 3))
        while time.monotonic() < self.deadline:
            await self.life(f"P{number}.{next(self.lives)}")
            await asyncio.sleep(self.random.uniform(0, 2))

    async def life(self, name):
        room = f"churn-{self.random.randrange(self.options.rooms)}"
        stay = self.random.uniform(0, 1) if self.random.random() < 0.15 else self.random.uniform(6, 60)
        client = LightClient(self.server.url, name)
        opening = asyncio.create_task(client.open(room))
        began = time.monotonic()
        try:
            if stay < 1:
                # In the middle of whatever it is at by then.
                await asyncio.wait([opening], timeout=stay)
                self.count("left while joining" if not opening.done() else "left at once")
                opening.cancel()
            else:
                await asyncio.wait_for(asyncio.shield(opening), 10)
                self.count("joined")
                self.present[name] = client
                resumes_at = stay / 2 if self.random.random() < 0.15 else None
                while (time.monotonic() - began < stay) and time.monotonic() < self.deadline:
                    await asyncio.sleep(0.1)
                    if resumes_at and time.monotonic() - began > resumes_at:
                        resumes_at = None
                        await client.resume()
                        self.count("resumed")
        except Exception as error:  # noqa: BLE001: whatever keeps somebody out is a finding
            self.complain(f"{name} in {room}: {type(error).__name__} {error} after {time.monotonic() - began:.1f} s")
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            self.present.pop(name, None)
            for counter in ("received", "strays", "holes"):
                self.count(counter, getattr(client, counter))
            if client.strays:
                print(f"{name} in {room}: strays {client.stray_reasons}", flush=True)
            await self.end(client, name)

    async def end(self, client, name):
        kind = self.random.choices(["leave", "say_goodbye", "vanish"], [6, 1, 3])[0]
        if client.signalling is None or client.dtls is None:
            kind = "vanish"
        if kind != "leave":
            self.vanished[name] = time.monotonic()
        try:
            await asyncio.wait_for(getattr(client, kind)(), 5)
        except Exception as error:  # noqa: BLE001
            self.count(f"{kind} ended with {type(error).__name__}")
        self.count(kind)

    # MARK: Watching

    async def tick(self):
        """The sound of everybody."""
        began, done = time.monotonic(), 0
        while True:
            now = time.monotonic()
            due = int((now - began) / TICK)
            self.longest_tick = max(self.longest_tick, (due - done) * TICK)
            for _ in range(min(due - done, 10)):
                for client in list(self.present.values()):
                    try:
                        client.tick()
                    except Exception as error:  # noqa: BLE001: that of one must not silence the others
                        self.complain(f"{client.name} can't send: {type(error).__name__} {error}")
                        client.connected_at = None
            done = due
            await asyncio.sleep(0.005)

    async def watch(self):
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for name, client in list(self.present.items()):
                if client.connected_at:
                    self.check(name, client, now)

    def check(self, name, client, now):
        patience = self.options.patience
        bound = {line.track: (mid, line) for mid, line in client.lines.items() if line.track}
        free = {kind: sum(1 for line in client.lines.values() if line.kind == kind and not line.track)
                for kind in ("audio", "video")}
        for track, facts in list(client.tracks.items()):
            owner = facts["owner"]
            if owner in self.vanished:
                if now - self.vanished[owner] > 60 and (owner, "ghost") not in self.episodes:
                    self.episodes[owner, "ghost"] = now
                    self.complain(f"{owner} vanished 60 s ago and is still there for {name}")
                continue
            since = max(client.connected_at, facts["since"])
            key = (name, track)
            if track not in bound:
                if free[facts["kind"]] <= 0:
                    self.waiting.pop(key, None)
                    continue
                waited = now - max(since, self.waiting.setdefault(key, now))
                if waited > patience and key not in self.episodes:
                    self.episodes[key] = now
                    self.complain(f"{name} in {client.room}: {facts['kind']} of {owner} has no m-line after {waited:.1f} s")
                continue
            self.waiting.pop(key, None)
            mid, line = bound[track]
            owner_since = self.present[owner].connected_at if owner in self.present else None
            if owner.startswith("P") and not owner_since:
                continue
            quiet = now - max(since, line.bound_at, line.last_at, owner_since or 0)
            if quiet > patience and key not in self.episodes:
                self.episodes[key] = now
                self.complain(f"{name} in {client.room}: nothing of the {facts['kind']} of {owner} on m-line {mid} for "
                              f"{quiet:.1f} s, {line.packets} packets before")
            elif quiet <= patience:
                self.count("checks")
                if self.episodes.pop(key, None):
                    self.complain(f"{name}: {facts['kind']} of {owner} came after all")

    # MARK: Tabs

    async def tab(self, browser, number):
        """Somebody with a picture in Chromium, who comes and goes more slowly."""
        while time.monotonic() < self.deadline:
            name, room = f"T{number}.{next(self.lives)}", f"churn-{self.random.randrange(self.options.rooms)}"
            page = await browser.page(f"{self.server.url}/?media=none")
            try:
                for script in ("whip.js", "rooms.js"):
                    await page.evaluate(f"(() => {{ {(HERE / script).read_text()}; return true; }})()")
                wish = {"name": name, "sound": "tone", "camera": {"width": 640, "height": 360}}
                await page.evaluate(f"window.rooms.join({json.dumps(room)}, {json.dumps(wish)})", 20)
                await page.until("window.rooms.timings.connected", 10, "the connection")
                self.count("tabs joined")
                await self.watch_tab(page, name, room, self.random.uniform(15, 60))
                if self.random.random() < 0.6:
                    await page.evaluate("window.sluice.room.leave().then(() => true)")
            except Exception as error:  # noqa: BLE001
                self.complain(f"{name} in {room}: {type(error).__name__} {error}")
            finally:
                self.vanished[name] = time.monotonic()
                await page.close()

    async def watch_tab(self, page, name, room, stay):
        """Every bound track of somebody who is still there gets packets."""
        end = min(time.monotonic() + stay, self.deadline)
        state = ("(async () => ({ tracks: [...window.sluice.room.tracks.values()].map((track) => "
                 "({ id: track.id, mid: track.mid, owner: track.participant.name, kind: track.kind })), "
                 "packets: Object.fromEntries((await window.interop.numbers()).inbound"
                 ".map((entry) => [entry.mid, entry.packetsReceived])) }))()")
        progress = {}
        while time.monotonic() < end:
            seen = await page.evaluate(state)
            now = time.monotonic()
            for track in seen["tracks"]:
                if track["owner"] in self.vanished:
                    continue
                packets = seen["packets"].get(track["mid"], 0)
                # A change of m-line or of count is progress.
                mark = (track["mid"], packets)
                last, at = progress.get(track["id"], (None, now))
                if mark != last:
                    progress[track["id"]] = (mark, now)
                    self.count("tab checks")
                elif now - at > self.options.patience and (name, track["id"]) not in self.episodes:
                    owner = self.present.get(track["owner"])
                    if track["owner"].startswith("P") and (owner is None or owner.connected_at is None):
                        continue
                    self.episodes[name, track["id"]] = now
                    self.complain(f"{name} in {room}: nothing of the {track['kind']} of {track['owner']} on m-line "
                                  f"{track['mid']} for {now - at:.1f} s, {packets} packets before")
            await asyncio.sleep(0.5)

    # MARK: Rounds

    async def gauges(self):
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{self.server.admin_url}/metrics") as response:
                text = await response.text()
        found = {}
        for name in ("sluice_participants", "sluice_sessions", "sluice_tracks", "sluice_rooms", "process_open_fds",
                     "sluice_socket_dropped_packets_total"):
            found[name] = sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))
        for reason, value in re.findall(r'^sluice_rtp_dropped_packets_total{.*reason="(\w+)".*} (\S+)$', text, re.M):
            if float(value):
                found[f"dropped {reason}"] = found.get(f"dropped {reason}", 0) + float(value)
        return found

    async def round(self, seconds, browser):
        self.deadline = time.monotonic() + seconds
        jobs = [self.participant(number) for number in range(self.options.participants)]
        jobs += [self.tab(browser, number) for number in range(self.options.tabs)]
        watching = [asyncio.create_task(entry) for entry in (self.tick(), self.watch(), self.report())]
        try:
            await asyncio.gather(*jobs)
        finally:
            for task in watching:
                assert not task.done(), f"the test itself failed: {task.exception()!r}"
                task.cancel()
        # Those who vanished are noticed by and by.
        ended = time.monotonic()
        while (left := await self.gauges())["sluice_participants"] and time.monotonic() - ended < 90:
            await asyncio.sleep(1)
        if left["sluice_participants"] or left["sluice_sessions"] or left["sluice_tracks"]:
            self.complain(f"90 s after all had gone the server has {left}")
        print(f"empty {time.monotonic() - ended:.0f} s after the last had gone: {left}", flush=True)
        await asyncio.sleep(5)

    async def report(self):
        while True:
            await asyncio.sleep(15)
            self.longest_tick, longest = 0.0, self.longest_tick
            print(f"{time.strftime('%H:%M:%S')} {len(self.present)} present, {self.server.resident_kilobytes() / 1024:.1f} MiB, "
                  f"clients late by {longest * 1e3:.0f} ms, {dict(sorted(self.counts.items()))}", flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--participants", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rooms", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tabs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=5)
    options = parser.parse_args()
    log = Path(tempfile.mkdtemp(prefix="sluice-churn-")) / "server.log"
    arguments = ["--limits-joins-per-second-per-address", "1000"]
    async with Server(options.binary, log, media_host=own_address(), arguments=arguments) as server:
        memory = [server.resident_kilobytes()]
        churn = Churn(options, server)
        async with Chromium() as browser:
            for _ in range(options.rounds):
                await churn.round(options.seconds / options.rounds, browser)
                memory.append(server.resident_kilobytes())
    figures = ", ".join(f"{entry / 1024:.1f}" for entry in memory)
    print(f"memory at the start and after each round: {figures} MiB; log {log}")
    print(f"seed {options.seed}: {dict(sorted(churn.counts.items()))}")
    if len(memory) > 2 and memory[-1] > memory[1] * 1.1:
        churn.complain(f"the memory grew from round to round: {figures} MiB")
    print(f"{len(churn.complaints)} complaints")
    return 1 if churn.complaints else 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    sys.exit(asyncio.run(main()))
