"""WHIP and WHEP between browsers and aiortc, and every codec once."""
import asyncio
import contextlib
import fractions
import time

import aiohttp
import numpy
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import AudioStreamTrack
from av import AudioFrame, VideoFrame

import machine
from harness import LIMIT_SECONDS, assert_quiet, scenario, watch
from server import own_address

BLANK = "/?media=none"


async def publish(page, room, **options):
    import json
    return await page.evaluate(f"window.interop.publish('/whip/{room}/cam', {json.dumps(options)})")


async def play(page, room, **options):
    import json
    return await page.evaluate(f"window.interop.play('/whep/{room}', {json.dumps(options)})")


async def blank_page(run, browser, server):
    return await run.page(browser, server.url + BLANK)


async def close(page, session):
    status = await page.evaluate(f"window.interop.close('{session['key']}')")
    assert status == 200, f"DELETE was answered with {status}"


@scenario("Chromium publishes by WHIP and Firefox plays by WHEP")
async def chromium_to_firefox(run):
    server = await run.server()
    chromium, firefox = await asyncio.gather(run.chromium(), run.firefox())
    sender = await blank_page(run, chromium, server)
    player = await blank_page(run, firefox, server)
    # With camera permission a page may use loopback addresses.
    await player.evaluate("navigator.mediaDevices.getUserMedia({ audio: true }).then(() => true)")
    published = await publish(sender, "show")
    played = await play(player, "show")
    await watch(run, player, played["key"], seconds=10)
    await close(player, played)
    await close(sender, published)
    assert_quiet(sender, player)


async def codec(run, name):
    server = await run.server()
    browser = await run.chromium()
    sender = await blank_page(run, browser, server)
    player = await blank_page(run, browser, server)
    published = await publish(sender, "codec", codec=name)
    played = await play(player, "codec", codec=name)
    samples = await watch(run, player, played["key"], seconds=6)
    used = {entry["codec"].lower() for entry in samples[-1]["inbound"] if entry["kind"] == "video"}
    assert used == {f"video/{name}".lower()}, f"{used} was decoded"
    await close(player, played)
    await close(sender, published)


@scenario("VP8 goes from Chromium to Chromium")
async def vp8(run):
    await codec(run, "VP8")


@scenario("VP9 goes from Chromium to Chromium")
async def vp9(run):
    await codec(run, "VP9")


@scenario("H.264 goes from Chromium to Chromium")
async def h264(run):
    await codec(run, "H264")


@scenario("AV1 goes from Chromium to Chromium")
async def av1(run):
    await codec(run, "AV1")


@scenario("Who plays before anybody publishes gets the stream when it comes")
async def waiting_player(run):
    server = await run.server()
    browser = await run.chromium()
    player = await blank_page(run, browser, server)
    sender = await blank_page(run, browser, server)
    played = await play(player, "later")
    await asyncio.sleep(1)
    await publish(sender, "later")
    await watch(run, player, played["key"], seconds=5)


# MARK: aiortc


class Bars(VideoStreamTrack):
    """Moving bars, 640x360; 30 frames per second, or 15 on a slow machine."""

    async def recv(self):
        for _ in range(30 // machine.frame_rate):
            pts, time_base = await self.next_timestamp()
        count = pts * 30 // 90_000
        luma = numpy.tile((numpy.arange(640) + 8 * count) % 256, (360, 1)).astype(numpy.uint8)
        chroma = numpy.full((180, 640), 90 + count % 60, dtype=numpy.uint8)
        frame = VideoFrame.from_ndarray(numpy.vstack([luma, chroma]), format="yuv420p")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """440 Hz, mono, 20 ms at a time."""

    samples_per_frame = 960
    position = 0
    started = None

    async def recv(self):
        if self.started is None:
            self.started = time.monotonic()
        wait = self.started + self.position / 48_000 - time.monotonic()
        await asyncio.sleep(max(wait, 0))
        angles = (self.position + numpy.arange(self.samples_per_frame)) * (2 * numpy.pi * 440 / 48_000)
        samples = (numpy.sin(angles) * 8_000).astype(numpy.int16).reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, self.position
        frame.time_base = fractions.Fraction(1, 48_000)
        self.position += self.samples_per_frame
        return frame


@contextlib.asynccontextmanager
async def aiortc_session(url, prepare, setup="actpass"):
    """A peer connection by one POST; DELETE at the end."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    location = None
    async with aiohttp.ClientSession() as http:
        try:
            prepare(pc)
            await pc.setLocalDescription(await pc.createOffer())
            started = time.monotonic()
            headers = {"Content-Type": "application/sdp"}
            offer = pc.localDescription.sdp.replace("a=setup:actpass", f"a=setup:{setup}")
            async with http.post(url, data=offer.encode(), headers=headers) as response:
                answer = await response.text()
                assert response.status == 201, f"POST {url}: {response.status} {answer[:500]}"
                location = response.url.join(aiohttp.client.URL(response.headers["Location"]))
            await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            while pc.connectionState != "connected":
                assert time.monotonic() - started < LIMIT_SECONDS, f"aiortc is {pc.connectionState} after the limit"
                await asyncio.sleep(0.02)
            yield pc
        finally:
            if location:
                async with http.delete(location) as response:
                    status = response.status
            await pc.close()
    assert status == 200, f"DELETE was answered with {status}"


def sending(codec=None):
    def prepare(pc):
        pc.addTransceiver(Tone(), direction="sendonly")
        video = pc.addTransceiver(Bars(), direction="sendonly")
        if codec:
            wanted = (f"video/{codec}".lower(), "video/rtx")
            codecs = RTCRtpSender.getCapabilities("video").codecs
            video.setCodecPreferences([entry for entry in codecs if entry.mimeType.lower() in wanted])
    return prepare


def receiving(counts):
    def prepare(pc):
        async def pull(track):
            with contextlib.suppress(Exception):
                while True:
                    frame = await track.recv()
                    counts[track.kind] = counts.get(track.kind, 0) + 1
                    if track.kind == "video":
                        counts["size"] = f"{frame.width}x{frame.height}"

        pc.on("track", lambda track: counts.setdefault("tasks", []).append(asyncio.ensure_future(pull(track))))
        for kind in ("audio", "video"):
            pc.addTransceiver(kind, direction="recvonly")
    return prepare


async def count_decoded(run, counts, seconds=10):
    deadline = time.monotonic() + LIMIT_SECONDS * 2
    while not counts.get("video") or not counts.get("audio"):
        assert time.monotonic() < deadline, f"aiortc decoded {counts.get('video', 0)} pictures, {counts.get('audio', 0)} sounds"
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)
    before = dict(counts)
    await asyncio.sleep(seconds)
    rates = {kind: (counts[kind] - before[kind]) / seconds for kind in ("audio", "video")}
    run.fact(f"aiortc decoded {rates['video']:.1f} fps of {counts['size']}, {rates['audio']:.0f} sounds per second")
    assert rates["video"] > machine.least_frame_rate(), f"{rates['video']:.1f} frames per second"
    assert rates["audio"] > 45, f"{rates['audio']:.1f} sounds of 20 ms per second"


@scenario("aiortc publishes by WHIP and Chromium plays by WHEP")
async def aiortc_to_chromium(run):
    server = await run.server(media_host=own_address())
    browser = await run.chromium()
    player = await blank_page(run, browser, server)
    async with aiortc_session(f"{server.url}/whip/snake/aiortc", sending()):
        played = await play(player, "snake")
        await watch(run, player, played["key"], seconds=8)
        await close(player, played)


@scenario("Chromium publishes by WHIP and aiortc plays by WHEP")
async def chromium_to_aiortc(run):
    server = await run.server(media_host=own_address())
    browser = await run.chromium()
    sender = await blank_page(run, browser, server)
    published = await publish(sender, "snake")
    counts = {}
    async with aiortc_session(f"{server.url}/whep/snake", receiving(counts)):
        await count_decoded(run, counts, seconds=8)
    await close(sender, published)


@scenario("aiortc publishes H.264 by WHIP and aiortc plays it by WHEP")
async def aiortc_to_aiortc(run):
    server = await run.server(media_host=own_address())
    counts = {}
    async with aiortc_session(f"{server.url}/whip/snakes/one", sending("H264")):
        async with aiortc_session(f"{server.url}/whep/snakes", receiving(counts)):
            await count_decoded(run, counts, seconds=6)


@scenario("Chromium publishes and aiortc plays, both waiting for the server to begin the handshake")
async def passive_clients(run):
    server = await run.server(media_host=own_address())
    browser = await run.chromium()
    sender = await blank_page(run, browser, server)
    published = await publish(sender, "waiting", setup="passive")
    counts = {}
    async with aiortc_session(f"{server.url}/whep/waiting", receiving(counts), setup="passive"):
        await count_decoded(run, counts, seconds=5)
    await close(sender, published)
