"""Participants who come, publish, mute and go at random, over signalling alone; for a look at leaks and races by hand.

    python churn.py http://127.0.0.1:8080 [--participants 50] [--seconds 60] [--rooms 5] [--seed 1] [--pid PID]

Prints what was done each five seconds, with the server's memory if its PID is given. Ends with 1 if anything was
refused that should not be.
"""
import argparse
import asyncio
import random
import sys
import time
from pathlib import Path

from scenarios_signalling import audio_offer
from signalling import Client, SignallingError


class Churn:
    def __init__(self, options, offers):
        self.options = options
        self.offers = offers
        self.random = random.Random(options.seed)
        self.counts = {}
        self.deadline = time.monotonic() + options.seconds

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    async def participant(self, number):
        """One life after the other."""
        while time.monotonic() < self.deadline:
            try:
                await self.life(number)
            except (SignallingError, AssertionError, OSError, asyncio.TimeoutError) as error:
                self.count(f"failed: {type(error).__name__} {error}"[:120])
            await asyncio.sleep(self.random.uniform(0, 0.5))

    async def life(self, number):
        room = f"churn-{self.random.randrange(self.options.rooms)}"
        client = await Client(self.options.url).open()
        try:
            joined = await client.join(room, f"P{number}")
            self.count("joined")
            direction = self.random.choice(["sendonly", "recvonly"])
            answer = await client.ask("offer", {"sdp": self.offers[direction]})
            self.count(f"offered {direction}")
            if answer["bindings"]:
                self.count("bound at once")
            for _ in range(self.random.randrange(6)):
                await asyncio.sleep(self.random.uniform(0, 0.4))
                await client.tell("setMetadata", {"metadata": self.random.random()})
                if self.random.random() < 0.3:
                    await client.ask("offer", {"sdp": self.offers[direction]})
                    self.count("offered again")
            if self.random.random() < 0.3:
                await client.drop()
                client = await Client(self.options.url).open()
                back = await client.join(room, f"P{number}", resume=joined["resumeToken"])
                self.count("resumed" if back["participantId"] == joined["participantId"] else "failed: not resumed")
            if self.random.random() < 0.8:
                await client.tell("leave", {})
                self.count("left")
            else:
                self.count("vanished")
        finally:
            await client.drop()

    async def report(self):
        while time.monotonic() < self.deadline:
            await asyncio.sleep(5)
            memory = ""
            if self.options.pid:
                lines = Path(f"/proc/{self.options.pid}/status").read_text().splitlines()
                memory = next((line for line in lines if line.startswith("VmRSS")), "")
            print(memory, dict(sorted(self.counts.items())), flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--participants", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rooms", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    peers = {direction: await audio_offer(direction) for direction in ("sendonly", "recvonly")}
    churn = Churn(options, {direction: sdp for direction, (_, sdp) in peers.items()})
    await asyncio.gather(churn.report(), *[churn.participant(number) for number in range(options.participants)])
    for pc, _ in peers.values():
        await pc.close()
    return 1 if any(name.startswith("failed") for name in churn.counts) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
