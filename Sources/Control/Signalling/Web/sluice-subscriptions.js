// What this side receives: which track comes on which m-line, and what it can use of it.
import { askForDependencyDescriptor, receiveOnly } from "./sluice-encodings.js";

/** The server takes offers of 64 KiB and 2,000 lines. */
const budget = { bytes: 63_000, lines: 1_900 };
/** What cameras leave to the voices of those who come later. */
const reserve = { audio: { bytes: 0, lines: 0 }, video: { bytes: 14_000, lines: 450 } };
/** Of an m-line before there is one to measure: Chromium's, with all header extensions. */
const usual = {
    receive: { audio: { bytes: 1_000, lines: 25 }, video: { bytes: 2_400, lines: 60 } },
    publish: { audio: { bytes: 1_300, lines: 35 }, video: { bytes: 6_000, lines: 190 } },
};

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
        this.#tellPreference(trackId);
    }

    /** After a resumption. Of tracks that are on no m-line yet the server is told when they come on one: rooms may have more
     *  of them than it takes messages in a second. */
    repeat() { for (const track of this.core.room.tracks.values()) if (track.mid !== null) this.#tellPreference(track.id); }

    #tellPreference(trackId) {
        const preference = this.#preferences.get(trackId);
        if (preference) this.core.tell("prefer", { trackId, ...preference });
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

    /** Makes an offer if there is to be an m-line more. */
    #requestReceivers() {
        const { pc } = this.core.negotiation;
        if (pc && this.#missingReceivers(pc).length > 0) this.core.negotiation.negotiate();
    }

    /** The tracks that want an m-line and find a place in the next offer; sound first, it is dearer than a picture. The
     *  others get the m-lines of those who leave. */
    #missingReceivers(pc) {
        const free = this.#receivers.filter(({ mid }) => mid === null || !this.#bindings.has(mid));
        const bound = new Set(this.#bindings.values());
        const missing = [];
        for (const track of this.core.room.tracks.values()) {
            if (bound.has(track.id) || !this.#isWanted(track)) continue;
            const index = free.findIndex((entry) => this.#canCarry(entry, track));
            if (index >= 0) free.splice(index, 1);
            else missing.push(track);
        }
        if (missing.length === 0) return [];
        missing.sort((one, other) => (one.kind === "video") - (other.kind === "video"));
        const { left, each } = this.#space(pc);
        return missing.filter(({ kind }) => {
            if (left.bytes < each[kind].bytes + reserve[kind].bytes) return false;
            if (left.lines < each[kind].lines + reserve[kind].lines) return false;
            left.bytes -= each[kind].bytes;
            left.lines -= each[kind].lines;
            return true;
        });
    }

    #canCarry({ receiver, sluiceCodecs }, { kind, codec }) {
        return receiver.track.kind === kind && (!sluiceCodecs || sluiceCodecs.includes(codec));
    }

    /** What the next offer may still take, and what one more m-line that receives takes of it. */
    #space(pc) {
        const text = pc.localDescription?.sdp ?? "";
        const size = (part) => ({ bytes: part.length, lines: part.split("\n").length });
        const used = size(text);
        const each = { ...usual.receive };
        for (const section of text.split("\r\nm=").slice(1)) {
            if (!section.includes("a=recvonly")) continue;
            const { bytes, lines } = size(section);
            each[section.startsWith("audio") ? "audio" : "video"] = { bytes: bytes + 100, lines: lines + 2 };
        }
        const left = { bytes: budget.bytes - used.bytes, lines: budget.lines - used.lines };
        for (const { kind, mid } of this.core.room.publications) {
            if (mid !== null && text !== "") continue;
            left.bytes -= usual.publish[kind].bytes;
            left.lines -= usual.publish[kind].lines;
        }
        return { left, each };
    }

    addReceivers(pc) {
        for (const track of this.#missingReceivers(pc)) {
            const transceiver = pc.addTransceiver(track.kind, { direction: "recvonly" });
            transceiver.sluiceCodecs = receiveOnly(transceiver, track.kind, track.codec);
            if (track.kind === "video") askForDependencyDescriptor(transceiver);
            this.#receivers.push(transceiver);
        }
    }

    /** A sender may go on with another codec than the one that its m-line here was made for. */
    trackChanged(track) {
        const transceiver = this.#receivers.find(({ mid }) => mid !== null && this.#bindings.get(mid) === track.id);
        if (!transceiver || this.#canCarry(transceiver, track)) return;
        transceiver.sluiceCodecs = receiveOnly(transceiver, track.kind, track.codec);
        this.core.negotiation.negotiate();
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
            this.#tellPreference(trackId);
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
