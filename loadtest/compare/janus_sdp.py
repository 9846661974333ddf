"""Answers made of the other side's offer, for janus_adapter.py: SDP as far as one bundle needs it."""


class SDP:
    """A description as lines: those of the session, and those of each m-line."""

    def __init__(self, text):
        parts = [[]]
        for line in text.replace("\r\n", "\n").strip().split("\n"):
            if line.startswith("m="):
                parts.append([])
            parts[-1].append(line)
        self.session, self.sections = parts[0], [Section(lines) for lines in parts[1:]]

    def first(self, name):
        """The first line of that attribute anywhere: with one bundle there is one transport."""
        for lines in [self.session, *(section.lines for section in self.sections)]:
            for line in lines:
                if line.startswith(f"a={name}:"):
                    return line
        raise ValueError(f"no a={name}")

    def candidates(self):
        every = [line for section in self.sections for line in section.all("candidate")]
        return list(dict.fromkeys(every))


class Section:
    def __init__(self, lines):
        self.lines = lines
        self.kind, _, self.transport, *self.formats = lines[0].removeprefix("m=").split()

    def all(self, name):
        return [line for line in self.lines if line.startswith(f"a={name}:") or line == f"a={name}"]

    @property
    def mid(self):
        return self.all("mid")[0].split(":", 1)[1]

    def rtpmap(self, payload_type):
        found = [line.lower() for line in self.all("rtpmap") if line.split()[0] == f"a=rtpmap:{payload_type}"]
        return found[0] if found else None


def common_section(offered, other, setup, direction, transport):
    """An answer's m-line to `offered`: what both have, and the transport and sources of `other`."""
    formats = [f for f in offered.formats if f in other.formats and offered.rtpmap(f) == other.rtpmap(f)]
    # The same id for the same URI, or not at all.
    extensions = [line for line in other.all("extmap") if line in offered.all("extmap")]
    feedback = [line for line in other.all("rtcp-fb") if line in offered.all("rtcp-fb")]
    lines = [f"m={offered.kind} 9 {offered.transport} {' '.join(formats)}", "c=IN IP4 127.0.0.1", *transport]
    lines += [f"a=setup:{setup}", f"a=mid:{offered.mid}", f"a={direction}", "a=rtcp-mux"]
    lines += extensions
    if offered.all("rtcp-rsize") and other.all("rtcp-rsize"):
        lines.append("a=rtcp-rsize")
    for name in ("rtpmap", "fmtp"):
        lines += [line for line in other.all(name) if line.split()[0].split(":")[1] in formats]
    lines += [line for line in feedback if line.split()[0].split(":")[1] in formats]
    for name in ("msid", "ssrc-group", "ssrc"):
        lines += other.all(name) if direction == "sendonly" else []
    return lines


def answer(offer, other, direction):
    """An answer to `offer` from the side that offered `other`, whose m-lines stand for the first of the same kind.

    `direction` is that of the side that answers: the one that sends is Janus, with its ICE-lite agent.
    """
    left = list(other.sections)
    transport = [other.first("ice-ufrag"), other.first("ice-pwd"), other.first("fingerprint")]
    candidates = [*other.candidates(), "a=end-of-candidates"]
    sections, mids = [], []
    for offered in offer.sections:
        match = next((section for section in left if section.kind == offered.kind), None)
        if match is None:
            refused = f"m={offered.kind} 0 {offered.transport} {' '.join(offered.formats)}"
            sections += [refused, "c=IN IP4 0.0.0.0", f"a=mid:{offered.mid}", "a=inactive"]
            continue
        left.remove(match)
        own = transport if mids else transport + candidates
        setup = "passive" if direction == "sendonly" else "active"
        sections += common_section(offered, match, setup, direction, own)
        mids.append(offered.mid)
    lite = ["a=ice-lite"] if direction == "sendonly" else []
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", *lite, f"a=group:BUNDLE {' '.join(mids)}"]
    return "\r\n".join(head + sections) + "\r\n"
