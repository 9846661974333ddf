"""GStreamer's webrtcbin, which knows no header extensions, no RTX and has an RSA certificate, by WHIP and WHEP.

Skipped where it is not installed: apt-get install --no-install-recommends gstreamer1.0-plugins-base
gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice python3-gst-1.0 gir1.2-gst-plugins-bad-1.0
gir1.2-gst-plugins-base-1.0
"""
import asyncio
import json
import time
from pathlib import Path

import machine
from harness import Skipped, numbers, scenario, watch
from scenarios_streams import blank_page, close, play, publish
from server import own_address

PROGRAM = Path(__file__).resolve().parent / "gstreamer_client.py"
#: Not the one of the virtual environment: it has not the system's packages.
PYTHON = "/usr/bin/python3"


class GStreamer:
    """`async with GStreamer(run, "publish", url, "VP8") as peer`: `peer.last` is what it said last."""

    def __init__(self, run, role, url, codec):
        self.arguments = [role, url, codec]
        self.log = (run.folder / f"gstreamer-{role}.log").open("ab")
        self.lines = []

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            PYTHON, PROGRAM, *self.arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=self.log,
        )
        self.reader = asyncio.create_task(self._read())
        return self

    async def _read(self):
        while line := await self.process.stdout.readline():
            self.lines.append({"at": time.monotonic(), **json.loads(line)})

    @property
    def last(self):
        return self.lines[-1] if self.lines else {}

    async def ready(self):
        """Its offer is made. The key of the certificate alone may take a busy machine ten seconds."""
        await self.until(lambda said: said.get("gathered"), "ready", timeout=40)

    def post(self):
        """Sends the offer."""
        self.process.stdin.write(b"post\n")

    async def until(self, is_so, what, timeout=15):
        deadline = time.monotonic() + timeout
        while not is_so(self.last):
            assert self.process.returncode is None, f"GStreamer ended with {self.process.returncode}: {self.last}"
            assert time.monotonic() < deadline and not self.last.get("errors"), f"not {what}: GStreamer says {self.last}"
            await asyncio.sleep(0.1)

    async def __aexit__(self, kind, *_):
        self.process.stdin.close()
        try:
            status = await asyncio.wait_for(self.process.wait(), 10)
        except asyncio.TimeoutError:
            self.process.kill()
            status = await self.process.wait()
        await self.reader
        self.log.close()
        if kind is None:
            assert status == 0, f"GStreamer ended with {status}"
            deleted = [line["deleted"] for line in self.lines if "deleted" in line]
            assert deleted == [200], f"DELETE was answered with {deleted or self.last}"


async def needs_gstreamer(*codecs):
    try:
        process = await asyncio.create_subprocess_exec(
            PYTHON, PROGRAM, "check", *codecs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise Skipped(f"there is no {PYTHON}") from None
    out, error = await process.communicate()
    if process.returncode != 0:
        reason = out.decode().strip() or error.decode().strip().split("\n")[-1]
        raise Skipped(f"GStreamer is not complete on this machine: {reason}")


async def publishes(run, codec):
    await needs_gstreamer()
    server = await run.server(media_host=own_address())
    page = await blank_page(run, await run.chromium(), server)
    async with GStreamer(run, "publish", f"{server.url}/whip/gst/pipeline", codec) as peer:
        await peer.ready()
        peer.post()
        await peer.until(lambda said: said.get("state") == "connected", "connected")
        played = await play(page, "gst")
        await watch(run, page, played["key"], seconds=8)
        await close(page, played)


async def plays(run, codec):
    await needs_gstreamer()
    server = await run.server(media_host=own_address())
    page = await blank_page(run, await run.chromium(), server)
    published = await publish(page, "gst", codec=codec)
    async with GStreamer(run, "play", f"{server.url}/whep/gst", codec) as peer:
        await peer.ready()
        # It starts from the key frame that the server keeps for joiners: it does not ask for another one.
        await page.evaluate(f"window.interop.sendKeyFrame({json.dumps(published['key'])})")
        await asyncio.sleep(0.2)
        peer.post()
        await peer.until(lambda said: said.get("video", 0) > 10 and said.get("audio", 0) > 10, "playing")
        first = peer.last
        await asyncio.sleep(8)
        last = peer.last
        seconds = last["at"] - first["at"]
        rates = {kind: (last[kind] - first[kind]) / seconds for kind in ("video", "audio")}
        run.fact(f"GStreamer decoded {rates['video']:.1f} fps of {last['size']}, {rates['audio']:.0f} sounds per second")
        sent = (await numbers(page, published["key"]))["outbound"]
        run.fact(f"key frames {sum(entry.get('keyFramesEncoded') or 0 for entry in sent)}")
        assert rates["video"] > machine.least_frame_rate(), f"{rates['video']:.1f} frames per second"
        assert rates["audio"] > 45, f"{rates['audio']:.1f} sounds of 20 ms per second"
    await close(page, published)


@scenario("GStreamer publishes VP8 by WHIP and Chromium plays by WHEP", timeout=90)
async def gstreamer_vp8_to_chromium(run):
    await publishes(run, "VP8")


@scenario("GStreamer publishes H.264 by WHIP and Chromium plays by WHEP", timeout=90)
async def gstreamer_h264_to_chromium(run):
    await publishes(run, "H264")


@scenario("Chromium publishes VP8 by WHIP and GStreamer plays by WHEP", timeout=90)
async def chromium_vp8_to_gstreamer(run):
    await plays(run, "VP8")


@scenario("Chromium publishes H.264 by WHIP and GStreamer plays by WHEP", timeout=90)
async def chromium_h264_to_gstreamer(run):
    await plays(run, "H264")


@scenario("GStreamer publishes H.265 by WHIP and another plays by WHEP", timeout=90)
async def gstreamer_h265(run):
    """No browser here has the codec: a room offers it where its operator says so."""
    await needs_gstreamer("H265")
    server = await run.server(media_host=own_address(), arguments=["--rooms-codecs", "opus,h265"])
    async with GStreamer(run, "publish", f"{server.url}/whip/gst/pipeline", "H265") as sender:
        await sender.ready()
        sender.post()
        await sender.until(lambda said: said.get("state") == "connected", "connected")
        async with GStreamer(run, "play", f"{server.url}/whep/gst", "H265") as player:
            await player.ready()
            started = time.monotonic()
            player.post()
            await player.until(lambda said: said.get("video", 0) > 10 and said.get("audio", 0) > 10, "playing")
            run.fact(f"playing {time.monotonic() - started:.1f} s after the offer")
            first = player.last
            await asyncio.sleep(8)
            last = player.last
            seconds = last["at"] - first["at"]
            rates = {kind: (last[kind] - first[kind]) / seconds for kind in ("video", "audio")}
            run.fact(f"GStreamer decoded {rates['video']:.1f} fps of {last['size']}, "
                     f"{rates['audio']:.0f} sounds per second")
            assert rates["video"] > machine.least_frame_rate(), f"{rates['video']:.1f} frames per second"
            assert rates["audio"] > 45, f"{rates['audio']:.1f} sounds of 20 ms per second"
