"""simple-whip-client, a WHIP client that trickles its candidates by PATCH. Skipped where it is not installed."""
import asyncio
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import aiohttp

from harness import Skipped, scenario, watch
from scenarios_gstreamer import needs_gstreamer
from scenarios_streams import blank_page, close, play
from server import own_address

#: Debian's libnice brings libsoup 3 by way of libgupnp-igd, and the client libsoup 2, which can't be in one process.
#: Nobody calls the former without UPnP, so something empty takes its place.
STUB = """
#include <stddef.h>
void *gupnp_simple_igd_thread_new(void) { return NULL; }
unsigned long gupnp_simple_igd_get_type(void) { return 0; }
void gupnp_simple_igd_add_port(void) {}
void gupnp_simple_igd_remove_port_local(void) {}
"""
#: No others: some plugins link libsoup 3 themselves.
PLUGINS = ["webrtc", "nice", "dtls", "srtp", "sctp", "rtp", "rtpmanager", "vpx", "opus", "videotestsrc", "audiotestsrc",
           "coreelements", "audioconvert", "audioresample", "videoconvertscale"]
AUDIO = ("audiotestsrc is-live=true wave=ticks ! audioconvert ! opusenc ! rtpopuspay pt=97 "
         "! application/x-rtp,media=audio,encoding-name=OPUS,payload=97")
VIDEO = ("videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1 ! videoconvert "
         "! vp8enc deadline=1 target-bitrate=800000 ! rtpvp8pay picture-id-mode=15-bit pt=96 "
         "! application/x-rtp,media=video,encoding-name=VP8,payload=96")


def environment(folder):
    libraries, plugins = folder / "libraries", folder / "plugins"
    libraries.mkdir()
    plugins.mkdir()
    (folder / "stub.c").write_text(STUB)
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        raise Skipped("there is no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", libraries / "libgupnp-igd-1.0.so.4", folder / "stub.c"], check=True)
    installed = next(iter(Path("/usr/lib").glob("*/gstreamer-1.0")))
    for name in PLUGINS:
        (plugins / f"libgst{name}.so").symlink_to(installed / f"libgst{name}.so")
    return {**os.environ, "LD_LIBRARY_PATH": str(libraries), "GST_PLUGIN_SYSTEM_PATH_1_0": str(plugins),
            "GST_REGISTRY": str(folder / "registry")}


async def requests(server):
    """How many requests were answered with what: (method, status) to count."""
    async with aiohttp.ClientSession() as http, http.get(f"{server.admin_url}/metrics") as response:
        text = await response.text()
    found = {}
    for labels, value in re.findall(r"^sluice_http_requests_total{(.*)} (\S+)$", text, re.M):
        fields = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if "whip" in fields.get("route", ""):
            key = (fields["method"], int(fields["status"]))
            found[key] = found.get(key, 0) + int(float(value))
    return found


@scenario("simple-whip-client publishes by WHIP with trickled candidates, and Chromium plays by WHEP")
async def whip_client(run):
    await needs_gstreamer()
    if not shutil.which("whip-client"):
        raise Skipped("simple-whip-client is not installed")
    server = await run.server(media_host=own_address())
    page = await blank_page(run, await run.chromium(), server)
    with (run.folder / "whip-client.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "whip-client", "-o", "-u", f"{server.url}/whip/cli/client", "-A", AUDIO, "-V", VIDEO,
            env=environment(run.folder), stdout=log, stderr=log,
        )
        try:
            played = await play(page, "cli")
            await watch(run, page, played["key"], seconds=8)
            process.send_signal(signal.SIGINT)
            status = await asyncio.wait_for(process.wait(), 10)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    answered = await requests(server)
    run.fact(", ".join(f"{method} {status}: {count}" for (method, status), count in sorted(answered.items())))
    assert status == 0, f"whip-client ended with {status}"
    assert answered.get(("PATCH", 204), 0) > 0, f"no candidate was accepted: {answered}"
    assert answered.get(("DELETE", 200), 0) == 1, f"the session was not ended: {answered}"
    await close(page, played)
