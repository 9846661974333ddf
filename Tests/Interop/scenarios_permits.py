"""The meeting page with links that are odd or do not permit everything: what is refused is not captured either."""
import base64
import hashlib
import hmac
import json
import time

from harness import assert_quiet, click_join, open_meeting, scenario

KEY, SECRET = "interop", "a secret of more than thirty-two characters"

#: The streams that the page gets of the screen; the browser's window stays open until `pick` is called.
HOLD_SCREENS = """(() => {
    const native = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
    window.screens = [];
    const picked = new Promise((resolve) => { window.pick = resolve; });
    navigator.mediaDevices.getDisplayMedia = async (options) => {
        const stream = await native(options);
        window.screens.push(stream);
        await picked;
        return stream;
    };
    return true;
})()"""
SCREENS_ENDED = ("window.screens.length === 1 && "
                 "window.screens[0].getTracks().every((track) => track.readyState === 'ended')")


def token(room, **grants):
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")  # noqa: E731
    claims = {"iss": KEY, "sub": "ada", "room": room, "exp": int(time.time()) + 3_600,
              "grants": {"publish": True, "subscribe": True, "data": True, "admin": False, **grants}}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.digest(SECRET.encode(), signed, hashlib.sha256))).decode()


async def join(run, room, *arguments):
    """`room` may have a token behind it, as in a link."""
    server = await run.server(arguments=arguments)
    page = await open_meeting(run, await run.chromium(), server, room, "Ada")
    await page.evaluate(HOLD_SCREENS)
    await click_join(page)
    await page.until("window.sluice.timings.connected", 10, "the media connection")
    return page


async def click(page, button):
    await page.evaluate(f"(document.getElementById('{button}').click(), true)")


@scenario("A screen that may not be shared is not captured any longer", timeout=30)
async def refused_screen(run):
    page = await join(run, "refused", "--limits-tracks-per-participant", "2")
    await click(page, "screen")
    await page.evaluate("(window.pick(), true)")
    await page.until("document.getElementById('alert').textContent.includes('does not allow')", 5, "the word why")
    await page.until(SCREENS_ENDED, 5, "the end of the capture")
    assert await page.evaluate("document.getElementById('screen').textContent.includes('Share screen')")
    assert await page.evaluate("window.sluice.room.publications.size") == 2, "camera and microphone are not published"


@scenario("A screen that is chosen after the meeting has ended is not captured", timeout=30)
async def late_screen(run):
    page = await join(run, "late")
    await click(page, "screen")
    await page.until("window.screens.length === 1", 5, "the capture")
    await click(page, "leave")
    await page.until("document.body.dataset.view === 'lobby'", 5, "the lobby")
    await page.evaluate("(window.pick(), true)")
    await page.until(SCREENS_ENDED, 5, "the end of the capture")
    assert_quiet(page)


@scenario("A link whose room has a percent sign opens the page", timeout=30)
async def percent(run):
    server = await run.server()
    browser = await run.chromium()
    for link, room in (("#100%", "100%"), ("#a%20b", "a b"), ("?room=x#100%", "x")):
        page = await run.page(browser, f"{server.url}/{link}")
        await page.until("document.body.dataset.ready === 'true'", 15, "the lobby")
        found = await page.evaluate("document.getElementById('room').value")
        assert found == room, f"{link} leads to '{found}'"
        assert_quiet(page)


@scenario("Whose link does not allow to send is told so, without errors, and neither heard nor seen", timeout=30)
async def spectator_by_token(run):
    link = f"stage&token={token('stage', publish=False)}"
    server = await run.server(arguments=["--auth-keys", f"{KEY}:{SECRET}"])
    page = await open_meeting(run, await run.chromium(), server, link, "Ada")
    await click_join(page)
    refused = "document.getElementById('alert').textContent.includes('does not allow')"
    off = " && ".join(f"document.getElementById('{button}').dataset.on === 'false'" for button in ("mic", "camera"))
    await page.until(f"{refused} && {off}", 5, "the word why, and devices that are off")
    assert await page.evaluate("window.sluice.room.publications.size") == 0
    for button in ("mic", "camera", "mic", "camera"):
        await page.evaluate("(document.getElementById('alert').replaceChildren(), true)")
        await click(page, button)
        await page.until(f"{refused} && {off}", 5, f"the word that the {button} may not be used")
    codes = set(await page.evaluate("window.sluice.errors"))
    assert codes <= {"forbidden"}, f"the page had {codes}"
    assert_quiet(page)
