// Runs inside a page that the server under test served: WHIP and WHEP clients of the browser's own API, and the numbers
// that the scenarios look at. Evaluated by the test harness, which is not bound by the page's policy.
window.interop ??= (() => {
    const sessions = new Map();

    async function post(path, pc, setup) {
        await pc.setLocalDescription();
        const started = performance.now();
        const response = await fetch(path, {
            method: "POST", headers: { "Content-Type": "application/sdp" },
            body: pc.localDescription.sdp.replaceAll("a=setup:actpass", `a=setup:${setup}`),
        });
        const text = await response.text();
        if (response.status !== 201) throw new Error(`${path}: HTTP ${response.status} ${text}`);
        await pc.setRemoteDescription({ type: "answer", sdp: text });
        return { location: response.headers.get("Location"), milliseconds: performance.now() - started };
    }

    function preferCodec(transceiver, side, codec) {
        if (!codec) return;
        const list = side.getCapabilities("video").codecs;
        const wanted = list.filter((entry) => entry.mimeType.toLowerCase() === `video/${codec}`.toLowerCase());
        if (wanted.length === 0) throw new Error(`this browser has no ${codec}`);
        transceiver.setCodecPreferences([...wanted, ...list.filter((entry) => /\/rtx$/i.test(entry.mimeType))]);
    }

    async function open(pc, path, extra, setup = "actpass") {
        const { location, milliseconds } = await post(path, pc, setup);
        const key = `s${sessions.size}`;
        sessions.set(key, { pc, location, ...extra });
        return { key, location, milliseconds };
    }

    async function publish(path, { codec, width = 640, height = 360, encodings = [], setup } = {}) {
        const stream = await navigator.mediaDevices.getUserMedia({
            audio: true, video: { width, height, frameRate: 30 },
        });
        const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
        for (const track of stream.getTracks()) {
            const init = { direction: "sendonly", streams: [stream] };
            if (track.kind === "video" && encodings.length > 0) init.sendEncodings = encodings;
            const transceiver = pc.addTransceiver(track, init);
            if (track.kind === "video") preferCodec(transceiver, RTCRtpSender, codec);
        }
        const session = await open(pc, path, { stream }, setup);
        await keepResolution(pc);
        return session;
    }

    /** A machine that is short of processor time gets fewer frames, not a smaller picture: what is judged is the choice of
     *  the server among layers that are there. */
    async function keepResolution(pc) {
        for (const sender of pc.getSenders()) {
            if (sender.track?.kind !== "video") continue;
            await sender.setParameters({ ...sender.getParameters(), degradationPreference: "maintain-resolution" });
        }
    }

    async function play(path, { codec } = {}) {
        const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
        pc.addTransceiver("audio", { direction: "recvonly" });
        preferCodec(pc.addTransceiver("video", { direction: "recvonly" }), RTCRtpReceiver, codec);
        for (const { receiver } of pc.getTransceivers()) {
            const element = document.createElement(receiver.track.kind);
            // Muted sound would read as silence in the statistics, so only the picture is.
            element.muted = receiver.track.kind === "video";
            element.autoplay = true;
            element.playsInline = true;
            element.srcObject = new MediaStream([receiver.track]);
            document.body.append(element);
            element.play().catch(() => {});
        }
        return open(pc, path, {});
    }

    /** The encoder makes its next frame a key frame (WebRTC Extensions, `encodingOptions`). */
    async function sendKeyFrame(key) {
        const sender = sessions.get(key).pc.getSenders().find((each) => each.track?.kind === "video");
        const parameters = sender.getParameters();
        const encodingOptions = parameters.encodings.map(() => ({ keyFrame: true }));
        await sender.setParameters(parameters, { encodingOptions });
    }

    async function close(key) {
        const { pc, location, stream } = sessions.get(key);
        // In this order: a server that saw the connection end knows the session no more, and says 404.
        const { status } = await fetch(location, { method: "DELETE" });
        pc.close();
        stream?.getTracks().forEach((track) => track.stop());
        return status;
    }

    /** Of one session, or of the page's room without a key. */
    async function numbers(key) {
        const pc = key ? sessions.get(key).pc : window.sluice?.room?.peerConnection;
        if (!pc) return null;
        const report = await pc.getStats();
        const inbound = [];
        const outbound = [];
        const codec = (entry) => report.get(entry.codecId)?.mimeType ?? null;
        report.forEach((entry) => {
            if (entry.type === "inbound-rtp" && entry.packetsReceived > 0) {
                inbound.push({
                    id: entry.id, kind: entry.kind, codec: codec(entry), packetsReceived: entry.packetsReceived,
                    bytesReceived: entry.bytesReceived, totalSamplesReceived: entry.totalSamplesReceived,
                    retransmittedPacketsReceived: entry.retransmittedPacketsReceived, mid: entry.mid,
                    packetsLost: entry.packetsLost, framesDecoded: entry.framesDecoded, freezeCount: entry.freezeCount,
                    totalFreezesDuration: entry.totalFreezesDuration,
                    frameWidth: entry.frameWidth, frameHeight: entry.frameHeight, timestamp: entry.timestamp,
                    concealedSamples: entry.concealedSamples, totalAudioEnergy: entry.totalAudioEnergy,
                    nackCount: entry.nackCount, pliCount: entry.pliCount, keyFramesDecoded: entry.keyFramesDecoded,
                });
            } else if (entry.type === "outbound-rtp") {
                outbound.push({
                    id: entry.id, kind: entry.kind, rid: entry.rid, codec: codec(entry), packetsSent: entry.packetsSent,
                    framesEncoded: entry.framesEncoded, frameWidth: entry.frameWidth, frameHeight: entry.frameHeight,
                    bytesSent: entry.bytesSent, active: entry.active, targetBitrate: entry.targetBitrate,
                    keyFramesEncoded: entry.keyFramesEncoded, pliCount: entry.pliCount,
                    scalabilityMode: entry.scalabilityMode, limitation: entry.qualityLimitationReason,
                });
            }
        });
        return { at: performance.timeOrigin + performance.now(), connection: pc.connectionState,
            ice: pc.iceConnectionState, inbound, outbound };
    }

    return { publish, play, close, numbers, sendKeyFrame, keepResolution, sessions };
})();
