/**
 * Sluice's browser SDK: one ES module without dependencies.
 *
 *     import { Room } from "/sluice.js";
 *     const room = new Room({ roomId: "standup", name: "Ada" });
 *     room.addEventListener("tracksubscribed", ({ detail }) => { video.srcObject = detail.mediaStream; });
 *     await room.publish(cameraTrack, { source: "camera" });   // before or after join
 *     await room.join();
 *
 * One WebSocket and one RTCPeerConnection. This side makes every offer: sendonly m-lines for what it publishes, and a
 * recvonly m-line for each track that it wants; the server names which track comes on which m-line.
 *
 * Events (`CustomEvent`, the members are in `detail`):
 *   joined {participantId}                       also after a reconnection that had to join anew
 *   participantjoined {participant}              participantleft {participant, reason}
 *   participantchanged {participant}
 *   trackpublished {track, participant}          trackunpublished {track, participant}
 *   tracksubscribed {track, participant, mediaStream}
 *   trackunsubscribed {track, participant}
 *   layer {track, participant, spatial, temporal, width, height, targetBitrate, reason}
 *   activespeakers {participants, levels}        quality {participant, score, ...}
 *   connected {}                                 media flows: ICE and DTLS are up
 *   reconnecting {reason}                        reconnected {resumed}
 *   draining {deadline}                          message {type, from, payload}  of another participant, see `send`
 *   error {error}                                closed {reason, error?}        nothing follows
 */

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

const dependencyDescriptor = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
const subprotocol = "sluice.v1";
const requestTimeout = 10_000;
/** The server pings, which a page can't see; without a word for so long it is asked for a sign of life. */
const silenceLimit = 15_000;
/** The server keeps the media of a lost connection for 15 s; a server that restarts takes longer than that. */
const reconnectLimit = 60_000;
const disconnectedPatience = 1_500;
const restartsBeforeRebuild = 3;

export class Room extends EventTarget {
    /**
     * @param {{url?: string, roomId: string, token?: string, name?: string, identity?: string, metadata?: any,
     *          autoSubscribe?: boolean, iceTransportPolicy?: RTCIceTransportPolicy}} options
     *     `url`: of the signalling (`wss://host/v1/signal`); by default that of the server the module came from.
     */
    constructor({ url, roomId, token, name, identity, metadata, autoSubscribe = true, iceTransportPolicy = "all" }) {
        super();
        if (typeof RTCPeerConnection === "undefined") {
            throw new SluiceError("notSupported", "this browser has no WebRTC, or it is switched off");
        }
        const target = new URL(url ?? "/v1/signal", import.meta.url);
        target.protocol = target.protocol.replace("http", "ws");
        this.url = target.href;
        this.roomId = roomId;
        this.autoSubscribe = autoSubscribe;
        /** Of the others, by id, in order of joining. */
        this.participants = new Map();
        /** Of the others, by id, in order of publication. */
        this.tracks = new Map();
        this.localParticipant = null;
        /** By `MediaStreamTrack`'s place in life: what `publish` returned and `unpublish` did not take back. */
        this.publications = new Set();
        this.serverVersion = null;
        /** new, connecting, connected, reconnecting, closed */
        this.state = "new";
        this.#options = { token, name, identity, metadata, iceTransportPolicy };
        this.#metadata = metadata;
    }

    #options;
    #metadata;
    #socket = null;
    #joined = null;
    #resumeToken = null;
    #iceServers = [];
    #nextId = 1;
    /** Requests that wait for their reply, by id. */
    #pending = new Map();
    #lastHeard = 0;
    #watchdog = null;
    #reconnection = null;

    #pc = null;
    /** The server's word on what comes on which m-line: mid to track id. */
    #bindings = new Map();
    #receivers = [];
    #streams = new Map();
    #wanted = new Set();
    #unwanted = new Set();
    #preferences = new Map();

    #negotiation = null;
    #isNegotiationNeeded = false;
    /** SDP that was sent and not answered: said again word for word after a resumption. */
    #unanswered = null;
    #waitingForAnswer = [];
    #restarts = 0;
    #restartTimer = null;
    #networkListener = () => this.#networkChanged();

    get peerConnection() { return this.#pc; }

    // MARK: Joining and leaving

    /** Resolves when the server has let us in; media follows with `connected`. */
    join() {
        this.#joined ??= this.#firstJoin();
        return this.#joined;
    }

    async #firstJoin() {
        this.state = "connecting";
        try {
            await this.#connect();
        } catch (error) {
            if (this.state !== "closed") this.#close("error", error);
            throw error;
        }
        addEventListener("online", this.#networkListener);
        navigator.connection?.addEventListener?.("change", this.#networkListener);
        return this;
    }

    /** Resolves when the goodbye is said. The room can't be used afterwards. */
    async leave() {
        if (this.state === "closed") return;
        this.#tell("leave", {});
        this.#close("left");
    }

    #close(reason, error) {
        if (this.state === "closed") return;
        this.state = "closed";
        removeEventListener("online", this.#networkListener);
        navigator.connection?.removeEventListener?.("change", this.#networkListener);
        clearTimeout(this.#restartTimer);
        clearInterval(this.#watchdog);
        this.#failPending(new SluiceError("closed", "the room was left"));
        this.#settleAnswers(new SluiceError("closed", "the room was left"));
        const socket = this.#socket;
        this.#socket = null;
        if (socket) {
            socket.onmessage = socket.onclose = socket.onerror = null;
            // The frames that were sent go first.
            socket.close(1000);
        }
        this.#pc?.close();
        this.#emit("closed", { reason, error });
    }

    /** Opens the WebSocket and joins, or resumes if there is something to resume. */
    async #connect() {
        const socket = new WebSocket(this.url, subprotocol);
        this.#socket = socket;
        let isOpen = false;
        try {
            await new Promise((resolve, reject) => {
                const lost = () => reject(new SluiceError("connectionLost", `no connection to ${this.url}`));
                const timer = setTimeout(() => { lost(); socket.close(); }, requestTimeout);
                socket.onopen = () => { clearTimeout(timer); isOpen = true; resolve(); };
                socket.onclose = socket.onerror = () => { clearTimeout(timer); lost(); };
            });
            socket.onerror = null;
            socket.onclose = (event) => this.#socketClosed(socket, event);
            socket.onmessage = (event) => this.#receive(event.data);
            this.#heard();
            const { token, name, identity } = this.#options;
            const joined = await this.#request("join", {
                roomId: this.roomId, token, name, identity, metadata: this.#metadata,
                autoSubscribe: this.autoSubscribe, resume: this.#resumeToken ?? undefined,
            });
            return this.#welcome(joined);
        } catch (error) {
            if (this.#socket === socket) this.#socket = null;
            socket.onmessage = socket.onclose = socket.onerror = null;
            if (isOpen) socket.close(1000);
            throw error;
        }
    }

    /** Returns whether what was there before goes on. */
    #welcome(joined) {
        const isResumed = this.localParticipant?.id === joined.participantId;
        this.#resumeToken = joined.resumeToken;
        this.#iceServers = joined.iceServers ?? [];
        this.serverVersion = joined.serverVersion ?? null;
        this.state = "connected";
        if (!isResumed) {
            this.localParticipant = new Participant({
                id: joined.participantId, identity: joined.identity ?? this.#options.identity,
                name: this.#options.name, metadata: this.#metadata,
            });
        }
        this.#watchdog ??= setInterval(() => this.#checkSilence(), 5_000);
        this.#replaceParticipants(joined.participants ?? []);
        if (isResumed) {
            // What was said in between is lost: the answer to an offer names all bindings again.
            if (!this.#isMediaUp) this.#restartICE();
        } else {
            this.#buildPeerConnection();
            this.#emit("joined", { participantId: joined.participantId });
        }
        this.#negotiate();
        return isResumed;
    }

    // MARK: Losing and finding the connection

    #socketClosed(socket, event) {
        if (socket !== this.#socket) return;
        this.#socket = null;
        this.#failPending(new SluiceError("connectionLost", "the connection to the server was lost"));
        if (this.state === "closed") return;
        // 1000: the room is over. 1008: taken out, or replaced by another connection; coming back would fight it.
        if (event.code === 1000 || event.code === 1008) {
            this.#close(event.reason || (event.code === 1000 ? "roomClosed" : "removed"));
            return;
        }
        if (this.state === "connected") this.#reconnect("the connection to the server was lost");
    }

    #reconnect(reason) {
        if (this.#reconnection || this.state === "closed") return;
        this.state = "reconnecting";
        this.#emit("reconnecting", { reason });
        this.#reconnection = this.#tryToReconnect().finally(() => { this.#reconnection = null; });
    }

    async #tryToReconnect() {
        const giveUpAt = performance.now() + reconnectLimit;
        for (let attempt = 0; ; attempt += 1) {
            // At once, then 0.25 s to 5 s, spread so that the clients of a restarted server do not come as one.
            const pause = attempt === 0 ? 0 : Math.min(250 * 2 ** (attempt - 1), 5_000) * (0.5 + Math.random());
            await new Promise((resolve) => setTimeout(resolve, pause));
            if (this.state === "closed") return;
            try {
                const resumed = await this.#connect();
                this.#emit("reconnected", { resumed });
                return;
            } catch (error) {
                if (this.state === "closed") return;
                const isWorthAnother = ["connectionLost", "timeout", "draining", "rateLimited", "internal", "roomFull"];
                if (!isWorthAnother.includes(error.code) || performance.now() > giveUpAt) {
                    this.#close("connectionLost", error);
                    return;
                }
            }
        }
    }

    #heard() { this.#lastHeard = performance.now(); }

    async #checkSilence() {
        if (this.state !== "connected" || performance.now() - this.#lastHeard < silenceLimit) return;
        const socket = this.#socket;
        try {
            await this.#request("stats", {}, 5_000);
        } catch {
            if (socket && socket === this.#socket && performance.now() - this.#lastHeard >= silenceLimit) {
                this.#abandonSocket("the server does not answer");
            }
        }
    }

    /** A socket whose peer is gone takes minutes to say so itself. */
    #abandonSocket(reason) {
        const socket = this.#socket;
        if (!socket) return;
        this.#socket = null;
        socket.onmessage = socket.onclose = socket.onerror = null;
        socket.close();
        this.#failPending(new SluiceError("connectionLost", reason));
        this.#reconnect(reason);
    }

    #networkChanged() {
        if (this.state !== "connected") return;
        const socket = this.#socket;
        this.#request("stats", {}, 3_000).catch(() => {
            if (socket && socket === this.#socket) this.#abandonSocket("the network changed");
        });
        this.#restartICE();
    }

    // MARK: Messages

    /** Says something to one other participant: `offer`, `answer`, `ice` or `leave`, for a call between the two. */
    send(to, type, payload) { this.#tell(type, { ...payload, to }); }

    #tell(type, payload, id) {
        if (this.#socket?.readyState !== WebSocket.OPEN) return false;
        this.#socket.send(JSON.stringify(id === undefined ? { type, payload } : { type, payload, id }));
        return true;
    }

    #request(type, payload, timeout = requestTimeout) {
        return new Promise((resolve, reject) => {
            const id = this.#nextId;
            this.#nextId += 1;
            const timer = setTimeout(() => {
                this.#pending.delete(id);
                reject(new SluiceError("timeout", `no answer to '${type}' in ${timeout / 1000} s`));
            }, timeout);
            this.#pending.set(id, { resolve, reject, timer });
            if (!this.#tell(type, payload, id)) {
                this.#pending.delete(id);
                clearTimeout(timer);
                reject(new SluiceError("connectionLost", "there is no connection to the server"));
            }
        });
    }

    #failPending(error) {
        for (const { reject, timer } of this.#pending.values()) {
            clearTimeout(timer);
            reject(error);
        }
        this.#pending.clear();
    }

    #receive(text) {
        this.#heard();
        let frame;
        try { frame = JSON.parse(text); } catch { return; }
        const { type, id } = frame;
        const payload = frame.payload ?? {};
        const waiting = id === undefined ? undefined : this.#pending.get(id);
        if (waiting) {
            this.#pending.delete(id);
            clearTimeout(waiting.timer);
            if (type === "error") waiting.reject(new SluiceError(payload.code, payload.message));
            else waiting.resolve(payload);
            return;
        }
        if (payload.from !== undefined) {
            const { from, ...rest } = payload;
            this.#emit("message", { type, from, payload: rest });
            return;
        }
        switch (type) {
            case "participantJoined": this.#participantSeen(payload.participant); break;
            case "participantLeft": this.#participantLeft(payload.participantId, payload.reason); break;
            case "participantChanged": this.#participantSeen(payload.participant); break;
            case "trackPublished": this.#trackPublished(payload.participantId, payload.track, payload.mid); break;
            case "trackUnpublished": this.#trackUnpublished(payload.trackId); break;
            case "subscribed": this.#subscribed(payload.trackId, payload.mid); break;
            case "unsubscribed": this.#unbind(payload.trackId); break;
            case "layer": this.#layerChanged(payload); break;
            case "activeSpeakers": this.#speakersChanged(payload); break;
            case "quality": this.#qualityChanged(payload); break;
            case "bitrateHint": this.#applyBitrateHint(payload); break;
            case "draining": this.#emit("draining", payload); break;
            case "error": this.#emit("error", { error: new SluiceError(payload.code, payload.message) }); break;
            default: break; // A newer server may say more.
        }
    }

    #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

    // MARK: Who is there

    #replaceParticipants(list) {
        const present = new Set(list.map((info) => info.id));
        for (const id of [...this.participants.keys()]) {
            if (!present.has(id)) this.#participantLeft(id, "left");
        }
        for (const info of list) this.#participantSeen(info);
    }

    #participantSeen(info) {
        if (!info) return;
        const isLocal = info.id === this.localParticipant?.id;
        let participant = isLocal ? this.localParticipant : this.participants.get(info.id);
        if (participant) {
            participant.update(info);
            this.#updateTracks(participant, info.tracks ?? []);
            this.#emit("participantchanged", { participant });
            return;
        }
        participant = new Participant(info);
        this.participants.set(participant.id, participant);
        this.#emit("participantjoined", { participant });
        this.#updateTracks(participant, info.tracks ?? []);
    }

    #updateTracks(participant, list) {
        const present = new Set(list.map((info) => info.id));
        for (const id of [...participant.tracks.keys()]) {
            if (!present.has(id)) this.#trackUnpublished(id);
        }
        for (const info of list) {
            const known = participant.tracks.get(info.id);
            if (known) known.update(info);
            else this.#trackPublished(participant.id, info);
        }
    }

    #participantLeft(id, reason) {
        const participant = this.participants.get(id);
        if (!participant) return;
        for (const track of [...participant.tracks.keys()]) this.#trackUnpublished(track);
        this.participants.delete(id);
        this.#streams.delete(`${id} camera`);
        this.#streams.delete(`${id} screen`);
        this.#emit("participantleft", { participant, reason });
    }

    #trackPublished(participantId, info, mid) {
        if (participantId === this.localParticipant?.id) {
            this.#ownTrackPublished(info, mid);
            return;
        }
        const participant = this.participants.get(participantId);
        if (!participant) return;
        const known = participant.tracks.get(info.id);
        if (known) {
            known.update(info);
            return;
        }
        const track = new Track(info, participant);
        participant.tracks.set(track.id, track);
        this.tracks.set(track.id, track);
        this.#emit("trackpublished", { track, participant });
        this.#bindTracks();
        this.#requestReceivers();
    }

    #ownTrackPublished(info, mid) {
        const local = this.localParticipant;
        const track = local.tracks.get(info.id) ?? new Track(info, local);
        track.update(info);
        track.mid = mid ?? track.mid;
        local.tracks.set(track.id, track);
        const mine = [...this.publications];
        // The message that has the mid may have been lost with a connection.
        const publication = mine.find((entry) => mid !== undefined && entry.mid === mid)
            ?? mine.find((entry) => mid === undefined && entry.id === null && entry.source === info.source);
        if (publication) {
            publication.id = track.id;
            if (publication.muted) this.#tell("mute", { trackId: track.id, muted: true });
        }
        this.#emit("trackpublished", { track, participant: local });
    }

    #trackUnpublished(id) {
        const local = this.localParticipant;
        if (local?.tracks.has(id)) {
            const track = local.tracks.get(id);
            local.tracks.delete(id);
            for (const publication of this.publications) if (publication.id === id) publication.id = null;
            this.#emit("trackunpublished", { track, participant: local });
            return;
        }
        const track = this.tracks.get(id);
        if (!track) return;
        this.#unbind(id);
        this.tracks.delete(id);
        track.participant.tracks.delete(id);
        this.#wanted.delete(id);
        this.#unwanted.delete(id);
        this.#preferences.delete(id);
        this.#emit("trackunpublished", { track, participant: track.participant });
    }

    #layerChanged({ trackId, ...layer }) {
        const track = this.tracks.get(trackId);
        if (!track) return;
        track.layer = layer;
        this.#emit("layer", { track, participant: track.participant, ...layer });
    }

    #speakersChanged({ participantIds = [], levels = [] }) {
        const find = (id) => (id === this.localParticipant?.id ? this.localParticipant : this.participants.get(id));
        const pairs = participantIds.map((id, index) => [find(id), levels[index] ?? 0]).filter(([who]) => who);
        this.#emit("activespeakers", { participants: pairs.map(([who]) => who), levels: pairs.map(([, level]) => level) });
    }

    #qualityChanged({ participantId, ...quality }) {
        const isLocal = participantId === this.localParticipant?.id;
        const participant = isLocal ? this.localParticipant : this.participants.get(participantId);
        if (!participant) return;
        participant.quality = quality;
        this.#emit("quality", { participant, ...quality });
    }

    // MARK: Publishing

    /**
     * Publishes a track; before `join` it waits for it. Resolves with the `Publication` when the server has agreed, or
     * at once before `join`.
     *
     * @param {MediaStreamTrack} track
     * @param {{source?: "camera"|"microphone"|"screen"|"screenAudio"|"other", name?: string, simulcast?: boolean,
     *          codec?: string, maxBitrate?: number}} options
     */
    async publish(track, options = {}) {
        const source = options.source ?? (track.kind === "audio" ? "microphone" : "camera");
        const publication = new Publication(track, { ...options, source });
        this.publications.add(publication);
        if (!this.#pc || this.state === "closed") return publication;
        try {
            this.#addSender(publication);
            await this.#negotiated();
        } catch (error) {
            this.publications.delete(publication);
            this.#freeSender(publication);
            throw error;
        }
        return publication;
    }

    /** Takes a `Publication`, or the track that was published. The track is not stopped. */
    async unpublish(publicationOrTrack) {
        const publication = this.#publication(publicationOrTrack);
        if (!publication) return;
        this.publications.delete(publication);
        this.#freeSender(publication);
        if (this.#pc && this.state !== "closed") await this.#negotiated();
    }

    /** Sends another track (or nothing, `null`) in place of a published one, without a negotiation. */
    async replaceTrack(publicationOrTrack, track) {
        const publication = this.#publication(publicationOrTrack);
        if (!publication) throw new SluiceError("noSuchTrack", "this track is not published");
        publication.mediaStreamTrack = track;
        await publication.transceiver?.sender.replaceTrack(track);
    }

    #publication(value) {
        if (value instanceof Publication) return this.publications.has(value) ? value : undefined;
        return [...this.publications].find((entry) => entry.mediaStreamTrack === value);
    }

    #addSender(publication) {
        const { mediaStreamTrack: track, options } = publication;
        const encodings = track?.kind === "video" ? Room.encodings(track, options) : Room.audioEncodings(options);
        const shape = encodings.map((encoding) => encoding.rid ?? "").join();
        const used = new Set([...this.publications].map((entry) => entry.transceiver));
        const idle = this.#pc.getTransceivers().find((entry) => {
            return entry.sluiceShape === shape && entry.sluiceKind === publication.kind && !used.has(entry)
                && entry.direction === "inactive";
        });
        if (idle) {
            idle.direction = "sendonly";
            publication.transceiver = idle;
            // A failure here shows as a track that sends nothing; the m-line itself is right.
            idle.sender.replaceTrack(track).catch((error) => this.#emit("error", { error }));
            return;
        }
        const init = { direction: "sendonly", streams: [this.#localStream(publication.source)] };
        if (encodings.length > 0) init.sendEncodings = encodings;
        let transceiver;
        try {
            transceiver = this.#pc.addTransceiver(track ?? publication.kind, init);
        } catch (error) {
            // Old browsers know no sendEncodings, or not these.
            if (!init.sendEncodings) throw error;
            delete init.sendEncodings;
            transceiver = this.#pc.addTransceiver(track ?? publication.kind, init);
        }
        transceiver.sluiceShape = shape;
        transceiver.sluiceKind = publication.kind;
        publication.transceiver = transceiver;
        if (publication.kind === "video") {
            // What every browser can decode comes first; the others follow in the browser's order.
            preferCodec(transceiver, options.codec ?? "VP8");
            askForDependencyDescriptor(transceiver);
        }
    }

    #freeSender(publication) {
        const transceiver = publication.transceiver;
        publication.transceiver = null;
        publication.id = null;
        if (!transceiver || transceiver.direction === "stopped" || this.state === "closed") return;
        transceiver.sender.replaceTrack(null).catch(() => {});
        transceiver.direction = "inactive";
    }

    /** Sound and picture of one source play together. */
    #localStream(source) {
        const group = source === "screen" || source === "screenAudio" ? "screen" : "camera";
        if (!this.#streams.has(group)) this.#streams.set(group, new MediaStream());
        return this.#streams.get(group);
    }

    /** The layers of a video track: three from 960x540 on and two from 480x270 on. Of more, Chromium leaves out the
     *  upper ones. */
    static encodings(track, { source, simulcast, maxBitrate } = {}) {
        const { width = 640, height = 360 } = track.getSettings?.() ?? {};
        const pixels = Math.max(width * height, 1);
        // 1.7 Mbit/s for 1280x720, growing slower than the number of pixels.
        const full = maxBitrate ?? Math.round(1_700_000 * (pixels / 921_600) ** 0.75);
        const wantsLayers = simulcast ?? source === "camera";
        if (!wantsLayers || pixels < 480 * 270) return [{ maxBitrate: source === "screen" ? maxBitrate ?? 2_500_000 : full }];
        const isLarge = pixels >= 960 * 540;
        const rids = isLarge ? ["q", "h", "f"] : ["h", "f"];
        return rids.map((rid, index) => {
            const scale = 2 ** (rids.length - 1 - index);
            return {
                rid, active: true, scaleResolutionDownBy: scale,
                maxBitrate: Math.max(Math.round(full / scale ** 1.6), 80_000),
            };
        });
    }

    static audioEncodings({ maxBitrate } = {}) { return maxBitrate ? [{ maxBitrate }] : []; }

    /** Of one's own tracks (then the browser sends silence or black too), or with the admin grant of anyone's. */
    async mute(trackOrId, muted = true) {
        const publication = this.#publication(trackOrId)
            ?? [...this.publications].find((entry) => entry.id !== null && entry.id === trackOrId);
        if (publication) {
            publication.muted = muted;
            if (publication.mediaStreamTrack) publication.mediaStreamTrack.enabled = !muted;
            if (publication.id) this.#tell("mute", { trackId: publication.id, muted });
            return;
        }
        this.#tell("mute", { trackId: trackOrId?.id ?? trackOrId, muted });
    }

    /** At most 4 KiB as JSON. */
    async setMetadata(metadata) {
        this.#metadata = metadata;
        this.#tell("setMetadata", { metadata });
    }

    /** The server knows best what subscribers can take. `{trackId | mid, maxBitrate?, layers?: [{rid, active?,
     *  maxBitrate?}]}`, bits per second. */
    async #applyBitrateHint({ trackId, mid, maxBitrate, layers }) {
        const publication = [...this.publications].find((entry) => {
            return (trackId && entry.id === trackId) || (mid && entry.mid === mid);
        });
        const sender = publication?.transceiver?.sender;
        if (!sender) return;
        try {
            const parameters = sender.getParameters();
            for (const encoding of parameters.encodings ?? []) {
                const hint = layers?.find((entry) => entry.rid === encoding.rid)
                    ?? (parameters.encodings.length === 1 ? { maxBitrate } : undefined);
                if (!hint) continue;
                if (typeof hint.active === "boolean") encoding.active = hint.active;
                if (Number.isFinite(hint.maxBitrate)) encoding.maxBitrate = hint.maxBitrate;
            }
            await sender.setParameters(parameters);
        } catch (error) { this.#emit("error", { error }); }
    }

    // MARK: Subscribing

    /** Needed without `autoSubscribe`, or after `unsubscribe`. Takes a track or its id. */
    async subscribe(trackOrId) {
        const trackId = trackOrId?.id ?? trackOrId;
        this.#unwanted.delete(trackId);
        this.#wanted.add(trackId);
        const reply = await this.#request("subscribe", { trackId });
        if (reply.mid !== null && reply.mid !== undefined) this.#subscribed(trackId, reply.mid);
        else this.#requestReceivers();
    }

    async unsubscribe(trackOrId) {
        const trackId = trackOrId?.id ?? trackOrId;
        this.#wanted.delete(trackId);
        this.#unwanted.add(trackId);
        await this.#request("unsubscribe", { trackId });
        this.#unbind(trackId);
    }

    /** `{maxWidth?, maxHeight?, maxFps?, priority?, paused?}`: what this page can use of a track. */
    prefer(trackOrId, preference) {
        const trackId = trackOrId?.id ?? trackOrId;
        this.#preferences.set(trackId, preference);
        this.#tell("prefer", { trackId, ...preference });
    }

    #isWanted(track) {
        if (this.#unwanted.has(track.id)) return false;
        return this.autoSubscribe || this.#wanted.has(track.id);
    }

    /** Makes an offer if a wanted track has no m-line to come on. */
    #requestReceivers() {
        if (this.#pc && this.#missingReceivers().length > 0) this.#negotiate();
    }

    /** The kinds of the m-lines that are wanting, one entry for each. */
    #missingReceivers() {
        const free = { audio: 0, video: 0 };
        for (const transceiver of this.#receivers) {
            const isBound = transceiver.mid !== null && this.#bindings.has(transceiver.mid);
            if (!isBound) free[transceiver.receiver.track.kind] += 1;
        }
        const bound = new Set(this.#bindings.values());
        const missing = [];
        for (const track of this.tracks.values()) {
            if (bound.has(track.id) || !this.#isWanted(track)) continue;
            if (free[track.kind] > 0) free[track.kind] -= 1;
            else missing.push(track.kind);
        }
        return missing;
    }

    #addReceivers() {
        for (const kind of this.#missingReceivers()) {
            const transceiver = this.#pc.addTransceiver(kind, { direction: "recvonly" });
            if (kind === "video") askForDependencyDescriptor(transceiver);
            this.#receivers.push(transceiver);
        }
    }

    #subscribed(trackId, mid) {
        if (mid === null || mid === undefined) return;
        for (const [other, bound] of this.#bindings) {
            if (bound === trackId && other !== mid) this.#unbind(trackId);
        }
        const previous = this.#bindings.get(mid);
        if (previous !== undefined && previous !== trackId) this.#unbind(previous);
        this.#bindings.set(mid, trackId);
        this.#bindTracks();
    }

    /** Joins what the server says with what is known of tracks and m-lines; each of the three may come last. */
    #bindTracks() {
        for (const [mid, trackId] of this.#bindings) {
            const track = this.tracks.get(trackId);
            if (!track || track.mid === mid) continue;
            const transceiver = this.#receivers.find((entry) => entry.mid === mid);
            if (!transceiver) continue;
            track.mid = mid;
            track.mediaStreamTrack = transceiver.receiver.track;
            const isScreen = track.source === "screen" || track.source === "screenAudio";
            const key = `${track.participant.id} ${isScreen ? "screen" : "camera"}`;
            if (!this.#streams.has(key)) this.#streams.set(key, new MediaStream());
            track.mediaStream = this.#streams.get(key);
            track.mediaStream.addTrack(track.mediaStreamTrack);
            const preference = this.#preferences.get(trackId);
            if (preference) this.#tell("prefer", { trackId, ...preference });
            this.#emit("tracksubscribed", { track, participant: track.participant, mediaStream: track.mediaStream });
        }
    }

    /** The m-line stays open for another track. */
    #unbind(trackId) {
        for (const [mid, bound] of this.#bindings) if (bound === trackId) this.#bindings.delete(mid);
        const track = this.tracks.get(trackId);
        if (!track || track.mid === null) return;
        track.mediaStream?.removeTrack(track.mediaStreamTrack);
        track.mid = null;
        track.layer = null;
        track.mediaStreamTrack = null;
        track.mediaStream = null;
        this.#emit("trackunsubscribed", { track, participant: track.participant });
    }

    /** The server's numbers and the browser's: `{server: object|null, peer: RTCStatsReport|null}`. */
    async stats() {
        const [server, peer] = await Promise.all([
            this.#request("stats", {}).catch(() => null),
            this.#pc ? this.#pc.getStats() : null,
        ]);
        return { server, peer };
    }

    // MARK: Negotiation

    #buildPeerConnection() {
        this.#pc?.close();
        for (const track of this.tracks.values()) this.#unbind(track.id);
        this.#bindings.clear();
        this.#receivers = [];
        this.#unanswered = null;
        this.#restarts = 0;
        clearTimeout(this.#restartTimer);
        const pc = new RTCPeerConnection({
            iceServers: this.#iceServers, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require",
            iceTransportPolicy: this.#options.iceTransportPolicy,
        });
        this.#pc = pc;
        pc.onicecandidate = ({ candidate }) => {
            if (pc !== this.#pc) return;
            this.#tell("ice", candidate ? candidate.toJSON() : { candidate: "" });
        };
        pc.oniceconnectionstatechange = () => this.#iceChanged(pc);
        pc.onconnectionstatechange = () => this.#connectionChanged(pc);
        for (const publication of this.publications) {
            publication.id = null;
            publication.transceiver = null;
            this.#addSender(publication);
        }
    }

    /** Asks for an offer; those who ask while one is under way get one more for all of them. */
    #negotiate() {
        this.#isNegotiationNeeded = true;
        this.#negotiation ??= this.#negotiateWhileNeeded().finally(() => {
            this.#negotiation = null;
            if (this.#isNegotiationNeeded && this.#socket && this.state === "connected") this.#negotiate();
        });
    }

    /** Resolves when an offer that was made from now on is answered. */
    #negotiated() {
        return new Promise((resolve, reject) => {
            this.#waitingForAnswer.push({ resolve, reject });
            this.#negotiate();
        });
    }

    #settleAnswers(error) {
        const waiting = this.#waitingForAnswer.splice(0);
        for (const { resolve, reject } of waiting) if (error) reject(error); else resolve();
    }

    async #negotiateWhileNeeded() {
        // What happens in the same turn goes into the same offer.
        await Promise.resolve();
        let failures = 0;
        while (this.#isNegotiationNeeded && this.state === "connected") {
            const pc = this.#pc;
            this.#isNegotiationNeeded = false;
            const waiting = this.#waitingForAnswer.splice(0);
            try {
                await this.#offer(pc);
                failures = 0;
                for (const { resolve } of waiting) resolve();
            } catch (error) {
                if (this.state === "closed" || error.code === "connectionLost") {
                    // Said again when the connection is back.
                    this.#waitingForAnswer.unshift(...waiting);
                    this.#isNegotiationNeeded = this.state !== "closed";
                    if (this.state === "closed") this.#settleAnswers(error);
                    return;
                }
                failures += 1;
                const mayPass = ["rateLimited", "internal", "timeout"].includes(error.code) && failures < 4;
                if (mayPass) {
                    this.#waitingForAnswer.unshift(...waiting);
                    this.#isNegotiationNeeded = true;
                    await new Promise((resolve) => setTimeout(resolve, 500 * failures));
                    continue;
                }
                await this.#takeBack(pc);
                for (const { reject } of waiting) reject(error);
                this.#emit("error", { error });
                if (error.code === "forbidden") this.#dropRefused();
            }
        }
    }

    async #offer(pc) {
        if (this.#unanswered !== null) {
            // Made before the connection was lost: it knows nothing of what is wanted since.
            this.#isNegotiationNeeded = true;
        } else {
            this.#addReceivers();
            if (pc.getTransceivers().length === 0) return; // Nothing to send and nothing to receive yet.
            await this.#makeOffer(pc);
            if (pc !== this.#pc) return;
        }
        const intents = [...this.publications].filter((entry) => entry.mid !== null && entry.id === null)
            .map(({ mid, source, name }) => ({ mid, source, name }));
        if (intents.length > 0) this.#tell("publish", intents);
        const { sdp, bindings } = await this.#request("offer", { sdp: this.#unanswered });
        if (pc !== this.#pc) return;
        await pc.setRemoteDescription({ type: "answer", sdp });
        this.#unanswered = null;
        this.#applyBindings(bindings ?? []);
    }

    /** A token that only lets in spectators: without what was refused the offer can succeed. */
    #dropRefused() {
        for (const publication of [...this.publications]) {
            if (publication.id !== null) continue;
            this.publications.delete(publication);
            this.#freeSender(publication);
            this.#isNegotiationNeeded = true;
        }
    }

    async #makeOffer(pc) {
        await pc.setLocalDescription(await pc.createOffer());
        // Trickled candidates are of no use to an ICE-lite server: the offer goes at once.
        if (pc === this.#pc) this.#unanswered = pc.localDescription.sdp;
    }

    async #takeBack(pc) {
        this.#unanswered = null;
        if (pc !== this.#pc || pc.signalingState !== "have-local-offer") return;
        try { await pc.setLocalDescription({ type: "rollback" }); } catch (error) { this.#emit("error", { error }); }
    }

    #applyBindings(list) {
        const next = new Map(list.map(({ mid, trackId }) => [mid, trackId]));
        for (const [mid, trackId] of [...this.#bindings]) if (next.get(mid) !== trackId) this.#unbind(trackId);
        this.#bindings = next;
        this.#bindTracks();
        // Tracks that came while the offer was under way.
        this.#requestReceivers();
    }

    // MARK: ICE

    get #isMediaUp() { return ["connected", "completed"].includes(this.#pc?.iceConnectionState); }

    #iceChanged(pc) {
        if (pc !== this.#pc) return;
        clearTimeout(this.#restartTimer);
        switch (pc.iceConnectionState) {
            case "connected": case "completed": this.#restarts = 0; break;
            // Often passes by itself.
            case "disconnected": this.#restartTimer = setTimeout(() => this.#restartICE(), disconnectedPatience); break;
            case "failed": this.#restartICE(); break;
            default: break;
        }
    }

    #connectionChanged(pc) {
        if (pc !== this.#pc) return;
        if (pc.connectionState === "connected") this.#emit("connected", {});
        // ICE is there and DTLS is not: only another peer connection mends that.
        if (pc.connectionState === "failed" && this.#isMediaUp) this.#rebuild();
    }

    #restartICE() {
        const pc = this.#pc;
        if (this.state !== "connected" || !pc || pc.remoteDescription === null) return;
        this.#restarts += 1;
        if (this.#restarts > restartsBeforeRebuild) {
            this.#rebuild();
            return;
        }
        pc.restartIce();
        this.#negotiate();
        clearTimeout(this.#restartTimer);
        const pause = 2_500 * this.#restarts;
        this.#restartTimer = setTimeout(() => { if (pc === this.#pc && !this.#isMediaUp) this.#restartICE(); }, pause);
    }

    #rebuild() {
        if (this.state !== "connected") return;
        this.#buildPeerConnection();
        this.#negotiate();
        this.#restartTimer = setTimeout(() => { if (!this.#isMediaUp) this.#restartICE(); }, 5_000);
    }
}

/** Offers of Chromium that only receive have no dependency descriptor unless they are asked for it. */
function askForDependencyDescriptor(transceiver) {
    try {
        const extensions = transceiver.getHeaderExtensionsToNegotiate?.();
        const descriptor = extensions?.find((extension) => extension.uri === dependencyDescriptor);
        if (!descriptor || descriptor.direction !== "stopped") return;
        descriptor.direction = "sendrecv";
        transceiver.setHeaderExtensionsToNegotiate(extensions);
    } catch { /* The server does without. */ }
}

function preferCodec(transceiver, name) {
    try {
        const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
        const type = `video/${name}`.toLowerCase();
        if (codecs.length === 0 || codecs[0].mimeType.toLowerCase() === type) return;
        const preferred = codecs.filter((codec) => codec.mimeType.toLowerCase() === type);
        if (preferred.length === 0) return;
        transceiver.setCodecPreferences([...preferred, ...codecs.filter((codec) => !preferred.includes(codec))]);
    } catch { /* The browser's order is good enough. */ }
}
