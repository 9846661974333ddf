"""What a viewer gets while the link changes: samples of its statistics, and judgements over spans of them."""
import asyncio
import time

from harness import numbers


def now():
    """Milliseconds since the epoch, as the pages' clocks have it."""
    return time.time() * 1_000


class Viewer:
    """`async with Viewer("name", page) as viewer`: its numbers are taken twice a second from then on."""

    def __init__(self, name, page, key=None):
        self.name = name
        self.page = page
        self.key = key
        self.samples = []

    async def __aenter__(self):
        self.sampler = asyncio.create_task(self._sample())
        return self

    async def _sample(self):
        while True:
            sample = await numbers(self.page, self.key)
            if sample:
                self.samples.append(sample)
            await asyncio.sleep(0.5)

    async def __aexit__(self, *_):
        self.sampler.cancel()
        await asyncio.gather(self.sampler, return_exceptions=True)

    def _between(self, kind, since, until):
        """(at, totals over all tracks of the kind) of each sample."""
        rows = []
        for sample in self.samples:
            if since <= sample["at"] <= until:
                entries = [entry for entry in sample["inbound"] if entry["kind"] == kind]
                keys = ("bytesReceived", "packetsReceived", "packetsLost", "framesDecoded", "freezeCount",
                        "totalFreezesDuration", "concealedSamples", "totalSamplesReceived",
                        "retransmittedPacketsReceived", "keyFramesDecoded")
                rows.append((sample["at"], {key: sum(entry.get(key) or 0 for entry in entries) for key in keys}))
        return rows

    def grown(self, kind, since, until):
        """By how much each counter grew, and `seconds`."""
        rows = self._between(kind, since, until)
        if len(rows) < 2:
            return {"seconds": 0}
        (start, before), (end, after) = rows[0], rows[-1]
        return {"seconds": (end - start) / 1_000, **{key: after[key] - before[key] for key in after}}

    def bitrate(self, kind, since, until):
        """Of RTP payloads, bit/s."""
        grown = self.grown(kind, since, until)
        return grown["bytesReceived"] * 8 / grown["seconds"] if grown["seconds"] else 0

    def quietest(self, kind, since, until):
        """Packets per second in the poorest span of about a second."""
        rows = self._between(kind, since, until)
        rates = [
            (later[1]["packetsReceived"] - row[1]["packetsReceived"]) * 1_000 / (later[0] - row[0])
            for row, later in zip(rows, rows[2:])
        ]
        return min(rates, default=0)

    async def picture(self, since, until):
        """Of the page's first video element: see `pictures` in rooms.js."""
        pictures = await self.page.evaluate(f"window.rooms.pictures({since}, {until})")
        assert pictures, f"{self.name} has no picture at all"
        return pictures[0]


class Judgement:
    """Collects what is wrong, to tell all of it at once."""

    def __init__(self, run):
        self.run = run
        self.complaints = []

    def expect(self, is_good, complaint):
        if not is_good:
            self.complaints.append(complaint)

    def close(self):
        assert not self.complaints, "; ".join(self.complaints)
