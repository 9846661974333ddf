#!/usr/bin/env python3
"""Writes the seeds in Corpus/: packets built here field by field from the RFCs, and offers captured in our own lab.

Run it after a change; what it writes is committed, so that a run of the fuzzers does not need it.
"""
import pathlib
import struct

here = pathlib.Path(__file__).parent
offers = here.parent / "Tests/Fixtures/sdp"


def seed(target, name, data):
    folder = here / "Corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


# STUN: the sample messages of RFC 5769 §2.1 to §2.3, each behind a byte of switches.
stun = {
    "request": "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
    "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
    "c1b571a280280004e57a3bcf",
    "response-ipv4": "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
    "response-ipv6": "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa"
    "a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
}
for name, text in stun.items():
    seed("FuzzSTUN", name, b"\0" + bytes.fromhex(text))


def attribute(kind, value=b""):
    """An attribute as the `sign` mode of the targets takes it: an 8-bit length, no padding."""
    return struct.pack("!HB", kind, len(value)) + value


check = attribute(0x24, struct.pack("!I", 0x6E0001FF)) + attribute(0x802A, bytes(8))
seed("FuzzSTUN", "signed-check", b"\3" + check)
seed("FuzzSTUN", "signed-role-conflict", b"\1" + attribute(0x8029, bytes(range(8))) + attribute(0x7FFF))


# RTP.
def rtp(payload_type, payload=b"", *, ssrc=1, sequence=1, marker=False, elements=(), padding=0, wide=False):
    header = struct.pack(
        "!BBHII", 0x80 | (0x10 if elements else 0) | (0x20 if padding else 0),
        payload_type | (0x80 if marker else 0), sequence, 3000 + sequence, ssrc)
    if elements:
        block = b"".join(
            (struct.pack("!BB", i, len(v)) if wide else bytes([i << 4 | len(v) - 1])) + v for i, v in elements)
        block += bytes(-len(block) % 4)
        header += struct.pack("!HH", 0x1000 if wide else 0xBEDE, len(block) // 4) + block
    return header + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


# Ids as RouterHarness and FuzzRTP (first byte 0) number them: mid 1, rid 2, rrid 3, level 4, twcc 5, time 6, cvo 7, dd 8.
vp8_key = bytes.fromhex("90e0812305a30000009d012a8002e00100")
vp9_key = bytes.fromhex("8a8123000803500280016804a04982")
h264_stap = bytes.fromhex("780010674200") + bytes.fromhex("1f8c8d40a02ff970110000") + bytes.fromhex("000468ce3c80")
h264_fua = bytes.fromhex("7c858884")
av1_key = bytes.fromhex("180a0b00000004473e7f7cb39f04080a")
packets = {
    "opus": rtp(111, b"\xfc\xff\xfe", elements=[(1, b"0"), (4, b"\x8a"), (5, b"\0\1"), (6, b"\1\2\3")]),
    "vp8-key": rtp(96, vp8_key, marker=True, elements=[(1, b"1"), (2, b"f"), (5, b"\0\2")]),
    "vp8-delta": rtp(96, bytes.fromhex("80e0812405a00101"), sequence=2, elements=[(1, b"1"), (2, b"f")]),
    "vp9-key": rtp(98, vp9_key, marker=True, elements=[(1, b"2"), (8, bytes(20))], wide=True),
    "h264-stap": rtp(102, h264_stap, elements=[(1, b"2"), (7, b"\1")]),
    "h264-fua": rtp(102, h264_fua, elements=[(1, b"2")]),
    "av1-key": rtp(45, av1_key, marker=True, elements=[(1, b"2"), (8, bytes(12))]),
    "rtx": rtp(97, b"\0\1" + vp8_key, ssrc=2, elements=[(1, b"1"), (3, b"f")]),
    "padding": rtp(96, padding=200, elements=[(1, b"1"), (5, b"\0\3")]),
}
for name, packet in packets.items():
    seed("FuzzRTP", name, b"\0" + packet)


# RTCP.
def rtcp(count, kind, body):
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def words(*values):
    return struct.pack(f"!{len(values)}I", *values)


block = words(4000, 0x0100_0003, 70000, 5, 0x11112222, 65536)
reports = {
    "sender-report": rtcp(1, 200, words(1000, 0xEB000000, 0x80000000, 3000, 10, 1000) + block)
    + rtcp(1, 202, words(1000) + b"\1\4name\x0f\1" + b"0\0\0\0"),
    "receiver-report": rtcp(2, 201, words(1, *struct.unpack("!6I", block)) + block),
    "goodbye": rtcp(0, 201, words(1)) + rtcp(2, 203, words(1, 2)),
    "nack": rtcp(1, 205, words(1, 5000) + struct.pack("!HHHH", 100, 0x8001, 65530, 0xFFFF)),
    "pli": rtcp(1, 206, words(1, 5000)),
    "fir": rtcp(4, 206, words(1, 0, 5000, 7 << 24)),
    "remb": rtcp(15, 206, words(1, 0) + b"REMB" + words(2 << 24 | 3 << 18 | 0x3FFFF, 5000, 6000)),
    # Base 10, 9 packets: two of one byte, a run of three lost, a two-bit vector with a large delta.
    "transport-feedback": rtcp(
        15, 205, words(1, 5000) + struct.pack("!HHI", 10, 9, 5 << 8 | 1)
        + struct.pack("!HHH", 0x2002, 0x0003, 0xC000 | 1 << 12 | 2 << 10 | 1 << 8 | 1 << 6)
        + bytes([4, 8, 4]) + struct.pack("!h", -40) + bytes([4, 4, 0])),
    "extended-report": rtcp(0, 207, words(1, 0x04000002, 0, 0)),
}
for name, packet in reports.items():
    seed("FuzzRTCP", name, packet)

# SDP: a byte of switches, offers parted by NULs.
captured = ["chromium-offer-audio-video-simulcast3-allcodecs", "firefox-offer-recvonly", "gst-VP8-offer", "aiortc-H264-offer"]
texts = {name: (offers / f"{name}.sdp").read_bytes() for name in captured}
for name, text in texts.items():
    seed("FuzzSDP", name, b"\0" + text)
again = texts["gst-VP8-offer"]
seed("FuzzSDP", "renegotiation", b"\0" + again + b"\0" + again.replace(b"a=sendrecv", b"a=inactive"))
seed(
    "FuzzSDP", "fragment",
    b"\0a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    b"a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n")
seed(
    "FuzzSDP", "candidate",
    b"\0candidate:1 1 tcp 1518280447 2001:db8::1 9 typ srflx raddr 10.0.0.1 rport 9 tcptype active ufrag abcd")

# Signalling.
frames = {
    "join": '{"type":"join","id":1,"payload":{"roomId":"r","token":"a.b.c","name":"\\u00e9","metadata":{"a":[1,2.5e3]}}}',
    "offer": '{"type":"offer","id":2,"payload":{"sdp":"v=0\\r\\n"}}',
    "publish": '{"type":"publish","payload":[{"mid":"0","source":"camera","name":"c"}]}',
    "prefer": '{"type":"prefer","payload":{"trackId":"TR_1","maxWidth":640,"maxFps":15.5,"priority":1,"paused":true}}',
    "relay": '{"type":"ice","payload":{"to":"PA_1","candidate":"candidate:1 1 udp 1 192.0.2.1 5 typ host"}}',
    "claims": '{"iss":"k","sub":"u","room":"*","exp":1900000000,"grants":{"publish":true,"publishSources":["screen"]}}',
    "escapes": '["\\ud83d\\ude00\\b\\f\\n\\r\\t\\"\\\\\\/",-0,1e-7,9223372036854775808,true,false,null]',
    "percent": "a%20b%C3%A9",
}
for name, text in frames.items():
    seed("FuzzSignalling", name, text.encode())


# Datagrams: steps of an action, a 16-bit length and a body, behind a byte of switches.
def step(action, body=b""):
    return struct.pack("!BH", action, len(body)) + body


request = bytes.fromhex(stun["request"])
seed("FuzzDemultiplexer", "strangers", b"\1" + step(1, request) + step(0, b"\x16\xfe\xfd" + bytes(20)) + step(1, b"\x80"))
seed(
    "FuzzDemultiplexer", "audio",
    b"\0" + b"".join(step(2, rtp(111, b"\xfc\xff\xfe", ssrc=1000, sequence=n)) for n in (1, 2, 4, 3)) + step(5, b"\3\xe8"))
layers = [(b"q", 21), (b"h", 22), (b"f", 23)]
seed(
    "FuzzDemultiplexer", "simulcast",
    b"\0" + b"".join(
        step(2, rtp(96, vp8_key, ssrc=s, marker=True, elements=[(1, b"1"), (2, r), (5, bytes([0, s]))])) for r, s in layers)
    + step(5, b"\0\xc8") + step(7 | 8) + step(7)
    + step(2, rtp(97, b"\0\2" + vp8_key, ssrc=31, elements=[(1, b"1"), (3, b"q")])))
seed(
    "FuzzDemultiplexer", "feedback",
    b"\0" + step(2, rtp(96, vp8_key, ssrc=3000, marker=True)) + step(2, rtp(96, vp8_key, ssrc=3000, sequence=5))
    + step(5, b"\0\x64") + b"".join(step(4, packet) for packet in reports.values())
    + step(4, rtcp(1, 205, words(1, 6000) + struct.pack("!HH", 0, 0xFFFF))) + step(5, b"\7\xd0"))
seed(
    "FuzzDemultiplexer", "retransmission",
    b"\0" + b"".join(
        step(2, rtp(96, vp8_key if n == 1 else bytes.fromhex("80e0812405a00101"), ssrc=3000, sequence=n, marker=True))
        for n in range(1, 5)) + step(4 | 8, b"\0\0\0") + step(4 | 8, b"\3\0\3") + step(5, b"\0\x14") + step(4 | 8, b"\2\0\1")
    + step(2, rtp(96, ssrc=3000, sequence=5, padding=100)) + step(2, rtp(97, b"\0\6" + vp8_key, ssrc=3001, sequence=9))
    + step(7 | 1 << 4 | 1 << 6 | 8) + step(7 | 1 << 4 | 1 << 6) + step(7 | 1 << 4 | 2 << 6) + step(7 | 1 << 4 | 3 << 6))
seed(
    "FuzzDemultiplexer", "checks",
    b"\0" + b"".join(step(6 | 8 | n << 4, check) for n in range(4)) + step(5, b"\x1f\xff") * 6)
