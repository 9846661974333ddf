// The meeting page: a form, a grid of tiles, four buttons. What is said to the server is said by sluice.js.
import { Room, SluiceError } from "/sluice.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const now = () => performance.now();

/** For tests and for the curious: the room, and when what happened (`performance.now()`). */
window.sluice = { room: null, timings: {}, errors: [] };

// MARK: Words

const codeWords = {
    roomFull: "This room is full. Try again when somebody has left.",
    unauthorized: "The server refused your invitation. Ask for a new link.",
    forbidden: "Your invitation does not allow this.",
    draining: "The server is about to restart and takes no new meetings. Try again in a minute.",
    rateLimited: "Too many attempts. Wait a moment and try again.",
    connectionLost: "There is no connection to the server. Check your network and try again.",
    timeout: "The server does not answer. Try again in a moment.",
    sdpUnsupported: "This browser and the server have no way of calling in common.",
    notSupported: "This browser can't make calls: WebRTC is missing or switched off.",
    internal: "Something went wrong at the server. Try again.",
};

const closeWords = {
    duplicateIdentity: "You joined this meeting from another window, so this one has left.",
    resumed: "This meeting goes on in another window.",
    removed: "You were taken out of the meeting.",
    roomClosed: "The meeting was ended.",
    connectionLost: "The connection was lost and could not be found again. Join once more when your network is back.",
    mediaEnded: "The call ended because no media came through. A firewall may block UDP.",
};

function words(error) {
    if (error instanceof SluiceError) {
        const known = codeWords[error.code];
        return known && error.code !== "unauthorized" ? known : `${known ?? "That did not work."} (${error.message})`;
    }
    return `That did not work. (${error?.message ?? error})`;
}

function deviceWords(error, what) {
    switch (error?.name) {
        case "NotAllowedError": case "SecurityError":
            return `The browser may not use your ${what}. Allow it in the address bar, or join without.`;
        case "NotFoundError": case "OverconstrainedError": return `No ${what} was found. You can join without.`;
        case "NotReadableError": case "AbortError":
            return `Your ${what} does not start; another program may be using it. You can join without.`;
        case "InsecureContextError":
            return "Browsers give camera and microphone only to pages opened with https:// or from localhost. "
                + "You can join without.";
        default: return `Your ${what} does not start. (${error?.message ?? error})`;
    }
}

function status(text) { $("status").textContent = text; }

function alertUser(text, action) {
    const box = $("alert");
    box.replaceChildren();
    if (!text) return;
    const message = document.createElement("span");
    message.textContent = text;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = action?.label ?? "Dismiss";
    button.addEventListener("click", () => { box.replaceChildren(); action?.run(); });
    box.append(message, button);
}

// MARK: Camera and microphone

const size = /^(\d+)x(\d+)$/.exec(query.get("size") ?? "");
const constraints = {
    audio: (deviceId) => ({ deviceId: deviceId ? { exact: deviceId } : undefined, echoCancellation: true,
        noiseSuppression: true, autoGainControl: true }),
    video: (deviceId) => ({ deviceId: deviceId ? { exact: deviceId } : undefined, facingMode: deviceId ? undefined : "user",
        width: { ideal: Number(size?.[1] ?? 1280) }, height: { ideal: Number(size?.[2] ?? 720) }, frameRate: { ideal: 30 } }),
};

/** One of the two devices: what is chosen, what runs, what is published. */
class Device {
    constructor(kind, what, select) {
        this.kind = kind;
        this.what = what;
        this.select = select;
        this.track = null;
        this.publication = null;
        this.deviceId = "";
    }

    get isOn() { return this.track !== null && this.track.enabled; }

    async open(deviceId = this.deviceId) {
        if (!navigator.mediaDevices?.getUserMedia) {
            throw new DOMException("no secure context", window.isSecureContext ? "NotSupportedError" : "InsecureContextError");
        }
        const stream = await navigator.mediaDevices.getUserMedia({ [this.kind]: constraints[this.kind](deviceId) });
        this.take(stream.getTracks()[0]);
    }

    take(track) {
        this.track?.stop();
        this.track = track;
        this.deviceId = track.getSettings().deviceId ?? "";
        track.addEventListener("ended", () => {
            if (this.track !== track) return;
            this.track = null;
            alertUser(`Your ${this.what} was unplugged or taken away.`);
            if (this.publication) quietly(setPublished(this));
            showDevices();
        });
    }

    stop() {
        this.track?.stop();
        this.track = null;
    }
}

const camera = new Device("video", "camera", $("camera-select"));
const microphone = new Device("audio", "microphone", $("mic-select"));
let screenPublications = [];

function quietly(promise) { promise.catch((error) => fail(error)); }

function fail(error) {
    window.sluice.errors.push(String(error?.code ?? error?.name ?? error));
    alertUser(words(error));
}

/** Asks once for both, so that the browser shows one question; then for each, when one is missing. */
async function openDevices() {
    try {
        if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "InsecureContextError");
        const both = await navigator.mediaDevices.getUserMedia({
            audio: constraints.audio(""), video: constraints.video(""),
        });
        camera.take(both.getVideoTracks()[0]);
        microphone.take(both.getAudioTracks()[0]);
        note("");
    } catch (error) {
        if (["NotAllowedError", "SecurityError", "InsecureContextError"].includes(error.name)) {
            note(deviceWords(error, "camera and microphone"));
        } else {
            const failures = [];
            for (const device of [camera, microphone]) {
                try { await device.open(""); } catch (reason) { failures.push(deviceWords(reason, device.what)); }
            }
            note(failures.join(" "));
        }
    }
    await listDevices();
    showDevices();
}

function note(text) { $("preview-note").textContent = text || "Your camera is off."; }

async function listDevices() {
    const list = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
    for (const [device, kind] of [[camera, "videoinput"], [microphone, "audioinput"]]) {
        const found = list.filter((entry) => entry.kind === kind && (entry.deviceId || entry.label));
        const options = found.map((entry, index) => {
            return new Option(entry.label || `${device.what} ${index + 1}`, entry.deviceId, false,
                entry.deviceId === device.deviceId);
        });
        device.select.replaceChildren(...(options.length > 0 ? options : [new Option("None", "")]));
        device.select.disabled = options.length === 0;
    }
}

async function toggle(device, isOn = !device.isOn) {
    try {
        if (!isOn) {
            // A camera that is off has its light off. A microphone stays open, so that it is back at once.
            if (device === camera) device.stop(); else if (device.track) device.track.enabled = false;
        } else if (device.track) {
            device.track.enabled = true;
        } else {
            await device.open();
            await listDevices();
            note("");
        }
        await setPublished(device);
    } catch (error) {
        if (error instanceof SluiceError) fail(error);
        else {
            note(deviceWords(error, device.what));
            if (room) alertUser(deviceWords(error, device.what));
        }
    }
    showDevices();
}

/** Brings what the room gets of a device in line with its state. */
async function setPublished(device) {
    if (!room) return;
    if (!device.publication) {
        if (!device.isOn) return;
        const source = device === camera ? "camera" : "microphone";
        device.publication = await room.publish(device.track, { source });
        return;
    }
    if (device.publication.mediaStreamTrack !== device.track) await room.replaceTrack(device.publication, device.track);
    await room.mute(device.publication, !device.isOn);
}

async function chooseDevice(device) {
    const wasOn = device.isOn;
    try {
        await device.open(device.select.value);
        if (!wasOn) await toggle(device, false);
        else await setPublished(device);
    } catch (error) { note(deviceWords(error, device.what)); }
    showDevices();
}

function showDevices() {
    const preview = $("preview");
    const stream = preview.srcObject;
    if (stream?.getVideoTracks()[0] !== camera.track || !stream) {
        preview.srcObject = camera.track ? new MediaStream([camera.track]) : null;
        if (camera.track) preview.play().catch(() => {});
    }
    document.querySelector(".stage").dataset.camera = camera.isOn ? "on" : "off";
    $("preview-camera").setAttribute("aria-pressed", String(camera.isOn));
    $("preview-mic").setAttribute("aria-pressed", String(microphone.isOn));
    showButton($("mic"), microphone.isOn, "Mute", "Unmute");
    showButton($("camera"), camera.isOn, "Stop camera", "Start camera");
    showButton($("screen"), screenPublications.length > 0, "Stop sharing", "Share screen");
    meterMicrophone();
    ownTile?.showOwn();
}

function showButton(button, isOn, on, off) {
    button.dataset.on = String(isOn);
    button.querySelector("span").textContent = isOn ? on : off;
}

// MARK: One's own level

let meter = null;

/** An analyser on the microphone; browsers keep it asleep until the first click, which does no harm. */
function meterMicrophone() {
    if (meter?.track === microphone.track) return;
    meter?.source.disconnect();
    meter = null;
    if (!microphone.track || typeof AudioContext === "undefined") return;
    meterMicrophone.context ??= new AudioContext();
    const source = meterMicrophone.context.createMediaStreamSource(new MediaStream([microphone.track]));
    const analyser = meterMicrophone.context.createAnalyser();
    analyser.fftSize = 512;
    source.connect(analyser);
    meter = { track: microphone.track, source, analyser, samples: new Float32Array(analyser.fftSize) };
}

/** Root mean square, 0 to 1. */
function ownLevel() {
    if (!meter || !microphone.isOn) return 0;
    meter.analyser.getFloatTimeDomainData(meter.samples);
    return Math.sqrt(meter.samples.reduce((sum, sample) => sum + sample * sample, 0) / meter.samples.length);
}

// MARK: Tiles

const tiles = new Map();
let ownTile = null;
const blocked = new Set();

const sizes = typeof ResizeObserver === "undefined" ? null : new ResizeObserver((entries) => {
    for (const { target } of entries) target.tile?.sizeChanged();
});
const visibility = typeof IntersectionObserver === "undefined" ? null : new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) target.tile?.visibilityChanged(isIntersecting);
}, { threshold: 0 });

/** What one participant shows: the camera with the microphone, or the screen. */
class Tile {
    constructor(participant, { isScreen = false, isOwn = false } = {}) {
        this.participant = participant;
        this.isScreen = isScreen;
        this.isOwn = isOwn;
        this.video = null;
        this.audio = null;
        this.isVisible = true;
        this.spokeAt = -Infinity;
        this.lastBytes = new Map();
        this.preferred = "";

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
        this.facts = document.createElement("span");
        this.facts.className = "facts";
        const caption = document.createElement("span");
        caption.className = "caption";
        this.who = document.createElement("span");
        this.who.className = "who";
        this.muteIcon = icon("icon-mic", "icon-slash");
        this.muteText = document.createElement("span");
        this.muteText.className = "visually-hidden";
        caption.append(this.muteIcon, this.who, this.muteText);
        this.element.append(this.picture, this.avatar, this.facts, caption);
        if (!isOwn) this.element.append(this.sound);
        $("grid").append(this.element);
        if (!isOwn) {
            sizes?.observe(this.element);
            visibility?.observe(this.element);
        }
        this.show();
    }

    remove() {
        sizes?.unobserve(this.element);
        visibility?.unobserve(this.element);
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
            this.preferred = "";
            this.sizeChanged();
        }
        this.show();
    }

    detach(track) {
        if (track === this.video) {
            this.video = null;
            this.picture.srcObject = null;
            this.facts.textContent = "";
        }
        if (track === this.audio) {
            this.audio = null;
            this.sound.srcObject = null;
            blocked.delete(this.sound);
            showBlocked();
        }
        this.show();
    }

    sizeChanged() {
        clearTimeout(this.preferTimer);
        this.preferTimer = setTimeout(() => this.prefer(), 400);
    }

    visibilityChanged(isVisible) {
        this.isVisible = isVisible;
        this.sizeChanged();
    }

    /** Nobody has to send more pixels than the tile has, rounded up so that small changes say nothing. */
    prefer() {
        if (!room || !this.video) return;
        const { width, height } = this.element.getBoundingClientRect();
        const pixels = (length) => Math.max(Math.ceil((length * devicePixelRatio) / 160) * 160, 160);
        // The picture covers the tile: the longer side decides, both are the same for the server's choice.
        const wish = { maxWidth: pixels(Math.max(width, (height * 16) / 9)), maxHeight: pixels(Math.max(height, (width * 9) / 16)),
            paused: !this.isVisible };
        if (this.isScreen) wish.priority = 200;
        const text = JSON.stringify(wish);
        if (text === this.preferred) return;
        this.preferred = text;
        room.prefer(this.video, wish);
    }

    /** @param {Map<string, object>} inbound by the identifier of the browser's track, and by mid */
    showFacts(inbound) {
        if (this.element.dataset.video !== "on") {
            this.facts.textContent = "";
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
            parts.push(`layer ${rid ?? layer.spatial}${layer.temporal === undefined ? "" : `.${layer.temporal}`}`);
            this.facts.title = `${layer.reason ?? ""} (target ${rateText(layer.targetBitrate ?? 0)})`;
        }
        this.facts.textContent = parts.join(" \u00b7 ");
    }

    heard(level) {
        if (level > 0.02) this.spokeAt = now();
        const isSpeaking = now() - this.spokeAt < 600;
        if (this.element.dataset.speaking !== String(isSpeaking)) this.element.dataset.speaking = String(isSpeaking);
    }
}

function icon(...names) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("aria-hidden", "true");
    for (const name of names) {
        const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
        use.setAttribute("href", `#${name}`);
        svg.append(use);
    }
    return svg;
}

function hue(text) { return [...text].reduce((sum, character) => (sum * 131 + character.codePointAt(0) * 47) % 360, 7); }

function rateText(bits) { return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`; }

function tileFor(track) {
    const isScreen = track.source === "screen" || track.source === "screenAudio";
    const key = `${track.participant.id}${isScreen ? " screen" : ""}`;
    if (!tiles.has(key)) {
        tiles.set(key, new Tile(track.participant, { isScreen }));
        arrange();
    }
    return tiles.get(key);
}

function dropTile(key) {
    tiles.get(key)?.remove();
    tiles.delete(key);
    arrange();
}

function arrange() {
    const count = tiles.size;
    $("grid").dataset.count = count <= 4 ? String(count) : count <= 9 ? "many" : "crowd";
    $("alone").hidden = !room || room.participants.size > 0;
}

function noteFirstFrame(element) {
    const done = () => { window.sluice.timings.firstFrame ??= now(); };
    if (element.requestVideoFrameCallback) element.requestVideoFrameCallback(done);
    else element.addEventListener("loadeddata", done, { once: true });
}

/** Autoplay with sound needs a click first, in some browsers. */
function play(element) {
    element.play().then(() => { blocked.delete(element); }).catch((error) => {
        if (error.name === "NotAllowedError") blocked.add(element);
    }).finally(showBlocked);
}

function showBlocked() { $("hear").hidden = blocked.size === 0; }

// MARK: The room

let room = null;
let timers = [];

async function join({ withDevices = true } = {}) {
    const name = $("name").value.trim();
    const roomId = $("room").value.trim();
    if (!checkForm(name, roomId)) return;
    try { localStorage.setItem("sluice.name", name); } catch { /* private mode */ }
    if (!withDevices) {
        camera.stop();
        microphone.stop();
    }
    window.sluice.timings = { click: now() };
    document.body.dataset.state = "connecting";
    for (const id of ["join", "join-silent"]) $(id).disabled = true;
    status("Connecting\u2026");
    alertUser("");
    let next;
    try {
        next = new Room({ roomId, name, token: query.get("token") ?? undefined });
        listen(next);
        camera.publication = camera.isOn ? await next.publish(camera.track, { source: "camera" }) : null;
        microphone.publication = microphone.track
            ? await next.publish(microphone.track, { source: "microphone" }) : null;
        room = window.sluice.room = next;
        // Joining is a click, so sound may start from here on.
        meterMicrophone.context?.resume().catch(() => {});
        await next.join();
    } catch (error) {
        backToLobby();
        fail(error);
    }
}

function checkForm(name, roomId) {
    const problems = [["name", name ? "" : "Say who you are."], ["room", roomId ? "" : "Say which room."]];
    for (const [id, text] of problems) {
        $(`${id}-error`).textContent = text;
        $(id).setAttribute("aria-invalid", String(text !== ""));
    }
    const first = problems.find(([, text]) => text);
    if (first) $(first[0]).focus();
    return !first;
}

function listen(target) {
    const on = (type, listener) => target.addEventListener(type, ({ detail }) => {
        if (target === room || room === null) listener(detail);
    });
    const nameOf = (participant) => participant.name || participant.identity || "Somebody";
    on("joined", () => {
        window.sluice.timings.joined ??= now();
        enterMeeting();
    });
    on("connected", () => {
        window.sluice.timings.connected ??= now();
        document.body.dataset.state = "connected";
        status("Connected");
    });
    on("participantjoined", ({ participant }) => {
        tiles.set(participant.id, new Tile(participant));
        arrange();
        if (ownTile) status(`${nameOf(participant)} joined`);
    });
    on("participantleft", ({ participant }) => {
        dropTile(participant.id);
        dropTile(`${participant.id} screen`);
        status(`${nameOf(participant)} left`);
    });
    on("participantchanged", ({ participant }) => {
        tiles.get(participant.id)?.show();
        tiles.get(`${participant.id} screen`)?.show();
    });
    on("trackpublished", ({ track, participant }) => {
        tiles.get(participant.id)?.show();
        if (track.source === "screen" && participant !== target.localParticipant) status(`${nameOf(participant)} shares the screen`);
    });
    on("tracksubscribed", ({ track }) => {
        window.sluice.timings.subscribed ??= now();
        tileFor(track).attach(track);
    });
    const gone = ({ track, participant }) => {
        if (participant === target.localParticipant) return;
        const isScreen = track.source === "screen" || track.source === "screenAudio";
        const tile = tiles.get(`${participant.id}${isScreen ? " screen" : ""}`);
        if (track === tile?.video || track === tile?.audio) tile.detach(track);
        tile?.show();
        if (isScreen && tile && !tile.video && !tile.audio) dropTile(`${participant.id} screen`);
    };
    on("trackunsubscribed", gone);
    on("trackunpublished", gone);
    on("activespeakers", ({ participants, levels }) => {
        participants.forEach((participant, index) => tiles.get(participant.id)?.heard(levels[index]));
    });
    on("quality", ({ participant, score }) => {
        if (participant === target.localParticipant && score !== undefined) document.body.dataset.quality = String(Math.round(score));
    });
    on("reconnecting", () => {
        document.body.dataset.state = "reconnecting";
        status("Connection lost. Reconnecting\u2026");
    });
    on("reconnected", () => {
        document.body.dataset.state = "connected";
        status("Connected again");
    });
    on("draining", () => alertUser("The server will restart soon. This meeting may break off; join again then."));
    on("error", ({ error }) => {
        if (error.code === "forbidden") alertUser("Your invitation does not allow you to send this; you can watch and listen.");
        else fail(error);
    });
    on("closed", ({ reason, error }) => {
        const wasInside = ownTile !== null;
        backToLobby();
        if (reason === "left" || !wasInside) return;
        window.sluice.errors.push(reason);
        alertUser(closeWords[reason] ?? (error ? words(error) : "The meeting is over."), {
            label: "Join again", run: () => quietly(join()),
        });
    });
}

function enterMeeting() {
    if (ownTile) {
        // Joined anew after a loss: the tiles of the others are made by their events.
        dropTile("own");
    }
    document.body.dataset.view = "meeting";
    $("lobby").hidden = true;
    $("meeting").hidden = false;
    $("copy-link").hidden = false;
    $("room-title").textContent = room.roomId;
    document.title = `${room.roomId} \u00b7 Sluice`;
    ownTile = new Tile(room.localParticipant, { isOwn: true });
    tiles.set("own", ownTile);
    arrange();
    showDevices();
    if (timers.length === 0) timers = [setInterval(showLevels, 150), setInterval(() => quietly(showStats()), 1_000)];
    $("mic").focus({ preventScroll: true });
}

function backToLobby() {
    for (const timer of timers.splice(0)) clearInterval(timer);
    for (const key of [...tiles.keys()]) dropTile(key);
    for (const { mediaStreamTrack } of screenPublications.splice(0)) mediaStreamTrack?.stop();
    const wasInside = document.body.dataset.view === "meeting";
    ownTile = null;
    room = null;
    camera.publication = microphone.publication = null;
    document.body.dataset.view = "lobby";
    document.body.dataset.state = "";
    $("lobby").hidden = false;
    $("meeting").hidden = true;
    $("copy-link").hidden = true;
    $("room-title").textContent = "";
    document.title = "Sluice";
    for (const id of ["join", "join-silent"]) $(id).disabled = false;
    status(wasInside ? "You left the meeting" : "");
    showDevices();
    if (wasInside) $("join").focus();
}

function showLevels() {
    ownTile?.heard(ownLevel());
    const receivers = new Map();
    for (const { mid, receiver } of room?.peerConnection?.getTransceivers() ?? []) receivers.set(mid, receiver);
    for (const tile of tiles.values()) {
        if (tile.isOwn || !tile.audio) continue;
        const [source] = receivers.get(tile.audio.mid)?.getSynchronizationSources?.() ?? [];
        tile.heard(tile.audio.muted ? 0 : source?.audioLevel ?? 0);
    }
}

async function showStats() {
    const report = await room?.peerConnection?.getStats();
    if (!report) return;
    const inbound = new Map();
    report.forEach((entry) => {
        if (entry.type !== "inbound-rtp" || entry.kind !== "video") return;
        if (entry.trackIdentifier) inbound.set(entry.trackIdentifier, entry);
        if (entry.mid) inbound.set(`mid ${entry.mid}`, entry);
    });
    for (const tile of tiles.values()) if (!tile.isOwn) tile.showFacts(inbound);
}

async function toggleScreen() {
    if (screenPublications.length > 0) {
        const publications = screenPublications.splice(0);
        dropTile("own screen");
        showDevices();
        for (const publication of publications) publication.mediaStreamTrack?.stop();
        for (const publication of publications) await room?.unpublish(publication);
        return;
    }
    let stream;
    try {
        stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: true });
    } catch (error) {
        // Closing the browser's own window is an answer, not an error.
        if (error.name !== "NotAllowedError") alertUser(deviceWords(error, "screen"));
        return;
    }
    for (const track of stream.getTracks()) {
        if (track.kind === "video") track.contentHint = "detail";
        track.addEventListener("ended", () => { if (screenPublications.length > 0) quietly(toggleScreen()); });
        const source = track.kind === "video" ? "screen" : "screenAudio";
        screenPublications.push(await room.publish(track, { source, simulcast: false }));
    }
    const tile = new Tile(room.localParticipant, { isOwn: true, isScreen: true });
    tile.picture.srcObject = new MediaStream(stream.getVideoTracks());
    tile.element.dataset.video = "on";
    tile.muteIcon.toggleAttribute("hidden", true);
    play(tile.picture);
    tiles.set("own screen", tile);
    arrange();
    showDevices();
}

async function copyLink() {
    const link = new URL("/", location.href);
    link.searchParams.set("room", room.roomId);
    try {
        await navigator.clipboard.writeText(link.href);
        status("The invite link is copied");
    } catch {
        alertUser(`The invite link: ${link.href}`);
    }
}

// MARK: Start

function suggestedRoom() {
    const wanted = query.get("room") || decodeURIComponent(location.hash.slice(1));
    if (wanted) return wanted;
    const letters = "abcdefghjkmnpqrstuvwxyz23456789";
    const random = crypto.getRandomValues(new Uint8Array(9));
    return [...random].map((value, index) => (index > 0 && index % 3 === 0 ? "-" : "") + letters[value % letters.length]).join("");
}

async function start() {
    let remembered = "";
    try { remembered = localStorage.getItem("sluice.name") ?? ""; } catch { /* private mode */ }
    $("name").value = query.get("name") ?? remembered;
    $("room").value = suggestedRoom();
    if (!navigator.mediaDevices?.getDisplayMedia) $("screen").hidden = true;

    $("join-form").addEventListener("submit", (event) => {
        event.preventDefault();
        quietly(join());
    });
    $("join-silent").addEventListener("click", () => quietly(join({ withDevices: false })));
    for (const id of ["preview-mic", "mic"]) $(id).addEventListener("click", () => quietly(toggle(microphone)));
    for (const id of ["preview-camera", "camera"]) $(id).addEventListener("click", () => quietly(toggle(camera)));
    for (const device of [camera, microphone]) {
        device.select.addEventListener("change", () => quietly(chooseDevice(device)));
    }
    $("screen").addEventListener("click", () => quietly(toggleScreen()));
    $("leave").addEventListener("click", () => room?.leave());
    $("copy-link").addEventListener("click", () => quietly(copyLink()));
    $("hear").addEventListener("click", () => { for (const element of [...blocked]) play(element); });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => quietly(listDevices()));
    addEventListener("pagehide", () => room?.leave());
    setInterval(() => { if (!room) $("mic-level").value = Math.min(ownLevel() * 4, 1); }, 100);

    if (typeof RTCPeerConnection === "undefined") fail(new SluiceError("notSupported", ""));
    const withDevices = query.get("media") !== "none";
    if (withDevices) await openDevices(); else showDevices();
    window.sluice.timings.ready = now();
    document.body.dataset.ready = "true";
    if (query.get("autojoin") === "1") await join({ withDevices });
    else if (!$("name").value) $("name").focus();
    else $("join").focus();
}

quietly(start());
