// What a sender is asked to send: layers, codecs, header extensions.

const dependencyDescriptor = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/** Bits per second for a quarter, half and full side length of 1280x720. */
const layerBitrates = [150_000, 500_000, 1_500_000];

/**
 * The layers of a video track: three from 960x540 on and two from 480x270 on. Of more, Chromium leaves out the upper
 * ones. With a scalability mode there is one encoding, which has its layers inside.
 */
export function videoEncodings(track, { source, simulcast, scalabilityMode, maxBitrate } = {}) {
    const { width = 640, height = 360 } = track.getSettings?.() ?? {};
    const pixels = Math.max(width * height, 1);
    const full = maxBitrate ?? (source === "screen" ? 2_500_000 : bitrateOf(pixels));
    if (scalabilityMode) return [{ scalabilityMode, maxBitrate: full }];
    const wantsLayers = simulcast ?? source === "camera";
    if (!wantsLayers || pixels < 480 * 270) return [{ maxBitrate: full }];
    const rids = pixels >= 960 * 540 ? ["q", "h", "f"] : ["h", "f"];
    return rids.map((rid, index) => ({
        rid, active: true, scaleResolutionDownBy: 2 ** (rids.length - 1 - index),
        maxBitrate: Math.round(layerBitrates[index] * full / layerBitrates[rids.length - 1]),
    }));
}

/** 1.5 Mbit/s for 1280x720, 500 kbit/s for 640x360, and as the number of pixels in between and beyond. */
function bitrateOf(pixels) {
    const exponent = Math.log(layerBitrates[2] / layerBitrates[1]) / Math.log(4);
    return Math.round(layerBitrates[2] * (pixels / 921_600) ** exponent);
}

export function audioEncodings({ maxBitrate } = {}) { return maxBitrate ? [{ maxBitrate }] : []; }

/** Offers of Chromium that only receive have no dependency descriptor unless they are asked for it. */
export function askForDependencyDescriptor(transceiver) {
    try {
        const extensions = transceiver.getHeaderExtensionsToNegotiate?.();
        const descriptor = extensions?.find((extension) => extension.uri === dependencyDescriptor);
        if (!descriptor || descriptor.direction !== "stopped") return;
        descriptor.direction = "sendrecv";
        transceiver.setHeaderExtensionsToNegotiate(extensions);
    } catch { /* The server does without. */ }
}

/**
 * Leaves a receiver the codecs that the track may come in. Chromium offers eighteen for each m-line, 6 KB for a camera
 * and its microphone, while a whole offer may have 64 KiB. Returns what is left, in lower case; null = everything.
 */
export function receiveOnly(transceiver, kind, codec) {
    // Red wraps Opus; VP8 is what a sender falls back to.
    const wanted = kind === "audio" ? ["opus", "red", codec] : ["vp8", "rtx", codec];
    try {
        const all = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
        const codecs = all.filter(({ mimeType, sdpFmtpLine = "" }) => {
            return wanted.includes(mimeType.toLowerCase().split("/")[1]) && isCommon(sdpFmtpLine);
        });
        const names = codecs.map(({ mimeType }) => mimeType.toLowerCase().split("/")[1]);
        if (!names.includes(codec)) return null;
        transceiver.setCodecPreferences(codecs);
        return names;
    } catch {
        return null;
    }
}

/** Of VP9 and AV1 the main profile, of H.264 the packetization that cuts pictures into packets. */
function isCommon(parameters) { return !/(?:^|;)\s*(?:profile(?:-id)?=[1-9]|packetization-mode=0)/.test(parameters); }

export function preferCodec(transceiver, name) {
    try {
        const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
        const type = `video/${name}`.toLowerCase();
        if (codecs.length === 0 || codecs[0].mimeType.toLowerCase() === type) return;
        const preferred = codecs.filter((codec) => codec.mimeType.toLowerCase() === type);
        if (preferred.length === 0) return;
        transceiver.setCodecPreferences([...preferred, ...codecs.filter((codec) => !preferred.includes(codec))]);
    } catch { /* The browser's order is good enough. */ }
}

/** Changes of one sender wait for each other: a browser takes parameters only as it last gave them out. */
const changes = new WeakMap();

/** @param {(encodings: RTCRtpEncodingParameters[]) => void} change */
export function changeEncodings(sender, change) {
    const next = (changes.get(sender) ?? Promise.resolve()).catch(() => {}).then(async () => {
        const parameters = sender.getParameters();
        if (!parameters.encodings?.length) return;
        const before = JSON.stringify(parameters.encodings);
        change(parameters.encodings);
        if (JSON.stringify(parameters.encodings) !== before) await sender.setParameters(parameters);
    });
    changes.set(sender, next);
    return next;
}
