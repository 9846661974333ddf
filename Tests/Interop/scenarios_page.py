"""Two people on the meeting page."""
import asyncio

import machine
from harness import assert_quiet, click_join, has_flowing, meet, numbers, open_meeting, scenario, watch
from scenarios_bandwidth import join
from signalling import Client


#: Two browsers that encode, decode and paint what fits into 1024 x 700 take 85 % of two processors, and fail on a host that
#: gives a quarter to others; half of that is painting.
SMALL = (512, 400)


async def call(run, first_browser, second_browser, viewport):
    server = await run.server()
    pages = await asyncio.gather(
        open_meeting(run, first_browser, server, "interop", "Ada", viewport=viewport),
        open_meeting(run, second_browser, server, "interop", "Grace", viewport=viewport),
    )
    await meet(run, *pages)
    await asyncio.gather(*[watch(run, page) for page in pages])
    names = await pages[1].evaluate("[...document.querySelectorAll('.tile .who')].map((entry) => entry.textContent)")
    assert names == ["Ada", "Grace (you)"] or names == ["Grace (you)", "Ada"], f"the tiles are named {names}"
    assert_quiet(*pages)
    return server, pages


@scenario("Two people in Chromium see and hear each other for 20 seconds")
async def chromium_and_chromium(run):
    browser = await run.chromium()
    server, pages = await call(run, browser, browser, (1024, 700))
    await pages[1].evaluate("(document.getElementById('leave').click(), true)")
    await pages[0].until("document.querySelectorAll('.tile').length === 1", 5, "the tile of who left is gone")
    assert server.is_running, "the server ended"


@scenario("Someone in Chromium calls someone in Firefox")
async def chromium_then_firefox(run):
    await call(run, await run.firefox(), await run.chromium(), SMALL)


@scenario("Someone in Firefox calls someone in Chromium")
async def firefox_then_chromium(run):
    await call(run, await run.chromium(), await run.firefox(), SMALL)


@scenario("A link with autojoin=1 leads straight into the meeting")
async def autojoin(run):
    server = await run.server()
    browser = await run.chromium()
    pages = [
        await run.page(browser, f"{server.url}/?room=auto&name={name}&autojoin=1&size=640x360") for name in ("A", "B")
    ]
    for page in pages:
        await page.until("window.sluice.timings.firstFrame", 15, "the other's picture")
    assert_quiet(*pages)


@scenario("A spectator without camera and microphone sees the others, and publishes nothing")
async def spectator(run):
    server = await run.server()
    browser = await run.chromium()
    speaker = await open_meeting(run, browser, server, "stage", "Ada")
    await click_join(speaker)
    await speaker.until("window.sluice.timings.connected", 10)
    spectator = await run.page(browser, f"{server.url}/?room=stage&name=Guest&media=none")
    await spectator.until("document.body.dataset.ready === 'true'", 10)
    await spectator.evaluate("(document.getElementById('join-silent').click(), true)")
    await has_flowing(spectator)
    sample = await numbers(spectator)
    assert sample["outbound"] == [], f"the spectator sends {sample['outbound']}"
    assert_quiet(speaker, spectator)


@scenario("The third who joins gets both of the others, who were in a call already")
async def three(run):
    server = await run.server()
    browser = await run.chromium()
    pages = []
    for name in ("Ada", "Grace", "Edsger"):
        page = await open_meeting(run, browser, server, "three", name, size="320x180")
        await click_join(page)
        pages.append(page)
    for page in pages:
        await page.until(
            "(async () => (await window.interop.numbers())?.inbound"
            ".filter((entry) => entry.framesDecoded > 5).length === 2)()", 15, "two pictures",
        )
        sample = await numbers(page)
        sounds = [entry for entry in sample["inbound"] if entry["kind"] == "audio"]
        assert len(sounds) == 2, f"{len(sounds)} sounds instead of 2"
    assert_quiet(*pages)


@scenario("A muted microphone and a stopped camera show at the other end, and come back")
async def mute(run):
    server = await run.server()
    browser = await run.chromium()
    ada = await open_meeting(run, browser, server, "mute", "Ada")
    grace = await open_meeting(run, browser, server, "mute", "Grace")
    await meet(run, ada, grace)
    tile = "[...document.querySelectorAll('.tile')].find((entry) => !entry.tile.isOwn)"
    for button in ("mic", "camera"):
        await ada.evaluate(f"(document.getElementById('{button}').click(), true)")
    await grace.until(f"{tile}.textContent.includes('muted') && {tile}.dataset.video === 'off'", 5, "Ada muted")
    for button in ("mic", "camera"):
        await ada.evaluate(f"(document.getElementById('{button}').click(), true)")
    await grace.until(f"!{tile}.textContent.includes('muted') && {tile}.dataset.video === 'on'", 5, "Ada back")
    before = (await has_flowing(grace))["inbound"]
    await asyncio.sleep(2)
    after = (await numbers(grace))["inbound"]
    frames = [sum(entry.get("framesDecoded") or 0 for entry in sample) for sample in (before, after)]
    assert frames[1] - frames[0] > machine.least_frame_rate(), f"only {frames[1] - frames[0]} frames in 2 s after the camera came back"
    assert_quiet(ada, grace)


@scenario("A lost WebSocket resumes while the media goes on")
async def resume(run):
    server = await run.server()
    browser = await run.chromium()
    ada = await open_meeting(run, browser, server, "resume", "Ada")
    grace = await open_meeting(run, browser, server, "resume", "Grace")
    # The harness keeps the sockets that the page opens, to be able to lose one.
    for page in (ada, grace):
        await page.evaluate(
            "(() => { const Native = WebSocket; window.sockets = []; window.WebSocket = class extends Native {"
            " constructor(...rest) { super(...rest); window.sockets.push(this); } }; return true; })()"
        )
    await meet(run, ada, grace)
    identifier = await grace.evaluate("window.sluice.room.localParticipant.id")
    await grace.evaluate(
        "(() => { window.back = null; window.sluice.room.addEventListener('reconnected', "
        "(event) => { window.back = event.detail; }); window.sockets.at(-1).close(4000); return true; })()"
    )
    back = await grace.until("window.back", 10, "the reconnection")
    assert back["resumed"] is True, "the server did not resume the lost session"
    assert await grace.evaluate("window.sluice.room.localParticipant.id") == identifier
    await asyncio.gather(*[watch(run, page, seconds=4, warm_up=0) for page in (ada, grace)])


@scenario("An ICE restart keeps the call")
async def ice_restart(run):
    server = await run.server()
    browser = await run.chromium()
    ada = await open_meeting(run, browser, server, "restart", "Ada")
    grace = await open_meeting(run, browser, server, "restart", "Grace")
    await meet(run, ada, grace)
    ufrag = "/a=ice-ufrag:(.*)/.exec(window.sluice.room.peerConnection.currentLocalDescription.sdp)[1]"
    before = await grace.evaluate(ufrag)
    # A change of network, as the browser tells it.
    await grace.evaluate("(window.dispatchEvent(new Event('online')), true)")
    await grace.until(f"{ufrag} !== '{before}'", 5, "new ICE credentials")
    await asyncio.gather(*[watch(run, page, seconds=4, warm_up=1) for page in (ada, grace)])
    assert_quiet(ada, grace)


@scenario("After a crash of the server everybody finds each other again")
async def server_restart(run):
    server = await run.server()
    browser = await run.chromium()
    ada = await open_meeting(run, browser, server, "crash", "Ada")
    grace = await open_meeting(run, browser, server, "crash", "Grace")
    await meet(run, ada, grace)
    for page in (ada, grace):
        await page.evaluate(
            "(() => { window.back = null; window.sluice.room.addEventListener('reconnected', "
            "(event) => { window.back = event.detail; }); return true; })()"
        )
    await server.crash()
    await asyncio.sleep(1)
    await server.start()
    for page in (ada, grace):
        back = await page.until("window.back", 15, "the reconnection")
        assert back["resumed"] is False, "a server that knows nothing resumed a session"
        await page.until("document.querySelectorAll('.tile').length === 2", 10, "two tiles")
    await asyncio.gather(*[watch(run, page, seconds=5) for page in (ada, grace)])


async def three_layers(run):
    """A publisher of three layers, and who sees it in a large tile at its full size."""
    server = await run.server()
    browser = await run.chromium()
    ada = await open_meeting(run, browser, server, "layers", "Ada", size="1280x720", viewport=(500, 400))
    large = await open_meeting(run, browser, server, "layers", "Large", size="320x180", viewport=(1500, 900))
    await click_join(ada)
    await ada.until("window.sluice.timings.connected", 10)
    await click_join(large)
    width = (
        "(async () => Math.max(0, ...((await window.interop.numbers())?.inbound ?? [])"
        ".map((entry) => entry.frameWidth ?? 0)))()"
    )
    await large.until(f"(async () => (await {width}) === 1280)()", 20, "1280x720")
    return large


@scenario("A large tile gets the large layer of three, and says so")
async def large_layer(run):
    large = await three_layers(run)
    facts = await large.until(
        "[...document.querySelectorAll('.facts')].map((entry) => entry.textContent)"
        ".find((text) => text.includes('1280') && text.includes('layer f'))", 5, "the tile's words about the layer",
    )
    run.fact(f"the tile says: {facts}")


@scenario("Who prefers a small picture gets the small layer of three")
async def small_layer(run):
    large = await three_layers(run)
    # The page says by itself how large its tiles are, 400 ms after they change: the wish comes after that.
    await asyncio.sleep(1)
    await large.evaluate(
        "(() => { for (const track of window.sluice.room.tracks.values()) if (track.kind === 'video') "
        "window.sluice.room.prefer(track, { maxWidth: 320, maxHeight: 180 }); return true; })()"
    )
    await large.until(
        "[...window.sluice.room.tracks.values()].some((track) => track.layer?.spatial === 0)", 10, "the small layer"
    )
    before = await numbers(large)
    await asyncio.sleep(2)
    after = await numbers(large)
    video = [next(entry for entry in sample["inbound"] if entry["kind"] == "video") for sample in (before, after)]
    assert video[1]["frameWidth"] == 320, f"the picture is {video[1]['frameWidth']} wide"
    rate = (video[1]["framesDecoded"] - video[0]["framesDecoded"]) * 1_000 / (after["at"] - before["at"])
    assert rate > machine.least_frame_rate(), f"{rate:.1f} frames per second after the change of layer"


@scenario("A shared screen gets a tile of its own, which goes when the sharing ends")
async def screen(run):
    server = await run.server()
    browser = await run.chromium()
    ada = await open_meeting(run, browser, server, "screen", "Ada")
    grace = await open_meeting(run, browser, server, "screen", "Grace")
    await meet(run, ada, grace)
    for _ in range(2):  # The second time takes the m-lines of the first.
        await ada.evaluate("(document.getElementById('screen').click(), true)")
        await grace.until("document.querySelector('.tile.screen')?.dataset.video === 'on'", 10, "the screen's tile")
        await grace.until(
            "document.querySelector('.tile.screen video').videoWidth > 0", 10, "the screen's picture"
        )
        await ada.evaluate("(document.getElementById('screen').click(), true)")
        await grace.until("!document.querySelector('.tile.screen')", 5, "the tile is gone")
    count = await ada.evaluate("window.sluice.room.peerConnection.getTransceivers().length")
    assert count <= 6, f"{count} m-lines: those of the first sharing were not used again"
    assert_quiet(ada, grace)


@scenario("A track can be unsubscribed and subscribed again")
async def subscriptions(run):
    server = await run.server()
    browser = await run.chromium()
    ada = await open_meeting(run, browser, server, "tracks", "Ada")
    grace = await open_meeting(run, browser, server, "tracks", "Grace")
    await meet(run, ada, grace)
    track = "[...window.sluice.room.tracks.values()].find((entry) => entry.kind === 'video')"
    await grace.evaluate(f"window.sluice.room.unsubscribe({track}).then(() => true)")
    await grace.until(f"{track}.mid === null", 5, "the track without an m-line")
    await asyncio.sleep(0.5)
    before = await numbers(grace)
    await asyncio.sleep(1)
    after = await numbers(grace)
    frames = [sum(entry.get("framesDecoded") or 0 for entry in sample["inbound"]) for sample in (before, after)]
    assert frames[0] == frames[1], "frames go on coming"
    await grace.evaluate(f"window.sluice.room.subscribe({track}).then(() => true)")
    await grace.until(f"{track}.mid !== null", 5, "the track on an m-line")
    await watch(run, grace, seconds=4, warm_up=1)
    assert_quiet(ada, grace)


def silent_offer(number):
    """Of a microphone and a camera from which nothing comes."""
    fingerprint = ":".join(["AB"] * 31 + [f"{number:02X}"])
    text = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=ice-ufrag:abcd",
            "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=setup:active", f"a=fingerprint:sha-256 {fingerprint}"]
    for mid, (kind, codec) in enumerate((("audio 9 UDP/TLS/RTP/SAVPF 111", "111 opus/48000/2"),
                                         ("video 9 UDP/TLS/RTP/SAVPF 96", "96 VP8/90000"))):
        text += [f"m={kind}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=sendonly", "a=rtcp-mux", f"a=rtpmap:{codec}"]
    return "\r\n".join(text) + "\r\n"


async def bound(page, kind):
    return await page.evaluate(
        "[...window.sluice.room.tracks.values()]"
        f".filter((track) => track.kind === '{kind}' && track.mid !== null).length"
    )


# An offer may have 64 KiB, which Chromium fills with eleven people if every m-line has all of its codecs.
@scenario("Who comes into a crowd has an m-line for every voice, and for as many cameras as an offer holds", timeout=90)
async def crowd(run):
    server = await run.server()
    crowd = []

    async def come(count):
        for number in range(len(crowd), len(crowd) + count):
            crowd.append(await run.stack.enter_async_context(Client(server.url)))
            await crowd[-1].join("crowd", f"Guest {number}")
            await crowd[-1].ask("offer", {"sdp": silent_offer(number)})

    await come(18)
    browsers = await asyncio.gather(run.chromium(), run.firefox())
    pages = [await run.room_page(browser, server) for browser in browsers]
    for page in pages:
        await join(page, "crowd", page.browser.name)
        await page.until("[...window.sluice.room.tracks.values()].filter((track) => track.mid !== null).length === 36",
                         10, "all voices and cameras of 18 people")
    await come(26)
    for page in pages:
        await page.until("[...window.sluice.room.tracks.values()]"
                         ".filter((track) => track.kind === 'audio' && track.mid !== null).length === 44",
                         20, "the voices of 44 people")
    await asyncio.sleep(1)
    cameras = [await bound(page, "video") for page in pages]
    run.fact(f"of 44 cameras {cameras[0]} in Chromium, {cameras[1]} in Firefox")
    assert min(cameras) >= 18, f"{cameras} cameras are there"
    # The m-lines of those who leave go to cameras that waited.
    for client in crowd[:6]:
        await client.tell("leave", {})
    for page, before in zip(pages, cameras):
        await page.until(f"[...window.sluice.room.tracks.values()].filter((track) => track.kind === 'video'"
                         f" && track.mid !== null).length >= {min(before, 38)}", 10, "the cameras that waited")
    assert_quiet(*pages)


@scenario("Errors are told in words: a full room, a refused token, no server")
async def errors_in_words(run):
    server = await run.server(arguments=["--rooms-max-participants", "1"])
    browser = await run.chromium()
    first = await open_meeting(run, browser, server, "full", "Ada")
    await click_join(first)
    await first.until("window.sluice.timings.connected", 10)
    second = await open_meeting(run, browser, server, "full", "Grace")
    await click_join(second)
    await second.until("document.getElementById('alert').textContent.includes('room is full')", 5)
    await second.until("!document.getElementById('join').disabled", 5, "another attempt is possible")
    await second.evaluate("(document.getElementById('room').value = '', document.getElementById('join').click(), true)")
    await second.until("document.getElementById('room-error').textContent !== ''", 5)
    await server.crash()
    await second.evaluate("(document.getElementById('room').value = 'x', document.getElementById('join').click(), true)")
    await second.until("document.getElementById('alert').textContent.includes('no connection to the server')", 10)
    await first.until("document.body.dataset.state === 'reconnecting'", 5, "the word that the connection is lost")
    await server.start()
    await first.until("document.body.dataset.state === 'connected'", 15, "the connection is back")
