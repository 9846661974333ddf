// What this side sends: senders, layers, and what the server has to say about them.
import { Publication, SluiceError } from "./sluice-model.js";
import {
    askForDependencyDescriptor, audioEncodings, changeEncodings, preferCodec, videoEncodings,
} from "./sluice-encodings.js";

export class Publishing {
    constructor(core) {
        this.core = core;
        this.publications = core.room.publications;
    }

    #streams = new Map();
    /** Publications whose mutes are on their way to the server, and how many of each. */
    #mutesUnderWay = new Map();
    /** Publications whose last mute the server may not have heard. */
    #unheardMutes = new Set();

    async publish(track, options) {
        const { core } = this;
        const source = options.source ?? (track.kind === "audio" ? "microphone" : "camera");
        const publication = new Publication(track, { ...options, source });
        this.publications.add(publication);
        if (!core.negotiation.pc || core.room.state === "closed") return publication;
        try {
            this.#addSender(publication);
            await core.negotiation.negotiated();
        } catch (error) {
            this.publications.delete(publication);
            this.#freeSender(publication);
            throw error;
        }
        return publication;
    }

    async unpublish(publicationOrTrack) {
        const publication = this.find(publicationOrTrack);
        if (!publication) return;
        this.publications.delete(publication);
        this.#freeSender(publication);
        if (this.core.negotiation.pc && this.core.room.state !== "closed") await this.core.negotiation.negotiated();
    }

    async replaceTrack(publicationOrTrack, track) {
        const publication = this.find(publicationOrTrack);
        if (!publication) throw new SluiceError("noSuchTrack", "this track is not published");
        publication.mediaStreamTrack = track;
        await publication.transceiver?.sender.replaceTrack(track);
    }

    mute(trackOrId, muted) {
        const trackId = trackOrId?.id ?? trackOrId;
        const publication = this.find(trackOrId)
            ?? [...this.publications].find((entry) => entry.id !== null && entry.id === trackId);
        if (!publication) {
            if (trackOrId instanceof Publication || trackOrId instanceof MediaStreamTrack) {
                throw new SluiceError("noSuchTrack", "this track is not published");
            }
            if (this.core.tell("mute", { trackId, muted })) return;
            throw new SluiceError("connectionLost", "there is no connection to the server");
        }
        this.#setMuted(publication, muted);
        this.#tellMute(publication);
    }

    #setMuted(publication, muted) {
        publication.muted = muted;
        if (publication.mediaStreamTrack) publication.mediaStreamTrack.enabled = !muted;
    }

    async #tellMute(publication) {
        const { core } = this;
        const { id, muted } = publication;
        if (id === null) return;
        this.#unheardMutes.add(publication);
        if (!core.tell("mute", { trackId: id, muted })) return;
        const track = core.room.localParticipant.tracks.get(id);
        if (track) track.muted = muted;
        const underWay = this.#mutesUnderWay;
        underWay.set(publication, (underWay.get(publication) ?? 0) + 1);
        try {
            // A mute has no reply, but the server answers in order: what it says of the track before the answer to this may
            // be older than the wish. A click that follows another at once would count as somebody else's otherwise.
            await core.request("stats", {});
        } catch (error) {
            // The connection is lost, or about to be given up. A refusal is an answer too, by a server that refuses all for
            // a while: then its word counts, as the mute may have been refused with it.
            if (["connectionLost", "timeout", "closed"].includes(error.code)) return;
        } finally {
            const left = underWay.get(publication) - 1;
            if (left > 0) underWay.set(publication, left); else underWay.delete(publication);
        }
        if (underWay.has(publication)) return;
        this.#unheardMutes.delete(publication);
        if (track) this.muteTold(track);
    }

    /** After a resumption: what the server may not have heard. The rest is as the server says: somebody else may have muted
     *  it meanwhile. */
    repeat() {
        for (const publication of this.#unheardMutes) {
            if (this.publications.has(publication)) this.#tellMute(publication);
            else this.#unheardMutes.delete(publication);
        }
    }

    find(value) {
        if (value instanceof Publication) return this.publications.has(value) ? value : undefined;
        return [...this.publications].find((entry) => entry.mediaStreamTrack === value);
    }

    /** What the server does not know of yet. */
    get intents() {
        return [...this.publications].filter((entry) => entry.mid !== null && entry.id === null)
            .map(({ mid, source, name }) => ({ mid, source, name }));
    }

    // MARK: What the server says

    named(track, mid) {
        const mine = [...this.publications];
        // The message that has the mid may have been lost with a connection.
        const publication = mine.find((entry) => mid !== undefined && entry.mid === mid)
            ?? mine.find((entry) => mid === undefined && entry.id === null && entry.source === track.source);
        if (!publication) return;
        // Of a track that was there before: nobody waits for the server's word on that.
        if (publication.id !== track.id) this.#unheardMutes.delete(publication);
        publication.id = track.id;
        if (publication.muted) this.#tellMute(publication);
        else this.muteTold(track);
    }

    /** The server's word on an own track: an admin, or the operator, may have muted it. */
    muteTold({ id, muted }) {
        const publication = [...this.publications].find((entry) => entry.id === id);
        if (!publication || publication.muted === muted || this.#unheardMutes.has(publication)) return;
        if (muted) {
            this.#setMuted(publication, true);
            this.core.emit("publicationmuted", { publication });
        } else {
            // A microphone is not opened from afar; the others are told that nothing comes.
            this.#tellMute(publication);
        }
    }

    unnamed(trackId) { for (const entry of this.publications) if (entry.id === trackId) entry.id = null; }

    /** `{trackId, bitrate}`: the way to the server loses packets; bits per second for the encoder. */
    bitrateHinted({ trackId, bitrate }) {
        if (!Number.isFinite(bitrate)) return;
        this.#changeEncodings(trackId, (encodings) => {
            for (const encoding of encodings) encoding.maxBitrate = bitrate;
        });
    }

    /** `{trackId, rids}`: the layers that somebody is to receive; the others need not be sent. */
    layersWanted({ trackId, rids }) {
        if (!Array.isArray(rids)) return;
        this.#changeEncodings(trackId, (encodings) => {
            for (const encoding of encodings) if (encoding.rid) encoding.active = rids.includes(encoding.rid);
        });
    }

    #changeEncodings(trackId, change) {
        const sender = [...this.publications].find((entry) => entry.id === trackId)?.transceiver?.sender;
        if (sender) changeEncodings(sender, change).catch((error) => this.core.emit("error", { error }));
    }

    // MARK: Senders

    /** Everything anew, on a new peer connection. */
    rebuild() {
        for (const publication of this.publications) {
            publication.id = null;
            publication.transceiver = null;
            this.#addSender(publication);
        }
    }

    /** A token that only lets in spectators: without what was refused the offer can succeed. */
    dropRefused() {
        let hasDropped = false;
        for (const publication of [...this.publications]) {
            if (publication.id !== null) continue;
            this.publications.delete(publication);
            this.#freeSender(publication);
            hasDropped = true;
        }
        return hasDropped;
    }

    #addSender(publication) {
        const { pc } = this.core.negotiation;
        const { mediaStreamTrack: track, options } = publication;
        const encodings = track?.kind === "video" ? videoEncodings(track, options) : audioEncodings(options);
        const shape = encodings.map((encoding) => encoding.rid ?? encoding.scalabilityMode ?? "").join();
        const used = new Set([...this.publications].map((entry) => entry.transceiver));
        const idle = pc.getTransceivers().find((entry) => {
            return entry.sluiceShape === shape && entry.sluiceKind === publication.kind && !used.has(entry)
                && entry.direction === "inactive";
        });
        if (idle) {
            idle.direction = "sendonly";
            publication.transceiver = idle;
            // A failure here shows as a track that sends nothing; the m-line itself is right.
            idle.sender.replaceTrack(track).catch((error) => this.core.emit("error", { error }));
            // What the former track's subscribers wanted is not what this one's will.
            changeEncodings(idle.sender, (list) => { for (const encoding of list) encoding.active = true; })
                .catch((error) => this.core.emit("error", { error }));
            return;
        }
        const transceiver = this.#addTransceiver(pc, publication, encodings);
        transceiver.sluiceShape = shape;
        transceiver.sluiceKind = publication.kind;
        publication.transceiver = transceiver;
        if (publication.kind === "video") {
            // What every browser can decode comes first; the others follow in the browser's order.
            preferCodec(transceiver, options.codec ?? "VP8");
            askForDependencyDescriptor(transceiver);
        }
    }

    #addTransceiver(pc, publication, encodings) {
        const track = publication.mediaStreamTrack;
        const init = { direction: "sendonly", streams: [this.#stream(publication.source)] };
        if (encodings.length > 0) init.sendEncodings = encodings;
        // Browsers that do not know a scalability mode, or layers, or `sendEncodings` at all, send what they can.
        const attempts = [init.sendEncodings, encodings.map(({ scalabilityMode, ...rest }) => rest), undefined];
        for (const [index, sendEncodings] of attempts.entries()) {
            try {
                return pc.addTransceiver(track ?? publication.kind, sendEncodings?.length ? { ...init, sendEncodings } : {
                    direction: init.direction, streams: init.streams,
                });
            } catch (error) {
                if (index === attempts.length - 1) throw error;
            }
        }
        return undefined;
    }

    #freeSender(publication) {
        const transceiver = publication.transceiver;
        publication.transceiver = null;
        publication.id = null;
        if (!transceiver || transceiver.direction === "stopped" || this.core.room.state === "closed") return;
        transceiver.sender.replaceTrack(null).catch(() => {});
        transceiver.direction = "inactive";
    }

    /** Sound and picture of one source play together. */
    #stream(source) {
        const group = source === "screen" || source === "screenAudio" ? "screen" : "camera";
        if (!this.#streams.has(group)) this.#streams.set(group, new MediaStream());
        return this.#streams.get(group);
    }
}
