"""What is done on the meeting page while the WebSocket is lost, and what the page makes of the server's last words."""
import asyncio

import aiohttp

from harness import has_flowing, meet, numbers, open_meeting, scenario

#: The page's sockets are kept, to be able to lose one; while the page is cut off, new ones reach nobody.
HOLD_SOCKETS = """(() => {
    const Native = WebSocket;
    window.sockets = [];
    window.isCut = false;
    window.WebSocket = class extends Native {
        constructor(url, ...rest) { super(window.isCut ? "ws://127.0.0.1:9/" : url, ...rest); window.sockets.push(this); }
    };
    return true;
})()"""
CUT = """(() => {
    window.back = null;
    window.sluice.room.addEventListener("reconnected", (event) => { window.back = event.detail; });
    window.isCut = true;
    window.sockets.at(-1).close(4000);
    return true;
})()"""
#: What it sends is lost, and nobody notices: a socket whose peer is gone.
DEAFEN = "(() => { window.sockets.at(-1).send = () => {}; return true; })()"
OTHERS_TILE = "[...document.querySelectorAll('.tile')].find((entry) => !entry.tile.isOwn)"
CAMERA = "[...window.sluice.room.tracks.values()].find((entry) => entry.kind === 'video')"


async def ada_and_grace(run, room):
    server = await run.server()
    browser = await run.chromium()
    pages = [await open_meeting(run, browser, server, room, name) for name in ("Ada", "Grace")]
    for page in pages:
        await page.evaluate(HOLD_SOCKETS)
    await meet(run, *pages)
    return server, *pages


async def cut(page):
    await page.evaluate(CUT)
    await page.until("window.sluice.room.state === 'reconnecting'", 5, "the loss of the connection")


async def resumes(page):
    await page.evaluate("(() => { window.isCut = false; return true; })()")
    back = await page.until("window.back", 15, "the reconnection")
    assert back["resumed"] is True, "the server did not resume the lost session"


async def click(page, button):
    await page.evaluate(f"(document.getElementById('{button}').click(), true)")


async def arrived(page, kind, seconds=1.5):
    """Packets of sound, or decoded pictures."""
    key = "packetsReceived" if kind == "audio" else "framesDecoded"
    samples = [await numbers(page)]
    await asyncio.sleep(seconds)
    samples.append(await numbers(page))
    counts = [sum(entry.get(key) or 0 for entry in sample["inbound"] if entry["kind"] == kind) for sample in samples]
    return counts[1] - counts[0]


async def is_heard(page):
    await page.until(f"!{OTHERS_TILE}.textContent.includes('muted')", 5, "no word of a muted microphone")
    assert await arrived(page, "audio") > 20, "no sound comes"


async def is_not_heard(page):
    await page.until(f"{OTHERS_TILE}.textContent.includes('muted')", 5, "the word that the microphone is muted")


@scenario("Who unmutes while the connection is lost is heard after it is resumed")
async def unmute_while_lost(run):
    _, ada, grace = await ada_and_grace(run, "unmute")
    await click(ada, "mic")
    await is_not_heard(grace)
    await cut(ada)
    await click(ada, "mic")
    await resumes(ada)
    await is_heard(grace)


@scenario("What a dead connection swallowed is said again when it is resumed")
async def swallowed(run):
    _, ada, grace = await ada_and_grace(run, "swallowed")
    await has_flowing(grace)
    await ada.evaluate(DEAFEN)
    await click(ada, "mic")
    await ada.evaluate("window.sluice.room.setMetadata({ hand: 'up' }).then(() => true)")
    await cut(ada)
    await resumes(ada)
    await is_not_heard(grace)
    await grace.until("[...window.sluice.room.participants.values()][0].metadata?.hand === 'up'", 5, "Ada's metadata")


@scenario("A picture that is wanted again while the connection is lost comes after it is resumed")
async def preference_while_lost(run):
    _, _, grace = await ada_and_grace(run, "wanted")
    # The page says by itself how large its tiles are, 400 ms after they change: the wish comes after that.
    await asyncio.sleep(1)
    await grace.evaluate(f"(window.sluice.room.prefer({CAMERA}, {{ paused: true }}), true)")
    await grace.until(f"{CAMERA}.layer?.paused", 5, "the word that the picture is paused")
    await cut(grace)
    await grace.evaluate(f"(window.sluice.room.prefer({CAMERA}, {{ paused: false }}), true)")
    await resumes(grace)
    await grace.until(f"{CAMERA}.layer?.paused === false", 5, "the word that the picture is sent")
    assert await arrived(grace, "video") > 5, "no picture comes"


# MARK: The server's last words

CODES = """(() => {
    window.codes = [];
    window.sockets.at(-1).addEventListener("close", ({ code }) => window.codes.push(code));
    return true;
})()"""


@scenario("A server that is stopped and started again has everybody back", timeout=90)
async def server_goes_away(run):
    server, ada, grace = await ada_and_grace(run, "away")
    await grace.evaluate(CODES)
    await server.stop()
    for page in (ada, grace):
        await page.until("window.sluice.room.state === 'reconnecting'", 5, "the search for the server")
    run.fact(f"the connection was closed with {(await grace.evaluate('window.codes'))[0]}")
    await server.start()
    for page in (ada, grace):
        await page.until("window.sluice.room.state === 'connected' && document.querySelectorAll('.tile').length === 2",
                         20, "everybody back")


@scenario("A server that says it goes away is looked for, and a meeting that is ended is over")
async def going_away(run):
    server, ada, grace = await ada_and_grace(run, "last")
    # RFC 6455 section 7.4.1; a page can't close with this code itself, and the socket is lost with it.
    await grace.evaluate(
        "(() => { window.back = null; window.sluice.room.addEventListener('reconnected', "
        "(event) => { window.back = event.detail; }); const socket = window.sockets.at(-1); const { onclose } = socket; "
        "socket.onclose = null; socket.close(4000); "
        "onclose(new CloseEvent('close', { code: 1001, reason: 'the server stops' })); return true; })()"
    )
    back = await grace.until("window.back", 10, "the reconnection")
    assert back["resumed"] is True, "the server did not resume the lost session"
    async with aiohttp.ClientSession() as http, http.delete(f"{server.admin_url}/v1/rooms/last") as response:
        assert response.status == 204, f"{response.status}: {await response.text()}"
    for page in (ada, grace):
        await page.until("document.body.dataset.view === 'lobby'", 5, "the lobby")
        await page.until("document.getElementById('alert').textContent.includes('meeting was ended')", 5, "the word why")


# MARK: Muted by somebody else


async def mute_by_admin(server, page, room, **body):
    """As the operator does it: `trackId` or all of the participant's tracks."""
    identifier = await page.evaluate("window.sluice.room.localParticipant.id")
    url = f"{server.admin_url}/v1/rooms/{room}/participants/{identifier}/mute"
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as response:
        assert response.status == 204, f"{response.status}: {await response.text()}"


def shows(button, text):
    return f"document.getElementById('{button}').textContent.includes('{text}')"


@scenario("Who is muted by an admin sees it, and is heard again by a click of its own only")
async def muted_by_admin(run):
    server, ada, grace = await ada_and_grace(run, "host")
    await has_flowing(grace)
    await mute_by_admin(server, ada, "host")
    await ada.until(f"{shows('mic', 'Unmute')} && {shows('camera', 'Start camera')}", 5, "the buttons of who is muted")
    await ada.until("[...document.querySelectorAll('.tile')].find((entry) => entry.tile.isOwn)"
                    ".textContent.includes('muted')", 5, "the word on the own tile")
    await is_not_heard(grace)
    await grace.evaluate(
        "(() => { window.words = []; window.sluice.room.addEventListener('participantchanged', ({ detail }) => "
        "window.words.push([...detail.participant.tracks.values()].every((track) => track.muted))); return true; })()"
    )
    await mute_by_admin(server, ada, "host", muted=False)
    await grace.until("window.words.includes(false) && window.words.at(-1)", 5, "the word that both are muted again")
    assert await ada.evaluate(f"{shows('mic', 'Unmute')} && {shows('camera', 'Start camera')}"), "opened from afar"
    await is_not_heard(grace)
    for button in ("mic", "camera"):
        await click(ada, button)
    await is_heard(grace)
    await grace.until(f"{OTHERS_TILE}.dataset.video === 'on'", 5, "the picture")
    assert await arrived(grace, "video") > 5, "no picture comes"


@scenario("Clicks on the microphone that follow each other at once are nobody else's")
async def quick_clicks(run):
    _, ada, grace = await ada_and_grace(run, "quick")
    for _ in range(3):
        await ada.evaluate("([1, 2, 3, 4].forEach(() => document.getElementById('mic').click()), true)")
        await asyncio.sleep(0.3)
    assert await ada.evaluate(f"!{shows('mic', 'Unmute')}"), "the page takes its own clicks for an admin's"
    assert await ada.evaluate("document.getElementById('alert').textContent") == ""
    await is_heard(grace)


# MARK: Networks

UFRAG = "/a=ice-ufrag:(.*)/.exec(window.sluice.room.peerConnection.currentLocalDescription.sdp)[1]"


@scenario("New estimates of the network's rate restart no ICE, and five changes of network keep the peer connection")
async def estimates(run):
    _, _, grace = await ada_and_grace(run, "estimates")
    await grace.evaluate("(() => { window.first = window.sluice.room.peerConnection; return true; })()")
    before = await grace.evaluate(UFRAG)
    for _ in range(4):
        await grace.evaluate("(navigator.connection.dispatchEvent(new Event('change')), true)")
        await asyncio.sleep(0.5)
    assert await grace.evaluate(UFRAG) == before, "ICE began anew because of an estimate"
    for _ in range(5):
        await grace.evaluate("(window.dispatchEvent(new Event('online')), true)")
        await grace.until(f"{UFRAG} !== '{before}'", 5, "new ICE credentials")
        await grace.until("['connected', 'completed'].includes(window.sluice.room.peerConnection.iceConnectionState)", 5)
        before = await grace.evaluate(UFRAG)
    assert await grace.evaluate("window.first === window.sluice.room.peerConnection"), "it is another peer connection"
    assert await arrived(grace, "video") > 5, "no picture comes"
