"""Headless browsers of the distribution, driven by their own protocols: no driver, no download.

Chromium speaks the DevTools protocol, Firefox WebDriver BiDi; both over one WebSocket. A page has `evaluate`, which runs
JavaScript, awaits it and returns what it gives as JSON, and `errors`: uncaught exceptions and policy violations.
"""
import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import aiohttp

import machine

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
FIREFOX = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox") or "firefox-esr"

CHROMIUM_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--mute-audio",
    "--disable-dev-shm-usage", "--remote-debugging-port=0", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--metrics-recording-only",
    # A background tab is throttled otherwise, and a call is not.
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
]

FIREFOX_PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.navigator.permission.fake": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-gmpopenh264.enabled": False,
    "remote.active-protocols": 1,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.min_background_timeout_value": 4,
    "dom.timeout.enable_budget_timer_throttling": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}

COMMAND_TIMEOUT = 30
START_TIMEOUT = 40


class BrowserError(Exception):
    """What the browser refused, or an exception that the script in the page threw."""


class Connection:
    """Numbered commands and events over a WebSocket."""

    def __init__(self):
        self.numbers = itertools.count(1)
        self.waiting = {}

    async def open(self, url, on_event):
        self.http = aiohttp.ClientSession()
        self.socket = await self.http.ws_connect(url, max_msg_size=0)
        self.on_event = on_event
        self.reader = asyncio.create_task(self._read())

    async def _read(self):
        async for message in self.socket:
            frame = json.loads(message.data)
            future = self.waiting.pop(frame.get("id"), None)
            if future and not future.done():
                future.set_result(frame)
            elif not future and "method" in frame:
                self.on_event(frame)
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(BrowserError("the browser closed the connection"))

    async def command(self, method, parameters, timeout=COMMAND_TIMEOUT, **extra):
        number = next(self.numbers)
        future = self.waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_str(json.dumps({"id": number, "method": method, "params": parameters, **extra}))
        try:
            reply = await asyncio.wait_for(future, timeout)
        except asyncio.TimeoutError:
            self.waiting.pop(number, None)
            raise BrowserError(f"{method} took longer than {timeout} s") from None
        if "error" in reply:
            raise BrowserError(f"{method}: {reply.get('message') or reply['error']}")
        return reply["result"]

    async def close(self):
        self.reader.cancel()
        await self.socket.close()
        await self.http.close()


class Page:
    """One tab."""

    def __init__(self, browser, handle):
        self.browser = browser
        self.handle = handle
        self.errors = []

    async def evaluate(self, expression, timeout=COMMAND_TIMEOUT):
        text = await self._evaluate(f"(async () => JSON.stringify(await ({expression})))()", timeout)
        return None if text is None else json.loads(text)

    async def until(self, expression, timeout, what=None):
        """Evaluates until it is true; returns its value."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            value = await self.evaluate(expression)
            if value:
                return value
            if asyncio.get_running_loop().time() > deadline:
                state = await self.evaluate(
                    "({alert: document.getElementById('alert')?.textContent, "
                    "status: document.getElementById('status')?.textContent, "
                    "ice: window.sluice?.room?.peerConnection?.iceConnectionState, "
                    "connection: window.sluice?.room?.peerConnection?.connectionState, "
                    "timings: window.sluice?.timings})"
                )
                raise AssertionError(
                    f"{self.browser.name}: not within {timeout} s: {what or expression}; the page says {state}; "
                    f"errors {self.errors}"
                )
            await asyncio.sleep(0.05)


class Browser:
    """Starts a browser with an own profile, and ends exactly the process group that it started."""

    name = "browser"
    environment = {}

    async def __aenter__(self):
        self.profile = tempfile.mkdtemp(prefix=f"sluice-{self.name}-")
        self.connection = Connection()
        self.pages = {}
        self.process = None
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _spawn(self, program, *arguments, **streams):
        try:
            self.process = await asyncio.create_subprocess_exec(
                program, *arguments, start_new_session=True,
                env={**os.environ, "HOME": self.profile, **self.environment}, **streams,
            )
        except FileNotFoundError:
            raise BrowserError(f"{program} is not installed; set {self.name.upper()} to its path") from None

    async def __aexit__(self, *_):
        if hasattr(self.connection, "socket"):
            try:
                await self._quit()
            except Exception:  # noqa: BLE001: it may have crashed, and is ended below anyhow
                pass
            await self.connection.close()
        if self.process and self.process.returncode is None:
            try:
                await asyncio.wait_for(self.process.wait(), 5)
            except asyncio.TimeoutError:
                pass
        if self.process:
            # Also when the first process is gone: its helpers may not be.
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            await self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


class Chromium(Browser):
    name = "chromium"

    async def _start(self):
        self.contexts = []
        await self._spawn(
            CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={self.profile}",
            # The fake camera has 20 frames per second unless it is told otherwise.
            f"--use-fake-device-for-media-stream=device-count=1,fps={machine.frame_rate}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )
        port_file = Path(self.profile) / "DevToolsActivePort"
        for _ in range(START_TIMEOUT * 20):
            lines = port_file.read_text().split("\n") if port_file.exists() else []
            if len(lines) >= 2 and lines[1]:
                break
            if self.process.returncode is not None:
                raise BrowserError(f"{CHROMIUM} ended with {self.process.returncode}")
            await asyncio.sleep(0.05)
        else:
            raise BrowserError(f"{CHROMIUM} did not open its debugging port in {START_TIMEOUT} s")
        await self.connection.open(f"ws://127.0.0.1:{lines[0]}{lines[1]}", self._event)
        version = await self.connection.command("Browser.getVersion", {})
        self.version = version["product"].split("/")[-1]

    def _event(self, frame):
        page = self.pages.get(frame.get("sessionId"))
        if page is None:
            return
        if frame["method"] == "Runtime.exceptionThrown":
            details = frame["params"]["exceptionDetails"]
            page.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif frame["method"] == "Log.entryAdded" and frame["params"]["entry"]["level"] == "error":
            page.errors.append(frame["params"]["entry"]["text"])

    async def page(self, url, size=(1024, 700), mobile=False):
        """A tab in a context of its own."""
        context = await self.connection.command("Target.createBrowserContext", {"disposeOnDetach": True})
        target = await self.connection.command(
            "Target.createTarget",
            {"url": "about:blank", "browserContextId": context["browserContextId"], "width": size[0], "height": size[1]},
        )
        attached = await self.connection.command(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
        )
        page = ChromiumPage(self, attached["sessionId"])
        page.target = target["targetId"]
        self.pages[page.handle] = page
        for domain in ("Runtime", "Log", "Page", "Network"):
            await page.command(f"{domain}.enable", {})
        await page.command(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 2 if mobile else 1, "mobile": mobile},
        )
        await page.go(url)
        return page

    async def _quit(self):
        await self.connection.command("Browser.close", {}, timeout=5)


class ChromiumPage(Page):
    async def command(self, method, parameters, timeout=COMMAND_TIMEOUT):
        return await self.browser.connection.command(method, parameters, timeout, sessionId=self.handle)

    async def go(self, url):
        result = await self.command("Page.navigate", {"url": url})
        if result.get("errorText"):
            raise BrowserError(f"{url}: {result['errorText']}")
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'", 15)

    async def _evaluate(self, expression, timeout):
        reply = await self.command(
            "Runtime.evaluate",
            {"expression": expression, "awaitPromise": True, "returnByValue": True, "userGesture": True}, timeout,
        )
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return reply["result"].get("value")

    async def screenshot(self, path):
        reply = await self.command("Page.captureScreenshot", {"format": "png"})
        Path(path).write_bytes(base64.b64decode(reply["data"]))

    async def close(self):
        self.browser.pages.pop(self.handle, None)
        await self.browser.connection.command("Target.closeTarget", {"targetId": self.target})


class Firefox(Browser):
    name = "firefox"
    environment = {"MOZ_HEADLESS": "1"}

    async def _start(self):
        preferences = {**FIREFOX_PREFERENCES, "media.navigator.video.default_fps": machine.frame_rate}
        lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in preferences.items()]
        (Path(self.profile) / "user.js").write_text("".join(lines))
        await self._spawn(
            FIREFOX, "--headless", "--no-remote", "--profile", self.profile, "--remote-debugging-port", "0",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )
        url = await asyncio.wait_for(self._address(), START_TIMEOUT)
        self.drain = asyncio.create_task(self._drain())
        await self.connection.open(f"{url}/session", self._event)
        session = await self.connection.command("session.new", {"capabilities": {}})
        self.version = session["capabilities"]["browserVersion"]
        await self.connection.command("session.subscribe", {"events": ["log.entryAdded"]})

    async def _address(self):
        while line := (await self.process.stderr.readline()).decode(errors="replace"):
            if "WebDriver BiDi listening on" in line:
                return line.split()[-1]
        raise BrowserError(f"{FIREFOX} ended before it was ready")

    async def _drain(self):
        while await self.process.stderr.readline():
            pass

    def _event(self, frame):
        if frame["method"] != "log.entryAdded":
            return
        entry = frame["params"]
        page = self.pages.get(entry.get("source", {}).get("context"))
        if page is not None and entry["level"] == "error":
            page.errors.append(entry.get("text") or "")

    async def page(self, url, size=(1024, 700), mobile=False):
        result = await self.connection.command("browsingContext.create", {"type": "tab"})
        page = FirefoxPage(self, result["context"])
        self.pages[page.handle] = page
        # A tab that lies behind another is not painted, and plays no video.
        await page.command("browsingContext.activate", {})
        await page.command("browsingContext.setViewport", {"viewport": {"width": size[0], "height": size[1]}})
        await page.go(url)
        return page

    async def _quit(self):
        self.drain.cancel()
        await self.connection.command("browser.close", {}, timeout=5)


class FirefoxPage(Page):
    async def command(self, method, parameters, timeout=COMMAND_TIMEOUT):
        return await self.browser.connection.command(method, {"context": self.handle, **parameters}, timeout)

    async def go(self, url):
        await self.command("browsingContext.navigate", {"url": url, "wait": "complete"})

    async def _evaluate(self, expression, timeout):
        reply = await self.browser.connection.command(
            "script.evaluate",
            {"expression": expression, "target": {"context": self.handle}, "awaitPromise": True, "userActivation": True},
            timeout,
        )
        if reply.get("type") == "exception":
            raise BrowserError(reply["exceptionDetails"]["text"])
        return reply["result"].get("value")

    async def screenshot(self, path):
        reply = await self.command("browsingContext.captureScreenshot", {})
        Path(path).write_bytes(base64.b64decode(reply["data"]))

    async def close(self):
        self.browser.pages.pop(self.handle, None)
        await self.command("browsingContext.close", {})
