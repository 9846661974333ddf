#!/usr/bin/env python3
"""Runs the same load against several servers in turn, each alone on core 0, `sluice-load` on core 1.

    compare.py --servers sluice,pion --scenarios fan50,fan200,audio300 --rounds 2

Prints a table: CPU of the server for each forwarded packet, its share of the core, loss, forwarding latency, memory.
README.md in this folder says what must be installed.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GO_LIBRARIES = "/usr/share/gocode"
SERVER_CORE, CLIENT_CORE = "0", "1"
# Of an interface in a network namespace, for servers that take no packets at 127.0.0.1; what is sent there is looped.
ADDRESS = "10.99.0.1"

# Name: publishers, subscribers, kbit/s of video (0 = none), bit/s of Opus. 64 kbit/s are 160 bytes a packet.
SCENARIOS = {
    "fan50": (1, 50, 1500, 32_000),
    "fan100": (1, 100, 1500, 32_000),
    "fan200": (1, 200, 1500, 32_000),
    "fan200-full": (1, 200, 6000, 32_000),
    "fan1000": (1, 1000, 1500, 32_000),
    "10x10": (10, 10, 1500, 32_000),
    "10x10-full": (10, 10, 6000, 32_000),
    "audio100": (10, 100, 0, 64_000),
    "audio300": (10, 300, 0, 64_000),
    "audio300-together": (10, 300, 0, 64_000),
    "thin10": (1, 10, 0, 64_000),
    "thin100": (1, 100, 0, 64_000),
    "thin400": (1, 400, 0, 64_000),
}

# How the publishers' packets lie to each other, where that is not as they happen to join.
PHASES = {"audio300-together": "together"}


def scenario_file(name, seconds, folder):
    publishers, subscribers, video, audio = SCENARIOS[name]
    path = Path(folder) / f"{name}.yaml"
    phase = f", phase: {PHASES[name]}" if name in PHASES else ""
    path.write_text(
        f"name: {name}\ntransport: whip\njoinRate: 100/s\nsettle: 2s\nduration: {seconds}s\n"
        f"publishers: {{count: {publishers}, video: {f'{video}k' if video else 'none'}, audio: {audio}{phase}}}\n"
        f"subscribers: {{count: {subscribers}}}\n"
    )
    return path


class Server:
    """A server on core 0; `url` is where it speaks WHIP and WHEP."""

    url = "http://127.0.0.1:18080"
    needs_namespace = False
    load_options = ()

    def __init__(self, folder):
        self.log = open(Path(folder) / f"{type(self).__name__}.log", "ab")  # pylint: disable=consider-using-with
        self.processes = []

    def spawn(self, *command, core=SERVER_CORE, **options):
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["taskset", "-c", core, *map(str, command)], stdout=self.log, stderr=self.log, **options
        )
        self.processes.append(process)
        return process

    def wait(self, url):
        for _ in range(100):
            try:
                urllib.request.urlopen(url, timeout=1).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{type(self).__name__} does not answer at {url}; see {self.log.name}")

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()


class Sluice(Server):
    crypto = "auto"
    arguments = ()

    def start(self, arguments):
        self.spawn(
            arguments.sluice, "serve", "--dev", "--http-port", "18080", "--admin-port", "18081",
            "--media-port", "18800", "--media-workers", "1", "--media-crypto", self.crypto,
            "--limits-joins-per-second-per-address", "1000", "--log-level", "warning", *self.arguments,
        )
        self.wait("http://127.0.0.1:18081/healthz")
        return self.processes[0].pid


class SluiceOpenSSL(Sluice):
    crypto = "openssl"


class Pion(Server):
    def start(self, arguments):
        if not shutil.which("go") or not Path(GO_LIBRARIES, "src/github.com/pion/webrtc").is_dir():
            raise SystemExit("Pion is not on this machine: see README.md")
        # Debian's libraries have no version in their paths; Go finds them so within GOPATH alone.
        build = Path(arguments.build).resolve()
        package = build / "src" / "forwarder"
        shutil.copytree(HERE / "pion", package, dirs_exist_ok=True)
        paths = {"GOPATH": f"{build}:{GO_LIBRARIES}", "GOCACHE": str(build / "cache")}
        environment = dict(os.environ, GO111MODULE="off", **paths)
        subprocess.run(["go", "build", "-o", str(build / "forwarder"), "."], cwd=package, env=environment, check=True)
        self.spawn(build / "forwarder", "127.0.0.1:18080")
        self.wait(f"{self.url}/")
        return self.processes[0].pid


class Janus(Server):
    """Janus with its VideoRoom plugin, behind an adapter on the other core that speaks WHIP and WHEP for it."""

    http = "http://127.0.0.1:31088/janus"
    # Janus leaves loopback interfaces out, and pairs of an address there with another fail.
    needs_namespace = True
    load_options = ("--bind", ADDRESS)
    # One thread for the media of all: by default each peer has its own.
    event_loops = "event_loops = 1"

    def start(self, arguments):
        libraries = next(Path("/usr/lib").glob("*/janus"), None)
        if not shutil.which("janus") or libraries is None:
            raise SystemExit("Janus is not on this machine: see README.md")
        folder = Path(self.log.name).parent / "janus"
        shutil.rmtree(folder, ignore_errors=True)
        # What is not in these folders is not loaded.
        for kind, library in {"plugins": "libjanus_videoroom.so", "transports": "libjanus_http.so"}.items():
            (folder / kind).mkdir(parents=True)
            (folder / kind / library).symlink_to(libraries / kind / library)
        (folder / "empty").mkdir()
        (folder / "janus.jcfg").write_text(
            f'general: {{ configs_folder = "{folder}"; plugins_folder = "{folder}/plugins"; '
            f'transports_folder = "{folder}/transports"; events_folder = "{folder}/empty"; '
            f'loggers_folder = "{folder}/empty"; debug_level = 2; {self.event_loops} }}\n'
            'media: { rtp_port_range = "20000-30000" }\n'
            f'nat: {{ ice_enforce_list = "{ADDRESS}"; ice_lite = true }}\n'
        )
        (folder / "janus.transport.http.jcfg").write_text(
            'general: { base_path = "/janus"; http = true; port = 31088; ip = "127.0.0.1"; https = false }\n'
            "admin: { admin_http = false; admin_https = false }\n"
        )
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
        janus = self.spawn("janus", "-F", folder)
        self.wait(f"{self.http}/info")
        adapter = (sys.executable, "-B", HERE / "janus_adapter.py")
        self.spawn(*adapter, "127.0.0.1:18080", self.http, core=CLIENT_CORE)
        self.wait(f"{self.url}/")
        return janus.pid


class JanusThreads(Janus):
    """As Janus is without configuration: a thread for each peer."""

    event_loops = ""


SERVERS = {
    "sluice": Sluice, "sluice-openssl": SluiceOpenSSL, "pion": Pion, "janus": Janus, "janus-threads": JanusThreads,
}


def enter_namespace():
    """Starts this program again in a network namespace with an interface that is not marked as loopback."""
    if "COMPARE_NAMESPACE" not in os.environ:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.environ["COMPARE_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", *user, "--net", sys.executable, *sys.argv])
    for command in (
        "link set lo up", "link add side0 type veth peer name side1", f"address add {ADDRESS}/32 dev side0",
        "link set side0 up", "link set side1 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)


def run(name, scenario, arguments, folder):
    """One run; returns the report of sluice-load."""
    server = SERVERS[name](folder)
    try:
        process = server.start(arguments)
        report = Path(folder) / "report.json"
        report.unlink(missing_ok=True)
        command = [
            "taskset", "-c", CLIENT_CORE, arguments.load, scenario_file(scenario, arguments.seconds, folder),
            "--url", server.url, "--process", process, "--whep", "/whep/ROOM", "--json", report, "--no-progress",
            *server.load_options, *arguments.load_option,
        ]
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if not report.exists():
            raise SystemExit(f"sluice-load failed: {result.stderr or result.stdout}")
        return json.loads(report.read_text())
    finally:
        server.stop()


def row(name, scenario, reports):
    def median(value):
        values = [value(report) for report in reports]
        return statistics.median(values) if None not in values else float("nan")

    publishers, subscribers, video, _ = SCENARIOS[scenario]
    streams = publishers * subscribers * (2 if video else 1)
    return (
        f"| {scenario} | {name} | {median(lambda r: (r['server'].get('cpuNanosecondsPerPacket') or 0) / 1e3):.2f} "
        f"| {median(lambda r: r['server']['cpuShareOfCore']) * 100:.1f} "
        f"| {median(lambda r: r['total']['packetsReceived'] / r['seconds']):.0f} "
        f"| {median(lambda r: r['total']['loss']) * 100:.2f} "
        f"| {median(lambda r: r['total']['latencyMilliseconds'].get('p50') or 0):.2f} / "
        f"{median(lambda r: r['total']['latencyMilliseconds'].get('p99') or 0):.2f} "
        f"| {median(lambda r: r['total']['packetsOutOfOrder']):.0f} "
        f"| {median(lambda r: r['streams'] - r['silentStreams']):.0f} of {streams} "
        f"| {median(lambda r: r['server']['residentBytes'] / 1e6):.0f} "
        f"| {median(lambda r: r['clientCPUShare']) * 100:.0f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", default="sluice,pion", help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--scenarios", default="fan50,fan100,fan200,10x10,audio100,audio300,thin100")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10, help="that are measured in each run")
    parser.add_argument("--sluice", default=ROOT / ".build/release/sluice")
    parser.add_argument("--load", default=ROOT / ".build/release/sluice-load")
    parser.add_argument("--build", default=ROOT / ".build" / "compare", help="where the others are built")
    parser.add_argument("--load-option", action="append", default=[], help="handed to sluice-load; =VALUE after it")
    arguments = parser.parse_args()
    if any(SERVERS[name].needs_namespace for name in arguments.servers.split(",")):
        enter_namespace()
    print("| scenario | server | CPU µs/packet | core % | packets/s | loss % | latency p50 / p99 ms | out of order "
          "| streams | MB | client % |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for scenario in arguments.scenarios.split(","):
            reports = {name: [] for name in arguments.servers.split(",")}
            for _ in range(arguments.rounds):
                for name, list_of in reports.items():
                    list_of.append(run(name, scenario, arguments, folder))
            for name, list_of in reports.items():
                print(row(name, scenario, list_of))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
