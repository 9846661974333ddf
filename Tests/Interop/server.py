"""The server under test, as a process of its own with ports of its own."""
import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

START_TIMEOUT = 15


def free_tcp_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_media_port(workers=1):
    """The first of `workers` UDP ports in a row."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("0.0.0.0", 0))
            first = probe.getsockname()[1]
        if first + workers > 65_535:
            continue
        try:
            probes = []
            for port in range(first, first + workers):
                probes.append(socket.socket(type=socket.SOCK_DGRAM))
                probes[-1].bind(("0.0.0.0", port))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()


def own_address():
    """An IPv4 address of this machine that is not loopback, for clients that do not gather loopback."""
    names = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    for name in names:
        if "." in name and not name.startswith("127."):
            return name
    raise AssertionError(
        "this machine has no address but loopback, which aiortc does not use; make one with "
        "'ip link add sluice0 type dummy && ip addr add 10.97.0.1/32 dev sluice0 && ip link set sluice0 up'"
    )


class Server:
    """`async with Server(binary, log) as server`. `media_host`: where it waits for media, by default loopback; `prefix`:
    a command that becomes the server."""

    def __init__(self, binary, log, media_host=None, arguments=(), prefix=()):
        self.binary = binary
        self.log = Path(log)
        self.media_host = media_host
        self.arguments = list(arguments)
        self.prefix = list(prefix)
        self.was_killed = False
        #: It ended, and nobody had told it to.
        self.died = False
        self.workers = min(os.cpu_count() or 1, 2)

    async def __aenter__(self):
        self.http_port = free_tcp_port()
        self.admin_port = free_tcp_port()
        self.media_port = free_media_port(self.workers)
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.admin_url = f"http://127.0.0.1:{self.admin_port}"
        await self.start()
        return self

    async def start(self):
        """On the same ports as the last time."""
        self.was_killed = False
        command = [
            *self.prefix, self.binary, "serve", "--dev", "--http-port", str(self.http_port), "--admin-port", str(self.admin_port),
            "--media-port", str(self.media_port), "--media-workers", str(self.workers),
        ]
        if self.media_host:
            command += ["--media-host", self.media_host]
        self.output = self.log.open("ab")
        self.process = await asyncio.create_subprocess_exec(
            *command, *self.arguments, stdout=asyncio.subprocess.PIPE, stderr=self.output, start_new_session=True
        )
        try:
            self.ready = await asyncio.wait_for(self._ready(), START_TIMEOUT)
        except BaseException as error:
            await self.stop()
            tail = self.log.read_text(errors="replace")[-1_500:]
            raise AssertionError(f"{' '.join(command)} did not get ready ({error or type(error).__name__}): {tail}")
        self.drain = asyncio.create_task(self._drain())

    async def _ready(self):
        while line := (await self.process.stdout.readline()).decode(errors="replace"):
            if line.startswith("sluice ready"):
                return line.strip()
        raise AssertionError(f"it ended with {await self.process.wait()}")

    async def _drain(self):
        while await self.process.stdout.readline():
            pass

    @property
    def is_running(self):
        return self.process.returncode is None

    def resident_kilobytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    async def crash(self):
        """Ends it without a goodbye."""
        self.was_killed = True
        self.process.kill()
        await self.process.wait()
        self.output.close()

    async def stop(self):
        """A first signal drains, a second ends it at once. Returns how it ended."""
        for patience in (1, 3):
            if self.process.returncode is not None:
                break
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), patience)
            except asyncio.TimeoutError:
                pass
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        if hasattr(self, "drain"):
            self.drain.cancel()
        self.output.close()
        return self.process.returncode

    async def __aexit__(self, kind, *_):
        was_running = self.is_running
        self.died = not was_running and not self.was_killed
        result = await self.stop()
        if kind is not None or self.was_killed:
            return
        tail = self.log.read_text(errors="replace")[-1_500:]
        assert was_running, f"the server ended by itself with {result}: {tail}"
        assert result in (0, 130), f"the server ended with {result} when it was told to: {tail}"
