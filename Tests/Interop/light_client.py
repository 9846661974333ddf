"""A participant with real ICE, DTLS and SRTP (aiortc's) that costs little: it sends one prepared Opus stream, counts what
arrives by m-line, and decodes nothing."""
import asyncio
import itertools
import os
import random
import re
import socket
import struct
import time

from aiortc import RTCCertificate
from aiortc.codecs.opus import OpusEncoder
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, State
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceParameters, RTCIceTransport
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket
from aiortc.sdp import candidate_from_sdp

from signalling import Client

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
OPUS, VP8 = 111, 96
TICK = 0.02
#: Ticks between two receiver reports.
REPORT_TICKS = 50


def tone():
    """Opus payloads of 20 ms each, one second long."""
    import numpy
    from av import AudioFrame
    import fractions
    encoder = OpusEncoder()
    payloads = []
    for index in itertools.count():
        angles = (index * 960 + numpy.arange(960)) * (2 * numpy.pi * 440 / 48_000)
        samples = numpy.repeat((numpy.sin(angles) * 8_000).astype(numpy.int16), 2).reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * 960, fractions.Fraction(1, 48_000)
        payloads += encoder.encode(frame)[0]
        if len(payloads) >= 50:
            return payloads[:50]


class Line:
    """What came on one recvonly m-line."""

    def __init__(self, kind):
        self.kind = kind
        self.track = None
        self.bound_at = 0.0
        self.packets = 0
        self.last_at = 0.0


class LightClient:
    """`await open(room)`, then `tick()` each 20 ms, then one of `leave`, `say_goodbye`, `vanish`."""

    certificate = None
    payloads = None

    def __init__(self, url, name, audio_lines=14, video_lines=3):
        LightClient.certificate = LightClient.certificate or RTCCertificate.generateCertificate()
        LightClient.payloads = LightClient.payloads or tone()
        self.url = url
        self.name = name
        # By mid; 0 is the line that is sent on.
        kinds = ["audio"] * audio_lines + ["video"] * video_lines
        self.lines = {str(index + 1): Line(kind) for index, kind in enumerate(kinds)}
        self.by_ssrc = {}
        self.tracks = {}
        self.names = {}
        self.ssrc = random.getrandbits(32) | 1
        self.sequence = random.getrandbits(15)
        self.ticks = 0
        self.received = self.strays = self.holes = 0
        self.stray_reasons = {}
        #: By SSRC: the last sequence number with its wraps, and the middle of the last sender report's NTP time and when
        #: it came.
        self.last_sequence = {}
        self.sender_reports = {}
        self.connected_at = None
        self.identifier = None
        self.ice = self.dtls = self.signalling = self.descriptor = None

    # MARK: Coming

    async def open(self, room):
        self.room = room
        self.gatherer = RTCIceGatherer(iceServers=[])
        await self.gatherer.gather()
        self.signalling = await Client(self.url, self.heard).open()
        await self.signalling.join(room, self.name)
        await self.signalling.tell("publish", [{"mid": "0", "source": "microphone"}])
        answer = await self.offer()
        self.ice = RTCIceTransport(self.gatherer)
        self.ice._connection.ice_controlling = True
        self.dtls = RTCDtlsTransport(self.ice, [self.certificate])
        self.dtls._set_role("client")
        parts = {key: re.search(rf"a={key}:(\S+)\s?(\S*)", answer) for key in ("ice-ufrag", "ice-pwd", "fingerprint")}
        for candidate in re.findall(r"a=candidate:(.*?)\r?\n", answer):
            await self.ice.addRemoteCandidate(candidate_from_sdp(candidate))
        await self.ice.addRemoteCandidate(None)
        await self.ice.start(RTCIceParameters(parts["ice-ufrag"][1], parts["ice-pwd"][1], iceLite=True))
        assert self.ice.state == "completed", f"ICE is {self.ice.state}"
        algorithm, value = parts["fingerprint"].groups()
        await self.dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(algorithm=algorithm, value=value)]))
        assert self.dtls._state == State.CONNECTED, f"DTLS is {self.dtls.state}"
        pair = next(iter(self.ice._connection._nominated.values()))
        self.socket, self.address = pair.protocol.transport, pair.remote_addr
        # A test that gets no processor for half a second must not lose packets by itself.
        wrapped = self.socket.get_extra_info("socket")
        wrapped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.descriptor = socket.socket(fileno=os.dup(wrapped.fileno()))
        self.unprotect, self.protect = self.dtls._rx_srtp.unprotect, self.dtls._tx_srtp.protect
        self.slow_path = pair.protocol.datagram_received
        pair.protocol.datagram_received = self.arrived
        self.connected_at = time.monotonic()

    def description(self):
        ice = self.gatherer.getLocalParameters()
        fingerprint = self.certificate.getFingerprints()[0]
        mids = ["0", *self.lines]
        text = ["v=0", f"o=- {self.ssrc} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}",
                f"a=ice-ufrag:{ice.usernameFragment}", f"a=ice-pwd:{ice.password}", "a=setup:active",
                f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}"]
        for mid in mids:
            kind = "audio" if mid == "0" else self.lines[mid].kind
            payload = OPUS if kind == "audio" else VP8
            text += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}",
                     f"a={'sendonly' if mid == '0' else 'recvonly'}", "a=rtcp-mux", f"a=extmap:1 {MID}"]
            if kind == "audio":
                text += [f"a=rtpmap:{payload} opus/48000/2", f"a=fmtp:{payload} minptime=10;useinbandfec=1"]
            else:
                text += [f"a=rtpmap:{payload} VP8/90000", f"a=rtcp-fb:{payload} nack", f"a=rtcp-fb:{payload} nack pli"]
            if mid == "0":
                text += [f"a=ssrc:{self.ssrc} cname:{self.name}", f"a=msid:{self.name} sound"]
        return "\r\n".join(text) + "\r\n"

    async def offer(self):
        return (await self.signalling.ask("offer", {"sdp": self.description()}, timeout=15))["sdp"]

    def take_answer(self, reply):
        self.by_ssrc = {}
        for section in reply["sdp"].split("\r\nm=")[1:]:
            mid = re.search(r"a=mid:(\S+)", section)[1]
            for ssrc in re.findall(r"a=ssrc:(\d+) ", section):
                if mid in self.lines:
                    self.by_ssrc[int(ssrc)] = self.lines[mid]
        bound = {entry["mid"]: entry["trackId"] for entry in reply["bindings"]}
        for mid in self.lines:
            self.bind(mid, bound.get(mid))

    async def resume(self):
        """Loses the WebSocket, and comes back to the same session."""
        token = self.signalling.joined["resumeToken"]
        identifier = self.signalling.joined["participantId"]
        await self.signalling.drop()
        self.signalling = await Client(self.url, self.heard).open()
        joined = await self.signalling.join(self.room, self.name, resume=token)
        assert joined["participantId"] == identifier, f"{self.name} was not resumed"
        await self.offer()

    # MARK: What the server says

    def take_joined(self, joined):
        self.identifier = joined["participantId"]
        self.tracks.clear()
        for participant in joined["participants"]:
            self.take_participant(participant)

    def take_participant(self, participant):
        self.names[participant["id"]] = participant["name"]
        for track in participant["tracks"]:
            self.take_track(participant["id"], track)

    def take_track(self, owner, track):
        if owner != self.identifier:
            self.tracks.setdefault(track["id"], {"kind": track["kind"], "owner": self.names.get(owner, owner),
                                                 "since": time.monotonic()})

    def heard(self, frame):
        """In the order of arrival: an answer names what is bound by then, and `subscribed` what comes after."""
        payload = frame["payload"]
        match frame["type"]:
            case "joined":
                self.take_joined(payload)
            case "answer":
                self.take_answer(payload)
            case "participantJoined" | "participantChanged":
                self.take_participant(payload["participant"])
            case "trackPublished":
                self.take_track(payload["participantId"], payload["track"])
            case "trackUnpublished":
                self.forget(payload["trackId"])
            case "participantLeft":
                name = self.names.pop(payload["participantId"], None)
                for track in [key for key, entry in self.tracks.items() if entry["owner"] == name]:
                    self.forget(track)
            case "subscribed":
                if payload.get("mid") is not None:
                    self.bind(payload["mid"], payload["trackId"])
            case "unsubscribed":
                self.unbind(payload["trackId"])

    def forget(self, track):
        self.tracks.pop(track, None)
        self.unbind(track)

    def unbind(self, track):
        for line in self.lines.values():
            if line.track == track:
                line.track = None

    def bind(self, mid, track):
        line = self.lines.get(mid)
        if line and line.track != track:
            line.track, line.bound_at = track, time.monotonic()

    # MARK: Media

    def tick(self):
        """Sends 20 ms of sound."""
        if self.connected_at is None:
            return
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.ticks += 1
        # A header extension of one byte each: id 1, the mid "0".
        header = struct.pack("!BBHIIHHBsxx", 0x90, OPUS | (0x80 if self.ticks == 1 else 0), self.sequence,
                             self.ticks * 960 & 0xFFFFFFFF, self.ssrc, 0xBEDE, 1, 0x10, b"0")
        self.socket.sendto(self.protect(header + self.payloads[self.ticks % 50]), self.address)
        if self.ticks % REPORT_TICKS == 0:
            self.report()

    def report(self):
        """Nothing was lost, says the receiver report; `holes` is for the test to judge."""
        now = time.monotonic()
        blocks = []
        for ssrc, highest in list(self.last_sequence.items())[-31:]:
            middle, at = self.sender_reports.get(ssrc, (0, now))
            blocks.append(RtcpReceiverInfo(ssrc=ssrc, fraction_lost=0, packets_lost=0, highest_sequence=highest,
                                           jitter=0, lsr=middle, dlsr=int((now - at) * 65_536) & 0xFFFFFFFF))
        packet = bytes(RtcpRrPacket(ssrc=self.ssrc, reports=blocks))
        self.socket.sendto(self.dtls._tx_srtp.protect_rtcp(packet), self.address)

    def arrived(self, data, address):
        self.take_datagram(data, address)
        # asyncio takes one datagram each time it looks, which is less than comes when the machine is busy.
        for _ in range(64):
            try:
                data, address = self.descriptor.recvfrom(2_048)
            except OSError:
                return
            self.take_datagram(data, address)

    def take_datagram(self, data, address):
        if not 127 < data[0] < 192:
            self.slow_path(data, address)
            return
        is_control = 64 <= data[1] & 0x7F <= 95
        try:
            packet = self.dtls._rx_srtp.unprotect_rtcp(data) if is_control else self.unprotect(data)
        except Exception as error:  # noqa: BLE001: a packet of a torn-down session, or the server's mistake
            self.stray(f"{error} in {'RTCP' if is_control else 'RTP'}")
            return
        if is_control:
            if packet[1] == 200:
                self.sender_reports[int.from_bytes(packet[4:8], "big")] = (
                    int.from_bytes(packet[10:14], "big"), time.monotonic()
                )
            return
        self.received += 1
        sequence, ssrc = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[8:12], "big")
        line = self.by_ssrc.get(ssrc)
        if line is None:
            line = self.by_ssrc[ssrc] = self.line_of(packet)
            if line is None:
                self.stray("on no m-line")
                return
        last = self.last_sequence.get(ssrc, sequence - 1)
        highest = last + ((sequence - last + 0x8000) & 0xFFFF) - 0x8000
        if highest != last + 1:
            self.holes += 1
        self.last_sequence[ssrc] = max(highest, last, 0)
        line.packets += 1
        line.last_at = time.monotonic()

    def stray(self, why):
        self.strays += 1
        self.stray_reasons[why] = self.stray_reasons.get(why, 0) + 1

    def line_of(self, packet):
        """By the MID header extension of one byte, if there is one."""
        if not packet[0] & 0x10:
            return None
        at = 12 + 4 * (packet[0] & 15)
        end = at + 4 + 4 * int.from_bytes(packet[at + 2:at + 4], "big")
        at += 4
        while at < end:
            kind, length = packet[at] >> 4, (packet[at] & 15) + 1
            if packet[at] == 0:
                at += 1
                continue
            if kind == 1:
                return self.lines.get(packet[at + 1:at + 1 + length].decode(errors="replace"))
            at += 1 + length
        return None

    # MARK: Going

    async def leave(self):
        await self.signalling.tell("leave", {})
        await self.say_goodbye()

    async def say_goodbye(self):
        """By DTLS only."""
        self.connected_at = None
        if self.dtls:
            await self.dtls.stop()
        await self.vanish()

    async def vanish(self):
        self.connected_at = None
        if self.signalling:
            await self.signalling.drop()
        if self.dtls and self.dtls._task:
            self.dtls._task.cancel()
        if self.descriptor:
            self.descriptor.close()
        if self.ice:
            await self.ice.stop()
        else:
            await self.gatherer._connection.close()
