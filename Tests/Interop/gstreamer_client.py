"""GStreamer's webrtcbin as a client of WHIP and WHEP. Runs with the system's Python, which has GStreamer's bindings:

    /usr/bin/python3 gstreamer_client.py check [H265]
    /usr/bin/python3 gstreamer_client.py publish|play URL VP8|H264|H265

`check` names what is not installed (for the codecs behind it too), and ends with 1 if there is such. Else: prints a JSON line each half second: frames
and sounds that came, the picture's size, the state. Sends its offer when standard input says so with a line; ends its
session and itself at the end of standard input.
"""
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

ENCODERS = {
    "VP8": "vp8enc deadline=1 target-bitrate=800000 keyframe-max-dist=300 ! rtpvp8pay picture-id-mode=15-bit pt=96",
    "H264": "openh264enc bitrate=800000 gop-size=300 complexity=low ! video/x-h264,profile=constrained-baseline "
            "! rtph264pay config-interval=-1 aggregate-mode=zero-latency pt=96",
    "H265": "x265enc bitrate=800 key-int-max=300 speed-preset=ultrafast tune=zerolatency "
            "! video/x-h265,profile=main ! h265parse ! rtph265pay config-interval=-1 aggregate-mode=zero-latency pt=96",
}
DECODERS = {
    "VP8": "rtpvp8depay ! vp8dec", "H264": "rtph264depay ! h264parse ! openh264dec", "OPUS": "rtpopusdepay ! opusdec",
    "H265": "rtph265depay ! h265parse ! avdec_h265",
}
CAPS = {
    "VP8": "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,rtcp-fb-nack-pli=true",
    "H264": "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,packetization-mode=(string)1,"
            "profile-level-id=(string)42e01f,rtcp-fb-nack-pli=true",
    "H265": "application/x-rtp,media=video,encoding-name=H265,payload=96,clock-rate=90000,rtcp-fb-nack-pli=true",
    "OPUS": "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2",
}


class Session:
    def __init__(self, role, url, codec):
        self.url, self.codec = url, codec
        self.location = None
        self.has_gathered = False
        self.may_post = threading.Event()
        self.counts = {"video": 0, "audio": 0, "size": None, "errors": []}
        self.loop = GLib.MainLoop()
        if role == "publish":
            self.pipeline = Gst.parse_launch(self.sending())
            self.peer = self.pipeline.get_by_name("peer")
        else:
            self.pipeline = Gst.Pipeline.new("player")
            self.peer = Gst.ElementFactory.make("webrtcbin", "peer")
            self.peer.set_property("bundle-policy", "max-bundle")
            self.pipeline.add(self.peer)
        if role == "play":
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            for kind in ("OPUS", codec):
                self.peer.emit("add-transceiver", direction, Gst.Caps.from_string(CAPS[kind]))
            self.peer.connect("pad-added", self.pad_added)
        else:
            for index in range(2):
                transceiver = self.peer.emit("get-transceiver", index)
                transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        self.peer.connect("on-negotiation-needed", self.make_offer)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: self.counts["errors"].append(str(message.parse_error()[0])))

    def sending(self):
        return (
            "webrtcbin name=peer bundle-policy=max-bundle "
            "audiotestsrc is-live=true wave=ticks ! audioconvert ! opusenc ! rtpopuspay pt=97 "
            f"! {CAPS['OPUS']} ! peer. "
            "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1 ! videoconvert "
            f"! {ENCODERS[self.codec]} ! application/x-rtp,media=video,encoding-name={self.codec},payload=96 ! queue ! peer."
        )

    def make_offer(self, *_):
        if self.location is None:
            promise = Gst.Promise.new_with_change_func(self.offer_made)
            self.peer.emit("create-offer", None, promise)

    def offer_made(self, promise):
        promise.wait()
        # The bindings lose the SDP when they pass a description on, so it is made anew from its text; and they keep
        # nothing alive, so each step has its variable.
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        message = offer.sdp
        self.local = self.description("OFFER", message.as_text())
        self.peer.emit("set-local-description", self.local, Gst.Promise.new())

    @staticmethod
    def description(kind, text):
        _, message = GstSdp.SDPMessage.new_from_text(text)
        return GstWebRTC.WebRTCSessionDescription.new(getattr(GstWebRTC.WebRTCSDPType, kind), message)

    def gathered(self, *_):
        if self.peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            threading.Thread(target=self.post, daemon=True).start()

    def post(self):
        self.has_gathered = True
        self.may_post.wait()
        sdp = self.peer.get_property("local-description").sdp.as_text()
        request = urllib.request.Request(self.url, sdp.encode(), {"Content-Type": "application/sdp"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                self.location = urllib.parse.urljoin(self.url, response.headers["Location"])
                answer = response.read().decode()
        except urllib.error.HTTPError as error:
            self.counts["errors"].append(f"HTTP {error.code} {error.read().decode()[:500]} to {sdp}")
            return
        self.peer.emit("set-remote-description", self.description("ANSWER", answer), Gst.Promise.new())

    def pad_added(self, _, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        caps = pad.get_current_caps().get_structure(0)
        kind, name = caps.get_string("media"), caps.get_string("encoding-name")
        decoder = Gst.parse_bin_from_description(
            f"queue ! {DECODERS[name]} ! fakesink name=sink sync=false signal-handoffs=true", True)
        decoder.get_by_name("sink").connect("handoff", self.decoded, kind)
        self.pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def decoded(self, _, buffer, pad, kind):
        self.counts[kind] += 1
        if kind == "video":
            caps = pad.get_current_caps().get_structure(0)
            self.counts["size"] = f"{caps.get_int('width')[1]}x{caps.get_int('height')[1]}"

    def tell(self):
        state = self.peer.get_property("connection-state").value_nick
        ice = self.peer.get_property("ice-connection-state").value_nick
        steps = {"gathered": self.has_gathered, "posted": self.location is not None}
        print(json.dumps({**self.counts, "state": state, "ice": ice, **steps}), flush=True)
        return True

    def end(self):
        for _ in sys.stdin:
            self.may_post.set()
        if self.location:
            request = urllib.request.Request(self.location, method="DELETE")
            with urllib.request.urlopen(request, timeout=5) as response:
                print(json.dumps({"deleted": response.status}), flush=True)
        GLib.idle_add(self.loop.quit)

    def run(self):
        GLib.timeout_add(500, self.tell)
        threading.Thread(target=self.end, daemon=True).start()
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)


#: By codec; the others are of every codec.
FOR_CODEC = {"H265": ["x265enc", "rtph265pay", "rtph265depay", "h265parse", "avdec_h265"]}
ELEMENTS = ["webrtcbin", "nicesrc", "dtlssrtpenc", "srtpenc", "vp8enc", "vp8dec", "rtpvp8pay", "openh264enc", "openh264dec",
            "h264parse", "opusenc", "opusdec", "rtpopuspay", "videotestsrc", "audiotestsrc"]

if __name__ == "__main__":
    Gst.init(None)
    if sys.argv[1] == "check":
        wanted = ELEMENTS + [name for codec in sys.argv[2:] for name in FOR_CODEC.get(codec, [])]
        missing = [name for name in wanted if Gst.ElementFactory.find(name) is None]
        print(" ".join(missing))
        sys.exit(1 if missing else 0)
    Session(*sys.argv[1:4]).run()
