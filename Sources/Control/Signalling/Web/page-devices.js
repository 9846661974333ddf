// Camera and microphone: what is chosen, what runs, and how loud one is.
import { SluiceError } from "./sluice.js";
import { $, alertUser, deviceWords, fail, meeting, query, quietly } from "./page-shell.js";

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

    /** A camera that is off has its light off. A microphone stays open, so that it is back at once. */
    switchOff() { if (this === camera) this.stop(); else if (this.track) this.track.enabled = false; }
}

export const camera = new Device("video", "camera", $("camera-select"));
export const microphone = new Device("audio", "microphone", $("mic-select"));
/** Asks once for both, so that the browser shows one question; then for each, when one is missing. */
export async function openDevices() {
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

export async function listDevices() {
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

export async function toggle(device, isOn = !device.isOn) {
    try {
        if (!isOn) {
            device.switchOff();
        } else if (device.track) {
            device.track.enabled = true;
        } else {
            await device.open();
            await listDevices();
            note("");
        }
        await setPublished(device);
    } catch (error) {
        if (error instanceof SluiceError) {
            if (error.code === "forbidden" && !device.publication) device.switchOff();
            fail(error);
        } else {
            note(deviceWords(error, device.what));
            if (meeting.room) alertUser(deviceWords(error, device.what));
        }
    }
    showDevices();
}

/** The room has dropped what its token does not allow to send: that is not captured either. */
export function forgetRefused(room) {
    for (const device of [camera, microphone]) {
        if (!device.publication || room.publications.has(device.publication)) continue;
        device.publication = null;
        device.switchOff();
    }
    showDevices();
}

/** Somebody else muted it. A camera is closed as by its own button: its light would say that it is seen. */
export function mutedByOthers(publication) {
    const device = [camera, microphone].find((entry) => entry.publication === publication);
    if (!device) return;
    alertUser(`Your ${device.what} was switched off by the meeting's host. You can switch it on again.`);
    quietly(toggle(device, false));
}

/** `?codec=` (vp8, vp9, av1, h264) and `?svc=` (such as L3T3_KEY) choose how the camera is sent. */
export function publishOptions(device) {
    if (device !== camera) return { source: "microphone" };
    return { source: "camera", codec: query.get("codec") ?? undefined, scalabilityMode: query.get("svc") ?? undefined };
}

/** Brings what the room gets of a device in line with its state. */
async function setPublished(device) {
    const { room } = meeting;
    if (!room) return;
    if (!device.publication) {
        if (!device.isOn) return;
        device.publication = await room.publish(device.track, publishOptions(device));
        return;
    }
    if (device.publication.mediaStreamTrack !== device.track) await room.replaceTrack(device.publication, device.track);
    await room.mute(device.publication, !device.isOn);
}

export async function chooseDevice(device) {
    const wasOn = device.isOn;
    try {
        await device.open(device.select.value);
        if (!wasOn) await toggle(device, false);
        else await setPublished(device);
    } catch (error) { note(deviceWords(error, device.what)); }
    showDevices();
}

export function showDevices() {
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
    showButton($("screen"), meeting.screenPublications.length > 0, "Stop sharing", "Share screen");
    meterMicrophone();
    meeting.ownTile?.showOwn();
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
export function ownLevel() {
    if (!meter || !microphone.isOn) return 0;
    meter.analyser.getFloatTimeDomainData(meter.samples);
    return Math.sqrt(meter.samples.reduce((sum, sample) => sum + sample * sample, 0) / meter.samples.length);
}

/** Joining is a click, so sound may start from here on. */
export function wakeMeter() { meterMicrophone.context?.resume().catch(() => {}); }
