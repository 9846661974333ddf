// The meeting page: a form, a grid of tiles, four buttons. What is said to the server is said by sluice.js.
import {
    camera, chooseDevice, forgetRefused, listDevices, microphone, mutedByOthers, openDevices, ownLevel, publishOptions,
    showDevices, toggle, wakeMeter,
} from "./page-devices.js";
import { $, alertUser, closeWords, deviceWords, fail, meeting, now, query, quietly, status, words } from "./page-shell.js";
import { arrange, dropTile, play, playBlocked, Tile, tileFor, tiles } from "./page-tiles.js";
import { Room, SluiceError } from "./sluice.js";

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
        camera.publication = camera.isOn ? await next.publish(camera.track, publishOptions(camera)) : null;
        microphone.publication = microphone.track
            ? await next.publish(microphone.track, publishOptions(microphone)) : null;
        meeting.room = window.sluice.room = next;
        wakeMeter();
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
        if (target === meeting.room || meeting.room === null) listener(detail);
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
        if (meeting.ownTile) status(`${nameOf(participant)} joined`);
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
    on("publicationmuted", ({ publication }) => {
        // There is no button that would show a muted screen again: it is shared anew.
        if (meeting.screenPublications.includes(publication)) {
            alertUser("The meeting's host has ended the sharing of your screen.");
            quietly(toggleScreen());
        } else {
            mutedByOthers(publication);
        }
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
    on("activespeakers", ({ participants }) => {
        for (const tile of tiles.values()) tile.isActiveSpeaker = !tile.isScreen && participants.includes(tile.participant);
    });
    on("layer", ({ participant, track }) => {
        const isScreen = track.source === "screen";
        const tile = tiles.get(`${participant.id}${isScreen ? " screen" : ""}`);
        if (tile?.video === track) tile.showLayer();
    });
    on("quality", ({ participant, score }) => {
        const isOwn = participant === target.localParticipant;
        if (isOwn) document.body.dataset.quality = String(Math.round(score));
        tiles.get(isOwn ? "own" : participant.id)?.showQuality();
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
        if (error.code === "forbidden") {
            alertUser("Your invitation does not allow you to send this; you can watch and listen.");
            forgetRefused(target);
        } else {
            fail(error);
        }
    });
    on("closed", ({ reason, error }) => {
        const wasInside = meeting.ownTile !== null;
        backToLobby();
        if (reason === "left" || !wasInside) return;
        window.sluice.errors.push(reason);
        alertUser(closeWords[reason] ?? (error ? words(error) : "The meeting is over."), {
            label: "Join again", run: () => quietly(join()),
        });
    });
}

function enterMeeting() {
    if (meeting.ownTile) {
        // Joined anew after a loss: the tiles of the others are made by their events.
        dropTile("own");
    }
    document.body.dataset.view = "meeting";
    $("lobby").hidden = true;
    $("meeting").hidden = false;
    $("copy-link").hidden = false;
    $("room-title").textContent = meeting.room.roomId;
    document.title = `${meeting.room.roomId} \u00b7 Sluice`;
    meeting.ownTile = new Tile(meeting.room.localParticipant, { isOwn: true });
    tiles.set("own", meeting.ownTile);
    arrange();
    showDevices();
    if (timers.length === 0) timers = [setInterval(showLevels, 150), setInterval(() => quietly(showStats()), 1_000)];
    $("mic").focus({ preventScroll: true });
}

function backToLobby() {
    for (const timer of timers.splice(0)) clearInterval(timer);
    for (const key of [...tiles.keys()]) dropTile(key);
    for (const { mediaStreamTrack } of meeting.screenPublications.splice(0)) mediaStreamTrack?.stop();
    const wasInside = document.body.dataset.view === "meeting";
    meeting.ownTile = null;
    meeting.room = null;
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
    const { ownTile, room } = meeting;
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
    const report = await meeting.room?.peerConnection?.getStats();
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
    const { room, screenPublications } = meeting;
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
    // The meeting may end, or the sharing, while the browser asks or while the server is asked.
    const isOver = () => meeting.room !== room || stream.getTracks().some(({ readyState }) => readyState === "ended");
    const published = [];
    let failure;
    try {
        for (const track of stream.getTracks()) {
            if (isOver()) break;
            if (track.kind === "video") track.contentHint = "detail";
            track.addEventListener("ended", () => { if (screenPublications.length > 0) quietly(toggleScreen()); });
            const source = track.kind === "video" ? "screen" : "screenAudio";
            let publication;
            try { publication = await room.publish(track, { source, simulcast: false }); } catch (error) {
                // Who may show a screen and not what it plays shows it in silence.
                if (source !== "screenAudio" || error.code !== "forbidden") throw error;
                stream.removeTrack(track);
                track.stop();
                continue;
            }
            published.push(publication);
            if (!isOver()) screenPublications.push(publication);
        }
    } catch (error) { failure = error; }
    if (failure || isOver()) {
        for (const track of stream.getTracks()) track.stop();
        if (meeting.room !== room) return;
        for (const publication of published) {
            const index = screenPublications.indexOf(publication);
            if (index >= 0) screenPublications.splice(index, 1);
        }
        showDevices();
        for (const publication of published) await room.unpublish(publication);
        if (failure) throw failure;
        return;
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
    link.searchParams.set("room", meeting.room.roomId);
    try {
        await navigator.clipboard.writeText(link.href);
        status("The invite link is copied");
    } catch {
        alertUser(`The invite link: ${link.href}`);
    }
}

// MARK: Start

function suggestedRoom() {
    let wanted = location.hash.slice(1);
    try { wanted = decodeURIComponent(wanted); } catch { /* Typed by hand, such as #100%: it is meant as it is. */ }
    wanted = query.get("room") || wanted;
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
    $("leave").addEventListener("click", () => meeting.room?.leave());
    $("copy-link").addEventListener("click", () => quietly(copyLink()));
    $("hear").addEventListener("click", playBlocked);
    navigator.mediaDevices?.addEventListener?.("devicechange", () => quietly(listDevices()));
    addEventListener("pagehide", () => meeting.room?.leave());
    setInterval(() => { if (!meeting.room) $("mic-level").value = Math.min(ownLevel() * 4, 1); }, 100);

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
