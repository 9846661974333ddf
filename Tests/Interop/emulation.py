"""A shaped link between clients of this machine and the server: `link/link.c` and its handling."""
import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "link" / "link.c"
BUILD = Path(__file__).resolve().parents[2] / ".build"
#: What one packet has in front of its UDP payload; the link counts it.
HEADERS = 28


def program():
    """Compiled when the source is newer."""
    result = Path(os.environ.get("LINK") or BUILD / "interop-link")
    if not result.exists() or result.stat().st_mtime < SOURCE.stat().st_mtime:
        compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "clang", "gcc")), None)
        assert compiler, "there is no C compiler for the emulated link"
        result.parent.mkdir(parents=True, exist_ok=True)
        fresh = result.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", fresh, SOURCE], check=True)
        fresh.rename(result)
    return result


class Link:
    """`async with Link(host, ports) as link`: what goes to `link.ports[port]` of `host` passes the link to `port`.

    A way has `rate` in bit/s (0 = unlimited, -1 = nothing passes), `queue` in bytes, `delay` in milliseconds and `loss`
    from 0 to 1; "up" leads to the server.
    """

    def __init__(self, host, ports, seed=1):
        self.host = host
        self.targets = list(ports)
        self.seed = seed
        self.lock = asyncio.Lock()

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            program(), self.host, self.host, str(self.seed), *map(str, self.targets),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        words = (await asyncio.wait_for(self.process.stdout.readline(), 5)).decode().split()
        assert words[:1] == ["ready"], f"the link said {words}"
        self.ports = dict(zip(self.targets, map(int, words[1:])))
        return self

    async def __aexit__(self, *_):
        self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), 5)

    async def _ask(self, line):
        async with self.lock:
            self.process.stdin.write(f"{line}\n".encode())
            reply = await asyncio.wait_for(self.process.stdout.readline(), 5)
        assert not reply.startswith(b"error"), f"{line}: {reply.decode().strip()}"
        return reply.decode()

    async def set(self, way, **values):
        """`way`: up, down or both."""
        await self._ask(" ".join([way, *(f"{key}={value}" for key, value in values.items())]))

    async def stats(self):
        """Counters since the start by way; `longest_wait_ms` since the last call."""
        return json.loads(await self._ask("stats"))
