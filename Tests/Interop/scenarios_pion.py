"""Pion, which most Go clients and half of the field's tools are made of, by WHIP and WHEP.

Skipped where it is not installed: apt-get install --no-install-recommends golang-go golang-github-pion-webrtc.v3-dev
"""
import asyncio
import json
import os
import shutil
import time
from pathlib import Path

import machine
from harness import Skipped, scenario, watch
from scenarios_streams import blank_page, close, play, publish
from server import own_address

SOURCE = Path(__file__).resolve().parent / "pion"
BUILD = Path(__file__).resolve().parents[2] / ".build" / "pion"
#: Where Debian's Go libraries are.
LIBRARIES = Path("/usr/share/gocode")


async def command(*arguments, **options):
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, **options
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, f"{arguments[0]}: {out.decode()[-2_000:]}"


async def program():
    if not shutil.which("go") or not (LIBRARIES / "src/github.com/pion/webrtc").is_dir():
        raise Skipped("Pion is not on this machine")
    # Debian's libraries have no version in their paths; Go finds them so for a module within GOPATH alone.
    package = BUILD / "src" / "pionclient"
    shutil.copytree(SOURCE, package, dirs_exist_ok=True)
    environment = dict(os.environ, GO111MODULE="off", GOPATH=f"{BUILD}:{LIBRARIES}", GOCACHE=str(BUILD / "cache"))
    await command("go", "build", "-o", BUILD / "client", cwd=package, env=environment)
    return BUILD / "client"


async def film():
    """Five seconds of VP8 with a key frame in each."""
    if not shutil.which("gst-launch-1.0"):
        raise Skipped("GStreamer, which makes the film, is not on this machine")
    path = BUILD / "film.ivf"
    await command(
        "gst-launch-1.0", "-q", "videotestsrc", "num-buffers=150", "pattern=ball", "!",
        "video/x-raw,width=640,height=360,framerate=30/1", "!", "vp8enc", "deadline=1", "keyframe-max-dist=30",
        "target-bitrate=600000", "!", "avmux_ivf", "!", "filesink", f"location={path}",
    )
    return path


class Pion:
    """`async with Pion(run, client, "play", url) as peer`: `peer.last` is what it said last."""

    def __init__(self, run, *arguments):
        self.arguments = arguments
        self.log = (run.folder / "pion.log").open("ab")
        self.last = {}
        self.deleted = None

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=self.log
        )
        self.reader = asyncio.create_task(self._read())
        return self

    async def _read(self):
        while line := await self.process.stdout.readline():
            said = json.loads(line)
            if "deleted" in said:
                self.deleted = said["deleted"]
            else:
                self.last = said

    async def until(self, is_so, what, timeout=15):
        deadline = time.monotonic() + timeout
        while not is_so(self.last):
            assert self.process.returncode is None, f"Pion ended with {self.process.returncode}: {self.last}"
            assert time.monotonic() < deadline and "error" not in self.last, f"not {what}: Pion says {self.last}"
            await asyncio.sleep(0.1)

    async def __aexit__(self, kind, *_):
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()
        await self.reader
        self.log.close()
        if kind is None:
            assert self.deleted == 200, f"DELETE was answered with {self.deleted or self.last}"


@scenario("Pion publishes VP8 by WHIP and Chromium plays by WHEP", timeout=240)
async def pion_to_chromium(run):
    client, path = await program(), await film()
    server = await run.server(media_host=own_address())
    page = await blank_page(run, await run.chromium(), server)
    async with Pion(run, client, "publish", f"{server.url}/whip/pion/film", path) as peer:
        await peer.until(lambda said: said.get("state") == "connected", "connected")
        played = await play(page, "pion")
        await watch(run, page, played["key"], seconds=8)
        await close(page, played)


@scenario("Chromium publishes VP8 by WHIP and Pion plays by WHEP", timeout=240)
async def chromium_to_pion(run):
    client = await program()
    server = await run.server(media_host=own_address())
    page = await blank_page(run, await run.chromium(), server)
    published = await publish(page, "pion", codec="VP8")
    async with Pion(run, client, "play", f"{server.url}/whep/pion") as peer:
        await peer.until(lambda said: said.get("video", 0) > 10 and said.get("audio", 0) > 10, "playing")
        first = peer.last
        await asyncio.sleep(8)
        last = peer.last
        rates = {kind: (last[kind] - first[kind]) / (last["at"] - first["at"]) for kind in ("video", "audio")}
        run.fact(f"Pion got {rates['video']:.1f} pictures and {rates['audio']:.0f} sounds per second, "
                 f"{last['missing']} packets missing")
        assert rates["video"] > machine.least_frame_rate(), f"{rates['video']:.1f} pictures per second"
        assert rates["audio"] > 45, f"{rates['audio']:.1f} sounds of 20 ms per second"
        assert last["missing"] == 0, f"{last['missing']} packets are missing"
    await close(page, published)
