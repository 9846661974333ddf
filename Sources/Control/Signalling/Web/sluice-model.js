// What the SDK's users are handed: errors, participants, tracks and publications.

/** What the server, the browser or the network refused. `code` is one of the protocol's, or one of:
 *  `connectionLost`, `timeout`, `closed`, `notSupported`. */
export class SluiceError extends Error {
    constructor(code, message, options) {
        super(message, options);
        this.name = "SluiceError";
        this.code = code;
    }
}

export class Participant {
    constructor(info) {
        this.id = info.id;
        /** By track id. */
        this.tracks = new Map();
        /** The last `quality` message, or null. */
        this.quality = null;
        this.update(info);
    }

    update({ identity, name, metadata }) {
        this.identity = identity ?? "";
        this.name = name ?? "";
        this.metadata = metadata ?? null;
    }
}

/** A track of another participant, or one's own as the server sees it. */
export class Track {
    constructor(info, participant) {
        this.id = info.id;
        this.participant = participant;
        /** The m-line that carries it; null while it is not subscribed. */
        this.mid = null;
        this.mediaStreamTrack = null;
        this.mediaStream = null;
        /** The last `layer` message, or null. */
        this.layer = null;
        this.update(info);
    }

    update({ kind, source, name, muted, codec, simulcast, svc }) {
        this.kind = kind;
        this.source = source;
        this.name = name ?? "";
        this.muted = Boolean(muted);
        this.codec = codec ?? "";
        this.simulcast = simulcast ?? [];
        this.svc = svc ?? null;
    }
}

/** What this side publishes. `id` is null until the server has named it. */
export class Publication {
    constructor(track, options) {
        this.mediaStreamTrack = track;
        this.kind = track.kind;
        this.source = options.source;
        this.name = options.name ?? "";
        this.options = options;
        this.muted = !track.enabled;
        this.id = null;
        this.transceiver = null;
    }

    get mid() { return this.transceiver?.mid ?? null; }
}
