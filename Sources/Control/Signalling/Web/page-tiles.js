// The grid: a tile for everybody's camera and microphone, and one for each shared screen.
import { camera, microphone } from "./page-devices.js";
import { $, icon, meeting, now, rateText } from "./page-shell.js";

export const tiles = new Map();
const blocked = new Set();

/** What one participant shows: the camera with the microphone, or the screen. */
export class Tile {
    constructor(participant, { isScreen = false, isOwn = false } = {}) {
        this.participant = participant;
        this.isScreen = isScreen;
        this.isOwn = isOwn;
        this.video = null;
        this.audio = null;
        /** As the server says; the level of this page's own receiver adds to it. */
        this.isActiveSpeaker = false;
        this.spokeAt = -Infinity;
        this.lastBytes = new Map();

        this.element = document.createElement("li");
        this.element.className = `tile${isScreen ? " screen" : ""}${isOwn && !isScreen ? " mirrored" : ""}`;
        this.element.tile = this;
        this.element.dataset.participant = participant.id;
        this.picture = document.createElement("video");
        this.picture.muted = true;
        this.picture.playsInline = true;
        this.picture.autoplay = true;
        this.sound = document.createElement("audio");
        this.sound.autoplay = true;
        this.avatar = document.createElement("span");
        this.avatar.className = "avatar";
        this.avatar.setAttribute("aria-hidden", "true");
        // On demand, also for those who use no mouse: the picture's figures open the sentence why.
        this.info = document.createElement("details");
        this.info.className = "info";
        this.info.hidden = true;
        this.facts = document.createElement("summary");
        this.facts.className = "facts";
        this.why = document.createElement("p");
        this.why.className = "why";
        this.info.append(this.facts, this.why);
        this.notice = document.createElement("p");
        this.notice.className = "notice";
        this.notice.hidden = true;
        const caption = document.createElement("span");
        caption.className = "caption";
        this.who = document.createElement("span");
        this.who.className = "who";
        this.muteIcon = icon("icon-mic", "icon-slash");
        this.muteText = document.createElement("span");
        this.muteText.className = "visually-hidden";
        this.bars = document.createElement("span");
        this.bars.className = "bars";
        this.bars.setAttribute("role", "img");
        this.bars.append(...[1, 2, 3, 4].map(() => document.createElement("i")));
        this.bars.hidden = true;
        caption.append(this.muteIcon, this.who, this.muteText, this.bars);
        this.element.append(this.picture, this.avatar, this.notice, this.info, caption);
        if (!isOwn) this.element.append(this.sound);
        $("grid").append(this.element);
        this.show();
        this.showQuality();
    }

    remove() {
        meeting.room?.unobserve(this.element);
        for (const element of [this.picture, this.sound]) {
            blocked.delete(element);
            element.srcObject = null;
        }
        this.element.remove();
        showBlocked();
    }

    show() {
        const name = this.participant.name || this.participant.identity || "Guest";
        const label = this.isOwn ? (this.isScreen ? "Your screen" : `${name} (you)`) : this.isScreen ? `${name}'s screen` : name;
        this.who.textContent = label;
        this.avatar.textContent = [...name.trim()][0]?.toUpperCase() ?? "?";
        this.avatar.style.setProperty("--avatar", `hsl(${hue(this.participant.id)} 38% 38%)`);
        this.picture.setAttribute("aria-label", `Picture of ${label}`);
        if (this.isOwn) return;
        const voice = [...this.participant.tracks.values()].find((track) => track.source === "microphone");
        const isMuted = !this.isScreen && (!voice || voice.muted);
        this.muteIcon.toggleAttribute("hidden", !isMuted);
        this.muteText.textContent = isMuted ? ", muted" : "";
        this.element.dataset.video = this.video && !this.video.muted && this.video.mediaStreamTrack ? "on" : "off";
    }

    showOwn() {
        if (this.isScreen) return;
        this.muteIcon.toggleAttribute("hidden", microphone.isOn);
        this.muteText.textContent = microphone.isOn ? "" : ", muted";
        const track = camera.isOn ? camera.track : null;
        if ((this.picture.srcObject?.getVideoTracks()[0] ?? null) !== track) {
            this.picture.srcObject = track ? new MediaStream([track]) : null;
            if (track) play(this.picture);
        }
        this.element.dataset.video = track ? "on" : "off";
    }

    attach(track) {
        const element = track.kind === "video" ? this.picture : this.sound;
        if (track.kind === "video") this.video = track; else this.audio = track;
        element.srcObject = new MediaStream([track.mediaStreamTrack]);
        play(element);
        if (track.kind === "video") {
            noteFirstFrame(element);
            // Nobody has to send more pixels than the tile has.
            meeting.room?.observe(this.element, track);
            this.showLayer();
        }
        this.show();
    }

    detach(track) {
        if (track === this.video) {
            this.video = null;
            this.picture.srcObject = null;
            meeting.room?.unobserve(this.element);
            this.showLayer();
        }
        if (track === this.audio) {
            this.audio = null;
            this.sound.srcObject = null;
            blocked.delete(this.sound);
            showBlocked();
        }
        this.show();
    }

    /** What the server sends, and why; a notice where it sends nothing. */
    showLayer() {
        const layer = this.video?.layer;
        const lines = [];
        if (layer?.reason) lines.push(`${layer.reason[0].toUpperCase()}${layer.reason.slice(1)}.`);
        if (layer && !layer.paused) lines.push(`This layer takes ${rateText(layer.targetBitrate ?? 0)}.`);
        if (layer?.nextLayerNeeds) lines.push(`The next one needs ${rateText(layer.nextLayerNeeds)}.`);
        if (layer?.estimate) lines.push(`Your connection carries about ${rateText(layer.estimate)}.`);
        this.why.textContent = lines.join(" ");
        const isPaused = Boolean(layer?.paused) && !this.video.muted;
        this.notice.hidden = !isPaused;
        this.notice.textContent = isPaused ? `Picture paused: ${layer.reason.replace(/^paused:? ?/, "") || "no reason"}` : "";
        this.element.dataset.paused = String(isPaused);
        if (!layer) {
            this.facts.textContent = "";
            this.info.hidden = true;
        }
    }

    /** Four bars for a score of 1 to 5. */
    showQuality() {
        const quality = this.isScreen ? null : this.participant.quality;
        this.bars.hidden = !quality;
        if (!quality) return;
        const count = Math.min(Math.max(Math.round(quality.score) - 1, 0), 4);
        this.bars.dataset.count = String(count);
        const figures = `${quality.score} of 5; ${(quality.fractionLost * 100).toFixed(1)} % lost`
            + (quality.roundTripTime ? `, ${Math.round(quality.roundTripTime * 1e3)} ms round trip` : "");
        this.bars.title = `Connection ${figures}`;
        this.bars.setAttribute("aria-label", `Connection quality ${quality.score} of 5`);
    }

    /** @param {Map<string, object>} inbound by the identifier of the browser's track, and by mid */
    showFacts(inbound) {
        if (this.element.dataset.video !== "on") {
            this.info.hidden = true;
            return;
        }
        const report = inbound.get(this.video?.mediaStreamTrack?.id) ?? inbound.get(`mid ${this.video?.mid}`);
        if (!report) return;
        const last = this.lastBytes.get(report.id);
        this.lastBytes.set(report.id, { bytes: report.bytesReceived, at: report.timestamp });
        const seconds = last ? (report.timestamp - last.at) / 1_000 : 0;
        const rate = seconds > 0 ? ((report.bytesReceived - last.bytes) * 8) / seconds : 0;
        const parts = [];
        if (report.frameWidth) parts.push(`${report.frameWidth}\u00d7${report.frameHeight}`);
        if (report.framesPerSecond !== undefined) parts.push(`${Math.round(report.framesPerSecond)} fps`);
        if (rate > 0) parts.push(rateText(rate));
        const layer = this.video.layer;
        if (layer) {
            const rid = this.video.simulcast[layer.spatial]?.rid;
            const temporal = layer.temporal === undefined ? "" : `.${layer.temporal}`;
            parts.push(layer.paused ? "paused" : `layer ${rid ?? layer.spatial}${temporal}`);
        }
        this.facts.textContent = parts.join(" \u00b7 ");
        this.info.hidden = parts.length === 0;
    }

    heard(level) {
        if (level > 0.02) this.spokeAt = now();
        const isSpeaking = this.isActiveSpeaker || now() - this.spokeAt < 600;
        if (this.element.dataset.speaking !== String(isSpeaking)) this.element.dataset.speaking = String(isSpeaking);
    }
}

function hue(text) { return [...text].reduce((sum, character) => (sum * 131 + character.codePointAt(0) * 47) % 360, 7); }

export function tileFor(track) {
    const isScreen = track.source === "screen" || track.source === "screenAudio";
    const key = `${track.participant.id}${isScreen ? " screen" : ""}`;
    if (!tiles.has(key)) {
        tiles.set(key, new Tile(track.participant, { isScreen }));
        arrange();
    }
    return tiles.get(key);
}

export function dropTile(key) {
    tiles.get(key)?.remove();
    tiles.delete(key);
    arrange();
}

export function arrange() {
    const count = tiles.size;
    $("grid").dataset.count = count <= 4 ? String(count) : count <= 9 ? "many" : "crowd";
    $("alone").hidden = !meeting.room || meeting.room.participants.size > 0;
}

function noteFirstFrame(element) {
    const done = () => { window.sluice.timings.firstFrame ??= now(); };
    if (element.requestVideoFrameCallback) element.requestVideoFrameCallback(done);
    else element.addEventListener("loadeddata", done, { once: true });
}

/** Autoplay with sound needs a click first, in some browsers. */
export function play(element) {
    element.play().then(() => { blocked.delete(element); }).catch((error) => {
        if (error.name === "NotAllowedError") blocked.add(element);
    }).finally(showBlocked);
}

/** The click that was wanted has come. */
export function playBlocked() { for (const element of [...blocked]) play(element); }

function showBlocked() { $("hear").hidden = blocked.size === 0; }
