/**
 * Sluice's browser SDK: an ES module without dependencies.
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
 *   publicationmuted {publication}               somebody else muted what this side publishes; `mute` takes it back
 *   tracksubscribed {track, participant, mediaStream}
 *   trackunsubscribed {track, participant}
 *   layer {track, participant, spatial, temporal, width, height, targetBitrate, reason, paused, estimate,
 *          nextLayerNeeds}                       what the server sends of a track, and why; rates in bits per second
 *   activespeakers {participants, levels}        who speaks now, the latest to begin first; levels from 0 to 1
 *   quality {participant, score, fractionLost, jitter, roundTripTime, uplink, downlink}   once a second, score 1 to 5
 *   connected {}                                 media flows: ICE and DTLS are up
 *   reconnecting {reason}                        reconnected {resumed}
 *   draining {deadline}                          message {type, from, payload}  of a participant, see `send`
 *   error {error}                                closed {reason, error?}        nothing follows
 */
import { Connection } from "./sluice-connection.js";
import { Negotiation } from "./sluice-negotiation.js";
import { Participant, SluiceError } from "./sluice-model.js";
import { Publishing } from "./sluice-publishing.js";
import { Roster } from "./sluice-roster.js";
import { Subscriptions } from "./sluice-subscriptions.js";
import { Viewport } from "./sluice-viewport.js";

export { Participant, Publication, SluiceError, Track } from "./sluice-model.js";

/** The server keeps the media of a lost connection for 15 s; a server that restarts takes longer than that. */
const reconnectLimit = 60_000;

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
        /** What `publish` returned and `unpublish` did not take back. */
        this.publications = new Set();
        this.serverVersion = null;
        /** new, connecting, connected, reconnecting, closed */
        this.state = "new";
        this.#options = { token, name, identity, metadata, iceTransportPolicy };
        this.#metadata = metadata;
        this.#core = this.#makeCore();
    }

    #options;
    #metadata;
    #core;
    #connection;
    #joined = null;
    #resumeToken = null;
    #iceServers = [];
    #reconnection = null;
    /** Wi-Fi, cellular, ...; browsers of desktop computers do not say. */
    #networkType = navigator.connection?.type;
    #networkListener = () => this.#networkChanged();
    #networkTypeListener = () => this.#networkDescribed();

    /** What the parts of the SDK see of each other. */
    #makeCore() {
        this.#connection = new Connection(this.url, {
            onMessage: (type, payload) => this.#receive(type, payload),
            onClosed: (event) => this.#socketClosed(event),
            onAbandoned: (reason) => this.#reconnect(reason),
        });
        const connection = this.#connection;
        const room = this;
        const core = {
            room,
            emit: (type, detail) => this.#emit(type, detail),
            tell: (type, payload) => connection.tell(type, payload),
            request: (type, payload, timeout) => connection.request(type, payload, timeout),
            get isConnected() { return connection.isThere && room.state === "connected"; },
            buildPeerConnection: () => core.negotiation.build({
                iceServers: this.#iceServers, iceTransportPolicy: this.#options.iceTransportPolicy,
            }),
        };
        core.roster = new Roster(core);
        core.publishing = new Publishing(core);
        core.subscriptions = new Subscriptions(core);
        core.negotiation = new Negotiation(core);
        core.viewport = new Viewport(core);
        return core;
    }

    get peerConnection() { return this.#core.negotiation.pc; }

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
        navigator.connection?.addEventListener?.("change", this.#networkTypeListener);
        return this;
    }

    /** Resolves when the goodbye is said. The room can't be used afterwards. */
    async leave() {
        if (this.state === "closed") return;
        this.#connection.tell("leave", {});
        this.#close("left");
    }

    #close(reason, error) {
        if (this.state === "closed") return;
        this.state = "closed";
        removeEventListener("online", this.#networkListener);
        navigator.connection?.removeEventListener?.("change", this.#networkTypeListener);
        this.#connection.close(new SluiceError("closed", "the room was left"));
        this.#core.negotiation.close();
        this.#core.viewport.close();
        this.#emit("closed", { reason, error });
    }

    /** Opens the WebSocket and joins, or resumes if there is something to resume. */
    #connect() {
        return this.#connection.open(async () => {
            const { token, name, identity } = this.#options;
            const joined = await this.#connection.request("join", {
                roomId: this.roomId, token, name, identity, metadata: this.#metadata,
                autoSubscribe: this.autoSubscribe, resume: this.#resumeToken ?? undefined,
            });
            return this.#welcome(joined);
        });
    }

    /** Returns whether what was there before goes on. */
    #welcome(joined) {
        const { negotiation, publishing, roster, subscriptions } = this.#core;
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
        roster.replace(joined.participants ?? []);
        if (isResumed) {
            // What was said in between is lost: the answer to an offer names all bindings again, and what this side said
            // is said once more, as nobody knows how long the connection had been dead.
            if (this.#metadata !== undefined) this.#connection.tell("setMetadata", { metadata: this.#metadata });
            publishing.repeat();
            subscriptions.repeat();
            if (!negotiation.isMediaUp) negotiation.restartICE();
        } else {
            this.#core.buildPeerConnection();
            this.#emit("joined", { participantId: joined.participantId });
        }
        negotiation.negotiate();
        return isResumed;
    }

    // MARK: Losing and finding the connection

    #socketClosed(event) {
        if (this.state === "closed") return;
        // 1000: the room is over. 1008: taken out, or replaced by another connection; coming back would fight it. Not so 1001:
        // the server stops, and another may be there soon.
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

    /** Browsers tell new estimates of rate and round trip by the same event. They need no other way to the server, and where
     *  the type is not told either, `online` and ICE itself tell that a network is gone. */
    #networkDescribed() {
        const { type } = navigator.connection;
        if (type === this.#networkType) return;
        this.#networkType = type;
        if (type !== "none") this.#networkChanged();
    }

    #networkChanged() {
        if (this.state !== "connected") return;
        this.#connection.check(3_000, "the network changed");
        this.#core.negotiation.restartICE();
    }

    // MARK: Messages

    /** Says something to one participant of the room. `type` is up to the two, such as `offer`, `answer` and `ice` for
     *  a call of their own; it arrives as a `message` event. */
    send(to, type, payload) { this.#connection.tell(type, { ...payload, to }); }

    #receive(type, payload) {
        const { publishing, roster, subscriptions } = this.#core;
        if (payload.from !== undefined) {
            const { from, ...rest } = payload;
            this.#emit("message", { type, from, payload: rest });
            return;
        }
        switch (type) {
            case "participantJoined": case "participantChanged": roster.seen(payload.participant); break;
            case "participantLeft": roster.left(payload.participantId, payload.reason); break;
            case "trackPublished": roster.published(payload.participantId, payload.track, payload.mid); break;
            case "trackUnpublished": roster.unpublished(payload.trackId); break;
            case "subscribed": subscriptions.bound(payload.trackId, payload.mid); break;
            case "unsubscribed": subscriptions.unbind(payload.trackId); break;
            case "layer": roster.layerChanged(payload); break;
            case "activeSpeakers": roster.speakersChanged(payload); break;
            case "quality": roster.qualityChanged(payload); break;
            case "bitrateHint": publishing.bitrateHinted(payload); break;
            case "layersWanted": publishing.layersWanted(payload); break;
            case "draining": this.#emit("draining", payload); break;
            case "error": this.#emit("error", { error: new SluiceError(payload.code, payload.message) }); break;
            default: break; // A newer server may say more.
        }
    }

    #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

    // MARK: Publishing

    /**
     * Publishes a track; before `join` it waits for it. Resolves with the `Publication` when the server has agreed, or
     * at once before `join`. A camera is sent in up to three layers (simulcast), or with a scalability mode in one
     * encoding that has its layers inside.
     *
     * @param {MediaStreamTrack} track
     * @param {{source?: "camera"|"microphone"|"screen"|"screenAudio"|"other", name?: string, simulcast?: boolean,
     *          codec?: string, scalabilityMode?: string, maxBitrate?: number}} options
     *     `codec`: VP8, VP9, AV1 or H264; `scalabilityMode`: such as L3T3_KEY, for VP9 and AV1.
     */
    publish(track, options = {}) { return this.#core.publishing.publish(track, options); }

    /** Takes a `Publication`, or the track that was published. The track is not stopped. */
    unpublish(publicationOrTrack) { return this.#core.publishing.unpublish(publicationOrTrack); }

    /** Sends another track (or nothing, `null`) in place of a published one, without a negotiation. */
    replaceTrack(publicationOrTrack, track) { return this.#core.publishing.replaceTrack(publicationOrTrack, track); }

    /** Of one's own tracks (then the browser sends silence or black too), or with the admin grant of anyone's. While the
     *  connection is lost, one's own waits for the next one; others' are refused. Who is muted is not heard again by anyone's
     *  word but its own: this side mutes again what others have unmuted. */
    async mute(trackOrId, muted = true) { this.#core.publishing.mute(trackOrId, muted); }

    /** At most 4 KiB as JSON. While the connection is lost it waits for the next one. */
    async setMetadata(metadata) {
        this.#metadata = metadata;
        this.#connection.tell("setMetadata", { metadata });
    }

    // MARK: Subscribing

    /** Needed without `autoSubscribe`, or after `unsubscribe`. Takes a track or its id. */
    subscribe(trackOrId) { return this.#core.subscriptions.subscribe(trackOrId); }

    unsubscribe(trackOrId) { return this.#core.subscriptions.unsubscribe(trackOrId); }

    /** `{maxWidth?, maxHeight?, maxFps?, priority?, paused?}`: what this page can use of a track. Priority 255 is for a
     *  pinned tile. */
    prefer(trackOrId, preference) { this.#core.subscriptions.prefer(trackOrId, preference); }

    /** Prefers what the element on the page has use for, from now on: its size, and nothing while it is not seen.
     *  `{priority?}` as for `prefer`. */
    observe(element, trackOrId, options = {}) {
        this.#core.viewport.observe(element, trackOrId?.id ?? trackOrId, options);
    }

    unobserve(element) { this.#core.viewport.unobserve(element); }

    /** The server's numbers and the browser's: `{server: object|null, peer: RTCStatsReport|null}`. */
    async stats() {
        const { pc } = this.#core.negotiation;
        const [server, peer] = await Promise.all([
            this.#connection.request("stats", {}).catch(() => null), pc ? pc.getStats() : null,
        ]);
        return { server, peer };
    }
}
