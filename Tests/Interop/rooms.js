// Runs inside a page that the server under test served, after whip.js: participants by the SDK without the meeting page
// around it, every frame that a video element shows, every message of the server, and the way through the emulated link.
window.rooms ??= (() => {
    const clock = () => performance.timeOrigin + performance.now();
    /** Messages of the server that nobody asked for: {at, type, payload}. */
    const messages = [];
    /** By video element: when it showed a frame, and how high that was. */
    const screens = [];
    const timings = {};
    let ports = null;

    // What the page opens from now on is listened to.
    const NativeSocket = WebSocket;
    window.WebSocket = class extends NativeSocket {
        constructor(...rest) {
            super(...rest);
            this.addEventListener("message", ({ data }) => {
                const { type, payload, id } = JSON.parse(data);
                if (id === undefined) messages.push({ at: clock(), type, payload });
            });
        }
    };

    const setRemoteDescription = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function (description) {
        if (!ports) return setRemoteDescription.call(this, description);
        const sdp = description.sdp.replace(/^(a=candidate:\S+ 1 udp \d+ \S+ )(\d+)/gmi,
            (line, start, port) => start + (ports[port] ?? port));
        return setRemoteDescription.call(this, { type: description.type, sdp });
    };

    /** Media of the server's port `p` goes to the link's port `map[p]`, in what is negotiated from now on. */
    function through(map) {
        ports = map;
        return true;
    }

    /** Of what this page says, from 0 to 1: `rooms.speak`. */
    let volume = null;

    function speak(level) {
        volume.gain.value = level;
        return true;
    }

    function sound(kind) {
        const context = new AudioContext();
        const target = context.createMediaStreamDestination();
        const tone = context.createOscillator();
        volume = new GainNode(context, { gain: kind === "tone" ? 0.5 : 0 });
        tone.connect(volume).connect(target);
        tone.start();
        context.resume();
        return target.stream.getAudioTracks()[0];
    }

    async function camera({ width = 1280, height = 720 }) {
        const stream = await navigator.mediaDevices.getUserMedia({ video: { width, height, frameRate: 30 } });
        return stream.getVideoTracks()[0];
    }

    /** Shows a track and notes its frames. Called for each track of a room, and for the elements of `interop.play`. */
    function show(track, name) {
        const element = document.createElement(track.kind);
        element.autoplay = true;
        element.playsInline = true;
        element.muted = track.kind === "video";
        // Painting it is a third of what such a page costs without a graphics card.
        element.style.width = "160px";
        element.srcObject = new MediaStream([track]);
        document.body.prepend(element);
        element.play().catch(() => {});
        if (track.kind === "video") watch(element, name);
    }

    function watch(element, name) {
        const screen = { name, frames: [] };
        screens.push(screen);
        const seen = (now, { height }) => {
            timings.firstFrame ??= performance.timeOrigin + now;
            screen.frames.push([performance.timeOrigin + now, height]);
            element.requestVideoFrameCallback(seen);
        };
        element.requestVideoFrameCallback(seen);
    }

    /** What each element showed in a time (milliseconds since the epoch): {name, count, height, gap, gapAt, heights}.
     *  `gap` is the longest time without a new picture; `heights` are [when, height] of the first and each change. */
    function pictures(since, until = clock()) {
        return screens.map(({ name, frames }) => {
            const recent = frames.filter(([at]) => at >= since && at < until);
            let gap = 0, gapAt = since, last = since;
            const heights = [];
            for (const [at, height] of [...recent, [until, null]]) {
                if (at - last > gap) [gap, gapAt] = [at - last, last];
                last = at;
                if (height !== null && heights.at(-1)?.[1] !== height) heights.push([at, height]);
            }
            return { name, count: recent.length, gap, gapAt, heights, height: recent.at(-1)?.[1] ?? null };
        });
    }

    /** One participant per page. `sound`: "tone", "silence" or none; `camera`: {width, height, codec, simulcast}. */
    async function join(roomId, options = {}) {
        const { Room } = await import(`${location.origin}/sluice.js`);
        const room = window.sluice.room = new Room({ roomId, name: options.name });
        room.addEventListener("error", ({ detail }) => window.sluice.errors.push(String(detail.error?.message)));
        room.addEventListener("connected", () => { timings.connected ??= clock(); });
        room.addEventListener("tracksubscribed", ({ detail }) => {
            show(detail.track.mediaStreamTrack, detail.participant.name);
        });
        if (options.sound) await room.publish(sound(options.sound), { source: "microphone" });
        if (options.camera) {
            const { codec, simulcast } = options.camera;
            await room.publish(await camera(options.camera), { source: "camera", codec, simulcast });
        }
        timings.join = clock();
        await room.join();
        await window.interop.keepResolution(room.peerConnection);
        return room.localParticipant.id;
    }

    /** The encodings that the browser was told to use, of the first sender of a kind. */
    function encodings(kind) {
        const pc = window.sluice.room.peerConnection;
        const sender = pc.getSenders().find((entry) => entry.track?.kind === kind);
        return sender?.getParameters().encodings ?? null;
    }

    return { through, show, speak, pictures, join, encodings, messages, timings, clock };
})();
