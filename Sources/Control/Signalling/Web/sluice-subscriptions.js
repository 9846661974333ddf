// What this side receives: which track comes on which m-line, and what it can use of it.
import { askForDependencyDescriptor } from "./sluice-encodings.js";

export class Subscriptions {
    constructor(core) { this.core = core; }

    /** The server's word on what comes on which m-line: mid to track id. */
    #bindings = new Map();
    #receivers = [];
    #streams = new Map();
    #wanted = new Set();
    #unwanted = new Set();
    #preferences = new Map();

    async subscribe(trackOrId) {
        const trackId = trackOrId?.id ?? trackOrId;
        this.#unwanted.delete(trackId);
        this.#wanted.add(trackId);
        const reply = await this.core.request("subscribe", { trackId });
        if (reply.mid !== null && reply.mid !== undefined) this.bound(trackId, reply.mid);
        else this.#requestReceivers();
    }

    async unsubscribe(trackOrId) {
        const trackId = trackOrId?.id ?? trackOrId;
        this.#wanted.delete(trackId);
        this.#unwanted.add(trackId);
        await this.core.request("unsubscribe", { trackId });
        this.unbind(trackId);
    }

    prefer(trackOrId, preference) {
        const trackId = trackOrId?.id ?? trackOrId;
        this.#preferences.set(trackId, preference);
        this.core.tell("prefer", { trackId, ...preference });
    }

    preference(trackId) { return this.#preferences.get(trackId) ?? {}; }

    // MARK: Tracks

    trackCame() {
        this.#bindTracks();
        this.#requestReceivers();
    }

    trackWent(trackId) {
        this.unbind(trackId);
        this.#wanted.delete(trackId);
        this.#unwanted.delete(trackId);
        this.#preferences.delete(trackId);
    }

    forget(participant) {
        for (const kind of ["camera", "screen"]) this.#streams.delete(`${participant.id} ${kind}`);
    }

    #isWanted(track) {
        if (this.#unwanted.has(track.id)) return false;
        return this.core.room.autoSubscribe || this.#wanted.has(track.id);
    }

    // MARK: M-lines

    /** Everything anew, on a new peer connection. */
    reset() {
        for (const track of this.core.room.tracks.values()) this.unbind(track.id);
        this.#bindings.clear();
        this.#receivers = [];
    }

    /** Makes an offer if a wanted track has no m-line to come on. */
    #requestReceivers() {
        if (this.core.negotiation.pc && this.#missingReceivers().length > 0) this.core.negotiation.negotiate();
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
        for (const track of this.core.room.tracks.values()) {
            if (bound.has(track.id) || !this.#isWanted(track)) continue;
            if (free[track.kind] > 0) free[track.kind] -= 1;
            else missing.push(track.kind);
        }
        return missing;
    }

    addReceivers(pc) {
        for (const kind of this.#missingReceivers()) {
            const transceiver = pc.addTransceiver(kind, { direction: "recvonly" });
            if (kind === "video") askForDependencyDescriptor(transceiver);
            this.#receivers.push(transceiver);
        }
    }

    bound(trackId, mid) {
        if (mid === null || mid === undefined) return;
        for (const [other, bound] of this.#bindings) {
            if (bound === trackId && other !== mid) this.unbind(trackId);
        }
        const previous = this.#bindings.get(mid);
        if (previous !== undefined && previous !== trackId) this.unbind(previous);
        this.#bindings.set(mid, trackId);
        this.#bindTracks();
    }

    /** All bindings, as an answer names them; its tracks are not bound before it is applied. */
    replaceBindings(list) {
        const next = new Map(list.map(({ mid, trackId }) => [mid, trackId]));
        for (const [mid, trackId] of [...this.#bindings]) if (next.get(mid) !== trackId) this.unbind(trackId);
        this.#bindings = next;
    }

    /** After an answer: what came before it, and an offer for tracks that came while it was under way. */
    bindTracks() {
        this.#bindTracks();
        this.#requestReceivers();
    }

    /** Joins what the server says with what is known of tracks and m-lines; each of the three may come last. */
    #bindTracks() {
        for (const [mid, trackId] of this.#bindings) {
            const track = this.core.room.tracks.get(trackId);
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
            if (preference) this.core.tell("prefer", { trackId, ...preference });
            const { participant, mediaStream } = track;
            this.core.emit("tracksubscribed", { track, participant, mediaStream });
        }
    }

    /** The m-line stays open for another track. */
    unbind(trackId) {
        for (const [mid, bound] of this.#bindings) if (bound === trackId) this.#bindings.delete(mid);
        const track = this.core.room.tracks.get(trackId);
        if (!track || track.mid === null) return;
        track.mediaStream?.removeTrack(track.mediaStreamTrack);
        track.mid = null;
        track.layer = null;
        track.mediaStreamTrack = null;
        track.mediaStream = null;
        this.core.emit("trackunsubscribed", { track, participant: track.participant });
    }
}
