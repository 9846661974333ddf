"""What the server thinks of a subscriber's path while the link changes: the operator's API, asked ten times a second."""
import asyncio
import contextlib
import json
import time

import aiohttp

INTERVAL = 0.1


class Trace:
    """`async with Trace(server, room, viewer) as trace`: `trace.rows` grow from then on. Who came first publishes.

    A row has `at` (ms since the epoch), of the viewer `estimate` and `needs` in bit/s, `layer` (what is sent), `target`
    in bit/s, `paused` and `reason`; of the publisher by RID `asked` (key-frame requests), `made` (key frames) and `bytes`.
    """

    def __init__(self, server, room, viewer, file=None):
        self.room = f"{server.admin_url}/v1/rooms/{room}"
        self.viewer = viewer
        self.file = file
        self.rows = []

    async def __aenter__(self):
        self.http = aiohttp.ClientSession()
        self.sampler = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *_):
        self.sampler.cancel()
        await asyncio.gather(self.sampler, return_exceptions=True)
        await self.http.close()
        if self.file:
            self.file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    async def _get(self, url):
        async with self.http.get(url) as response:
            return await response.json()

    async def _sample(self):
        publisher = (await self._get(self.room))["participants"][0]["id"]
        urls = [f"{self.room}/participants/{each}" for each in (self.viewer, publisher)]
        while True:
            with contextlib.suppress(aiohttp.ClientError, KeyError):
                answers = await asyncio.gather(*map(self._get, urls))
                self.rows.append(self._row(*(answer["stats"] for answer in answers)))
            await asyncio.sleep(INTERVAL)

    @staticmethod
    def _row(viewer, publisher):
        layers = [entry["layer"] for entry in viewer["outbound"] if entry["kind"] == "video" and entry["layer"]]
        layer = layers[0] if layers else {}
        video = [entry for entry in publisher["inbound"] if entry["kind"] == "video"]
        return {
            "at": time.time() * 1_000, "estimate": layer.get("estimate") or 0, "needs": layer.get("nextLayerNeeds") or 0,
            "layer": layer.get("spatial", -1), "temporal": layer.get("temporal", -1),
            "target": layer.get("targetBitrate") or 0, "paused": layer.get("paused"), "reason": layer.get("reason"),
            "asked": {entry["rid"] or "": entry["pliCount"] + entry["firCount"] for entry in video},
            "made": {entry["rid"] or "": entry["keyFramesReceived"] for entry in video},
            "bytes": {entry["rid"] or "": entry["bytesReceived"] for entry in video},
        }

    def steps(self, since, top=2):
        """Seconds from `since` on until the estimate was a fifth higher, and enough for the best that was chosen, until that
        was chosen, and until it was sent (its key frame had come). A step that did not happen is `None`."""
        rows = [row for row in self.rows if row["at"] >= since]
        if not rows:
            return {}
        start = rows[0]
        best = max(row["target"] for row in rows)

        def first(is_so):
            return next((round((row["at"] - since) / 1_000, 2) for row in rows if is_so(row)), None)

        return {
            "more": first(lambda row: row["estimate"] > 1.2 * start["estimate"]),
            "enough": first(lambda row: row["estimate"] >= best),
            "chosen": first(lambda row: row["target"] > 0.8 * best),
            "sent": first(lambda row: row["layer"] == top),
        }
