"""A client of the WebSocket signalling without media."""
import asyncio
import itertools
import json

import aiohttp


class SignallingError(Exception):
    def __init__(self, payload):
        super().__init__(f"{payload.get('code')}: {payload.get('message')}")
        self.code = payload.get("code")


class Client:
    """`on_frame` is called with every frame in the order of arrival; `ask` and `event` see it later."""

    def __init__(self, url, on_frame=None):
        self.url = url.replace("http", "ws", 1) + "/v1/signal"
        self.on_frame = on_frame
        self.numbers = itertools.count(1)
        self.replies = {}
        self.events = asyncio.Queue()
        self.joined = None

    async def open(self):
        self.http = aiohttp.ClientSession()
        try:
            self.socket = await self.http.ws_connect(self.url, protocols=("sluice.v1",))
        except BaseException:
            await self.http.close()
            raise
        self.reader = asyncio.create_task(self._read())
        return self

    async def __aenter__(self):
        return await self.open()

    async def __aexit__(self, *_):
        await self.drop()

    async def drop(self):
        """Closes without `leave`."""
        self.reader.cancel()
        await self.socket.close()
        await self.http.close()

    async def _read(self):
        async for message in self.socket:
            if message.type != aiohttp.WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            if self.on_frame:
                self.on_frame(frame)
            future = self.replies.pop(frame.get("id"), None)
            if future:
                future.set_result(frame)
            elif not self.on_frame:
                self.events.put_nowait(frame)
        self.events.put_nowait({"type": "closed", "payload": {"code": self.socket.close_code}})

    async def tell(self, kind, payload):
        await self.socket.send_str(json.dumps({"type": kind, "payload": payload}))

    async def ask(self, kind, payload, timeout=5):
        number = next(self.numbers)
        future = self.replies[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_str(json.dumps({"type": kind, "payload": payload, "id": number}))
        frame = await asyncio.wait_for(future, timeout)
        if frame["type"] == "error":
            raise SignallingError(frame["payload"])
        return frame["payload"]

    async def join(self, room, name, **more):
        self.joined = await self.ask("join", {"roomId": room, "name": name, **more})
        return self.joined

    async def event(self, kind, timeout=5):
        """The next event of a kind; others are passed over."""
        async with asyncio.timeout(timeout):
            while True:
                frame = await self.events.get()
                if frame["type"] == kind:
                    return frame["payload"]
                assert frame["type"] != "closed", f"the server closed the connection with {frame['payload']['code']}"
