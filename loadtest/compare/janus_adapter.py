#!/usr/bin/env python3
"""Speaks WHIP and WHEP for the VideoRoom plugin of Janus.

    janus_adapter.py 127.0.0.1:18080 http://127.0.0.1:31088/janus

POST /whip/ROOM publishes, POST /whep/ROOM receives every track of the room, DELETE of the Location ends a session.

A publisher's offer goes to Janus as it is, and Janus's answer back. A subscriber has two offers: its own (WHEP) and
that of Janus, which always offers to subscribers. Each side gets an answer that is made of the other's offer, so both
take themselves for the offerer. Two roles must then be set by hand: the client is the active side of DTLS, and Janus
must run with `ice_lite`, which makes it the controlled side of ICE (RFC 8445 section 6.1.1) whoever offers.

Only signalling passes through here; media goes between client and Janus.
"""
import http.server
import itertools
import json
import sys
import threading
import time
import urllib.request

from janus_sdp import SDP, answer

TIMEOUT = 20


class Janus:
    """One session of Janus's HTTP transport, with a handle for each peer."""

    def __init__(self, url):
        self.url = url
        self.numbers = itertools.count(1)
        # By transaction: where its event goes.
        self.waiting = {}
        # By handle: set when its ICE and DTLS are up.
        self.connected = {}
        self.session = self.request("", {"janus": "create"})["data"]["id"]
        threading.Thread(target=self.poll, daemon=True).start()

    def request(self, path, body):
        body.setdefault("transaction", f"t{next(self.numbers)}")
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            result = json.load(response)
        if result["janus"] == "error":
            raise ValueError(result["error"]["reason"])
        return result

    def poll(self):
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/{self.session}?maxev=100", timeout=60) as response:
                    events = json.load(response)
            except OSError:
                # Janus has been stopped, or is about to be asked again.
                time.sleep(0.1)
                continue
            for event in events if isinstance(events, list) else [events]:
                self.take(event)

    def take(self, event):
        if event["janus"] == "webrtcup" and event["sender"] in self.connected:
            self.connected[event["sender"]].set()
        waiting = self.waiting.pop(event.get("transaction"), None)
        if waiting is not None:
            waiting["event"] = event
            waiting["ready"].set()

    def attach(self):
        body = {"janus": "attach", "plugin": "janus.plugin.videoroom"}
        handle = self.request(f"/{self.session}", body)["data"]["id"]
        self.connected[handle] = threading.Event()
        return handle

    def detach(self, handle):
        self.connected.pop(handle, None)
        self.request(f"/{self.session}/{handle}", {"janus": "detach"})

    def message(self, handle, body, jsep=None):
        """Sends a request to the plugin. Returns what the plugin says, and its description where there is one."""
        transaction = f"t{next(self.numbers)}"
        waiting = {"ready": threading.Event()}
        self.waiting[transaction] = waiting
        message = {"janus": "message", "body": body, "transaction": transaction}
        if jsep:
            message["jsep"] = jsep
        result = self.request(f"/{self.session}/{handle}", message)
        if result["janus"] == "ack":
            if not waiting["ready"].wait(TIMEOUT):
                raise TimeoutError(f"no event for {body['request']}")
            result = waiting["event"]
        else:
            del self.waiting[transaction]
        data = result["plugindata"]["data"]
        if "error" in data:
            raise ValueError(data["error"])
        return data, result.get("jsep", {}).get("sdp")


class Room:
    def __init__(self, number):
        self.number = number
        self.publishers = {}


class Publisher:
    def __init__(self, offer, connected):
        self.sections = SDP(offer).sections
        self.connected = connected
        # Its id in VideoRoom, once Janus has answered.
        self.feed = None


class Adapter:
    def __init__(self, janus):
        self.janus = janus
        self.lock = threading.Lock()
        self.rooms = {}

    def room(self, name):
        with self.lock:
            if name not in self.rooms:
                room = Room(len(self.rooms) + 1)
                handle = self.janus.attach()
                # No limit on bitrate; key frames when subscribers ask. The rest are the plugin's defaults.
                body = {"request": "create", "room": room.number, "publishers": 1000, "bitrate": 0, "fir_freq": 0}
                self.janus.message(handle, body)
                self.rooms[name] = room
            return self.rooms[name]

    def publish(self, name, offer):
        room = self.room(name)
        handle = self.janus.attach()
        publisher = Publisher(offer, self.janus.connected[handle])
        with self.lock:
            room.publishers[handle] = publisher
        # Janus would be the active side of DTLS if it had the choice, which the clients of WHIP here are.
        jsep = {"type": "offer", "sdp": offer.replace("a=setup:actpass", "a=setup:active")}
        body = {"request": "joinandconfigure", "ptype": "publisher", "room": room.number}
        data, sdp = self.janus.message(handle, body, jsep)
        publisher.feed = data["id"]
        return handle, sdp

    def streams(self, room):
        """The streams of all publishers by kind. VideoRoom knows them once they have connected: that may take 5 s."""
        with self.lock:
            publishers = list(room.publishers.values())
        deadline = time.monotonic() + 5
        streams = {}
        for publisher in publishers:
            if publisher.connected.wait(max(deadline - time.monotonic(), 0)):
                for section in publisher.sections:
                    stream = {"feed": publisher.feed, "mid": section.mid}
                    streams.setdefault(section.kind, []).append(stream)
        return streams

    def leave(self, handle):
        with self.lock:
            for room in self.rooms.values():
                room.publishers.pop(handle, None)
        self.janus.detach(handle)

    def subscribe(self, name, text):
        room = self.room(name)
        offer = SDP(text)
        streams = self.streams(room)
        # In the order of the client's m-lines.
        wanted = [streams[section.kind].pop(0) for section in offer.sections if streams.get(section.kind)]
        handle = self.janus.attach()
        body = {"request": "join", "ptype": "subscriber", "room": room.number, "streams": wanted}
        _, sdp = self.janus.message(handle, body)
        other = SDP(sdp)
        jsep = {"type": "answer", "sdp": answer(other, offer, "recvonly")}
        self.janus.message(handle, {"request": "start"}, jsep)
        return handle, answer(offer, other, "sendonly")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    adapter = None

    def reply(self, status, body="", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):  # pylint: disable=invalid-name
        self.reply(404)

    def do_POST(self):  # pylint: disable=invalid-name
        offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
        _, action, room, *_ = [*self.path.split("/"), "", ""]
        try:
            exchange = {"whip": self.adapter.publish, "whep": self.adapter.subscribe}[action]
            handle, text = exchange(room, offer)
        except (ValueError, KeyError, OSError) as error:
            self.reply(500, f"{type(error).__name__}: {error}")
            return
        self.reply(201, text, Content_Type="application/sdp", Location=f"/session/{handle}")

    def do_DELETE(self):  # pylint: disable=invalid-name
        try:
            self.adapter.leave(int(self.path.rsplit("/", 1)[1]))
        except (ValueError, OSError) as error:
            self.reply(404, str(error))
            return
        self.reply(200)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class HTTPServer(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: janus_adapter.py HOST:PORT URL-OF-JANUS")
    host, port = sys.argv[1].rsplit(":", 1)
    Handler.adapter = Adapter(Janus(sys.argv[2]))
    HTTPServer((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
