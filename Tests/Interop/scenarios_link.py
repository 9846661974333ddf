"""The emulated link itself: the other scenarios' judgements rest on it."""
import asyncio
import socket
import time

from emulation import HEADERS, Link
from harness import scenario

HOST = "127.0.0.1"
SIZE = 1_000
WIRE = SIZE + HEADERS
#: Of the link's queue, in seconds: for so long this machine may have no time for who fills it.
STOCK = 0.3


def endpoint():
    result = socket.socket(type=socket.SOCK_DGRAM)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    result.bind((HOST, 0))
    result.setblocking(False)
    return result


class Ends:
    """A client and a server with a link between them; `arrivals` are (time, number) at the server."""

    async def __aenter__(self):
        self.client, self.server = endpoint(), endpoint()
        self.link = await Link(HOST, [self.server.getsockname()[1]], seed=7).__aenter__()
        self.target = (HOST, *self.link.ports.values())
        self.arrivals = []
        self.reader = asyncio.create_task(self._read())
        return self

    async def _read(self):
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(self.server, 2_000)
            self.arrivals.append((time.monotonic(), int.from_bytes(data[:4], "big")))

    def send(self, number, size=SIZE):
        self.client.sendto(number.to_bytes(4, "big").ljust(size, b"\0"), self.target)

    async def __aexit__(self, *_):
        self.reader.cancel()
        await self.link.__aexit__()
        self.client.close()
        self.server.close()


@scenario("The emulated link passes no more than its capacity, and all of it, also after a change", timeout=30)
async def capacity(run):
    async with Ends() as ends:
        for rate in (2_000_000, 500_000, 3_000_000):
            await ends.link.set("up", rate=rate, queue=int(rate * STOCK / 8))
            before = (await ends.link.stats())["up"]
            started = time.monotonic()
            number = 0
            # Its queue, and half as much again as it can pass, for 2.5 s.
            while (elapsed := time.monotonic() - started) < 2.5:
                while number * WIRE * 8 < rate * (STOCK + 1.5 * elapsed):
                    ends.send(number)
                    number += 1
                await asyncio.sleep(0.002)
            after = (await ends.link.stats())["up"]
            elapsed = time.monotonic() - started
            passed = (after["out_bytes"] - before["out_bytes"]) * 8 / elapsed
            run.fact(f"{passed / rate:.3f} of {rate / 1e6:.1f} Mbit/s")
            assert 0.96 < passed / rate < 1.02, f"{passed:.0f} bit/s passed instead of {rate}"
            assert after["queue_drops"] > before["queue_drops"], "what did not fit was not dropped"
            await asyncio.sleep(STOCK + 0.05)


@scenario("The emulated link's queue takes its bytes and drops the tail", timeout=20)
async def queue(run):
    async with Ends() as ends:
        await ends.link.set("up", rate=-1, queue=5 * WIRE + 10)
        for number in range(9):
            ends.send(number)
        await asyncio.sleep(0.2)
        stats = (await ends.link.stats())["up"]
        assert stats["waiting_bytes"] == 5 * WIRE and stats["queue_drops"] == 4, stats
        assert ends.arrivals == [], "something passed a closed link"
        await ends.link.set("up", rate=WIRE * 8 * 20)
        await asyncio.sleep(0.5)
        numbers = [number for _, number in ends.arrivals]
        assert numbers == [0, 1, 2, 3, 4], f"{numbers} arrived"
        spread = ends.arrivals[-1][0] - ends.arrivals[0][0]
        assert 0.15 < spread < 0.3, f"four packets of 50 ms each took {spread * 1e3:.0f} ms"


@scenario("The emulated link delays each way by itself and loses what it is told to, by its seed", timeout=20)
async def delay_and_loss(run):
    async with Ends() as ends:
        await ends.link.set("up", delay=30)
        await ends.link.set("down", delay=20)
        loop = asyncio.get_running_loop()
        ends.reader.cancel()
        trips = []
        for number in range(20):
            started = time.monotonic()
            ends.send(number, size=40)
            data, back = await asyncio.wait_for(loop.sock_recvfrom(ends.server, 100), 2)
            await loop.sock_sendto(ends.server, data, back)
            assert await asyncio.wait_for(loop.sock_recv(ends.client, 100), 2) == data
            trips.append((time.monotonic() - started) * 1e3)
        run.fact(f"round trip {min(trips):.1f} ms of 50")
        assert 50 <= min(trips) < 60, f"the shortest round trip took {min(trips):.1f} ms"
        await ends.link.set("up", delay=0, loss=0.1)
        for number in range(2_000):
            ends.send(number, size=40)
            if number % 50 == 0:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)
        stats = (await ends.link.stats())["up"]
        run.fact(f"{stats['random_drops']} of 2000 lost at 10 %")
        # The seed decides; the band is for a generator that is changed one day.
        assert 160 <= stats["random_drops"] <= 240, stats
        assert stats["out_packets"] == stats["in_packets"] - stats["random_drops"], stats
