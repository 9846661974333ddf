// Who is in the room and what they publish, as the server tells it.
import { Participant, Track } from "./sluice-model.js";

export class Roster {
    constructor(core) { this.core = core; }

    /** A participant by id, oneself included. */
    find(id) {
        const { localParticipant, participants } = this.core.room;
        return id === localParticipant?.id ? localParticipant : participants.get(id);
    }

    replace(list) {
        const present = new Set(list.map((info) => info.id));
        for (const id of [...this.core.room.participants.keys()]) if (!present.has(id)) this.left(id, "left");
        for (const info of list) this.seen(info);
    }

    seen(info) {
        if (!info) return;
        let participant = this.find(info.id);
        if (participant) {
            participant.update(info);
            this.#updateTracks(participant, info.tracks ?? []);
            this.core.emit("participantchanged", { participant });
            return;
        }
        participant = new Participant(info);
        this.core.room.participants.set(participant.id, participant);
        this.core.emit("participantjoined", { participant });
        this.#updateTracks(participant, info.tracks ?? []);
    }

    #updateTracks(participant, list) {
        const present = new Set(list.map((info) => info.id));
        for (const id of [...participant.tracks.keys()]) if (!present.has(id)) this.unpublished(id);
        for (const info of list) {
            const known = participant.tracks.get(info.id);
            if (known) {
                known.update(info);
                if (participant === this.core.room.localParticipant) this.core.publishing.muteTold(known);
                else this.core.subscriptions.trackChanged(known);
            } else {
                this.published(participant.id, info);
            }
        }
    }

    left(id, reason) {
        const participant = this.core.room.participants.get(id);
        if (!participant) return;
        for (const track of [...participant.tracks.keys()]) this.unpublished(track);
        this.core.room.participants.delete(id);
        this.core.subscriptions.forget(participant);
        this.core.emit("participantleft", { participant, reason });
    }

    published(participantId, info, mid) {
        const { room } = this.core;
        if (participantId === room.localParticipant?.id) {
            this.#ownPublished(info, mid);
            return;
        }
        const participant = room.participants.get(participantId);
        if (!participant) return;
        const known = participant.tracks.get(info.id);
        if (known) {
            known.update(info);
            return;
        }
        const track = new Track(info, participant);
        participant.tracks.set(track.id, track);
        room.tracks.set(track.id, track);
        this.core.emit("trackpublished", { track, participant });
        this.core.subscriptions.trackCame();
    }

    #ownPublished(info, mid) {
        const local = this.core.room.localParticipant;
        const track = local.tracks.get(info.id) ?? new Track(info, local);
        track.update(info);
        track.mid = mid ?? track.mid;
        local.tracks.set(track.id, track);
        this.core.publishing.named(track, mid);
        this.core.emit("trackpublished", { track, participant: local });
    }

    unpublished(id) {
        const { room } = this.core;
        const local = room.localParticipant;
        if (local?.tracks.has(id)) {
            const track = local.tracks.get(id);
            local.tracks.delete(id);
            this.core.publishing.unnamed(id);
            this.core.emit("trackunpublished", { track, participant: local });
            return;
        }
        const track = room.tracks.get(id);
        if (!track) return;
        this.core.subscriptions.trackWent(id);
        room.tracks.delete(id);
        track.participant.tracks.delete(id);
        this.core.emit("trackunpublished", { track, participant: track.participant });
    }

    // MARK: What the server says about them

    layerChanged({ trackId, ...layer }) {
        const track = this.core.room.tracks.get(trackId);
        if (!track) return;
        track.layer = layer;
        this.core.emit("layer", { track, participant: track.participant, ...layer });
    }

    speakersChanged({ participantIds = [], levels = [] }) {
        const pairs = participantIds.map((id, index) => [this.find(id), levels[index] ?? 0]).filter(([who]) => who);
        const participants = pairs.map(([who]) => who);
        this.core.emit("activespeakers", { participants, levels: pairs.map(([, level]) => level) });
    }

    qualityChanged({ participantId, ...quality }) {
        const participant = this.find(participantId);
        if (!participant) return;
        participant.quality = quality;
        this.core.emit("quality", { participant, ...quality });
    }
}
