"""sluice-load against the server: what its report says, and that it does not call a run good that was none."""
import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

from harness import Skipped, scenario

WITHOUT_CALLS = Path(__file__).with_name("without_calls.py")
EPOLL_PWAIT2 = "441"


def command(run, server, *arguments):
    program = Path(run.binary).with_name("sluice-load")
    if not program.exists():
        raise Skipped(f"there is no {program}: swift build -c release --product sluice-load")
    return [
        str(program), "--url", server.url, "--metrics", server.admin_url, "--no-progress", "--json",
        str(run.folder / "report.json"), "--html", str(run.folder / "report.html"), *arguments,
    ]


async def start(run, *arguments):
    with (run.folder / "sluice-load.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(*arguments, stdout=log, stderr=log)


def report(run):
    return json.loads((run.folder / "report.json").read_text())


async def end(process, seconds):
    try:
        return await asyncio.wait_for(process.wait(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@scenario("sluice-load's peers publish and receive over WHIP and WHEP, and over WebSocket, and its report has it all")
async def load_report(run):
    for transport, sessions in [("whip", 2 + 2 * 6), ("websocket", 2 + 6)]:
        server = await run.server()
        process = await start(run, *command(
            run, server, "--transport", transport, "--publishers", "2", "--subscribers", "6", "--duration", "4"))
        status = await end(process, 60)
        found = report(run)
        run.fact(f"{transport}: {found['total']['packetsReceived']} packets, "
                 f"p99 {found['total']['latencyMilliseconds']['p99']:.1f} ms")
        assert status == 0 and found["passed"], f"{transport}: exit {status}: {found['limits']} {found['failures']}"
        assert found["sessions"] == found["total"]["connected"] == sessions, found["total"]
        # Each publisher's sound and picture, to each subscriber; over WebSocket to the other publisher too.
        assert found["streams"] == 2 * 2 * 6 + (4 if transport == "websocket" else 0), found["streams"]
        assert found["silentStreams"] == found["unboundStreams"] == 0, found
        # 50 packets of sound and some 180 of picture a second, on each of the two kinds of streams.
        assert found["total"]["packetsReceived"] > 4 * 12 * (40 + 100), found["total"]
        assert found["total"]["packetsLost"] == 0, found["total"]
        assert found["server"]["cpuNanosecondsPerPacket"] > 0, found["server"]
        assert found["settings"]["transport"] == transport and len(found["joins"]) == sessions, found["settings"]
        assert "</html>" in (run.folder / "report.html").read_text()


@scenario("a run of sluice-load that was interrupted, or whose server ended, is no pass, and has its report soon")
async def load_cut_short(run):
    for what in ["interrupt", "crash"]:
        server = await run.server()
        process = await start(run, *command(run, server, "--subscribers", "5", "--duration", "300"))
        await asyncio.sleep(6)
        if what == "crash":
            await server.crash()
        process.send_signal(signal.SIGINT)
        status = await end(process, 60)
        found = report(run)
        run.fact(f"{what}: {found['endedEarly']}")
        assert status == 1 and not found["passed"], f"{what}: exit {status}"
        assert "interrupted" in found["endedEarly"], found["endedEarly"]


@scenario("sluice-load gives up soon where every join fails, and says why")
async def load_in_vain(run):
    server = await run.server()
    deaf = "takes connections and never says anything"
    for url, transport, reason in [
        (server.url + "0", "whip", "--url"), (server.admin_url, "whip", "HTTP 404"),
        (server.admin_url, "websocket", "does not make a WebSocket"), (deaf, "whip", "no answer in time"),
        (deaf, "websocket", "no answer in time: GET"),
    ]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(256)
            if url == deaf:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process = await start(run, *command(run, server, "--url", url, "--transport", transport, "--metrics", "none",
                                                "--subscribers", "200", "--join-rate", "1000", "--duration", "120"))
            status = await end(process, 60)
        log = (run.folder / "sluice-load.log").read_text()
        assert reason in log, f"{url} {transport}: {log[-2_000:]}"
        if reason == "--url":
            assert status == 2, status
            continue
        found = report(run)
        assert status == 1 and "given up" in found["endedEarly"], found["endedEarly"]
        run.fact(f"{transport}: {found['failures'][0]}")


@scenario("a server that is refused epoll_pwait2, as in older containers, forwards like any other")
async def load_without_call(run):
    server = await run.server(prefix=[sys.executable, WITHOUT_CALLS, EPOLL_PWAIT2])
    process = await start(run, *command(run, server, "--subscribers", "5", "--duration", "4"))
    status = await end(process, 60)
    found = report(run)
    assert status == 0 and found["passed"], f"exit {status}: {found['limits']} {found['failures']}"
    assert found["silentStreams"] == found["total"]["packetsLost"] == 0, found["total"]
    run.fact(f"p99 {found['total']['latencyMilliseconds']['p99']:.1f} ms, {found['server']}")
