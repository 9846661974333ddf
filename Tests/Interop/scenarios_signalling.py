"""The signalling protocol, frame by frame, without media."""
import asyncio

import aiohttp
from aiortc import RTCPeerConnection

from harness import scenario
from signalling import Client, SignallingError


async def refused(code, coroutine):
    try:
        reply = await coroutine
    except SignallingError as error:
        assert error.code == code, f"refused with {error}, not with {code}"
        return
    raise AssertionError(f"accepted ({reply}), and not refused with {code}")


async def audio_offer(direction):
    """A real offer of one m-line, and the peer connection to close."""
    pc = RTCPeerConnection()
    if direction == "sendonly":
        from aiortc.mediastreams import AudioStreamTrack
        pc.addTransceiver(AudioStreamTrack(), direction=direction)
    else:
        pc.addTransceiver("audio", direction=direction)
    await pc.setLocalDescription(await pc.createOffer())
    return pc, pc.localDescription.sdp


@scenario("Who joins is told who is there, and the others are told who came and went", timeout=20)
async def presence(run):
    server = await run.server()
    async with Client(server.url) as ada, Client(server.url) as grace:
        first = await ada.join("presence", "Ada", metadata={"hand": "up"})
        assert first["roomId"] == "presence" and first["participants"] == []
        assert first["participantId"] and first["resumeToken"] and isinstance(first["iceServers"], list)
        second = await grace.join("presence", "Grace")
        assert [entry["name"] for entry in second["participants"]] == ["Ada"]
        assert second["participants"][0]["metadata"] == {"hand": "up"}
        seen = await ada.event("participantJoined")
        assert seen["participant"]["id"] == second["participantId"]
        await grace.tell("setMetadata", {"metadata": [1, 2]})
        changed = await ada.event("participantChanged")
        assert changed["participant"]["metadata"] == [1, 2]
        await grace.tell("leave", {})
        gone = await ada.event("participantLeft")
        assert gone["participantId"] == second["participantId"] and gone["reason"] == "left"
        closed = await asyncio.wait_for(grace.events.get(), 5)
        while closed["type"] != "closed":
            closed = await asyncio.wait_for(grace.events.get(), 5)
        assert closed["payload"]["code"] == 1000, f"closed with {closed['payload']['code']}"


@scenario("What is wrong is answered with its code, and the connection stays", timeout=20)
async def errors(run):
    server = await run.server()
    async with Client(server.url) as client:
        await refused("badMessage", client.ask("offer", {"sdp": "v=0"}))
        await client.join("errors", "Ada")
        await refused("badMessage", client.ask("nonsense", {}))
        await refused("badMessage", client.ask("offer", {}))
        await refused("sdpInvalid", client.ask("offer", {"sdp": "this is no SDP"}))
        await refused("noSuchTrack", client.ask("subscribe", {"trackId": "nobody"}))
        await refused("noSuchTrack", client.ask("mute", {"trackId": "nobody", "muted": True}))
        await refused("noSuchParticipant", client.ask("offer", {"sdp": "v=0", "to": "nobody"}))
        assert "inbound" in await client.ask("stats", {})


@scenario("Ten malformed frames in a row close the connection with 1008", timeout=20)
async def malformed(run):
    server = await run.server()
    async with Client(server.url) as client:
        await client.join("malformed", "Mallory")
        for _ in range(10):
            await client.socket.send_str("{")
        for count in range(11):
            frame = await asyncio.wait_for(client.events.get(), 5)
            if frame["type"] == "closed":
                break
            assert frame["payload"]["code"] == "badMessage", frame
        assert frame["type"] == "closed" and frame["payload"]["code"] == 1008, frame
        assert count >= 9, f"closed after {count} answers"


@scenario("Two participants pass each other messages of their own", timeout=20)
async def relay(run):
    server = await run.server()
    async with Client(server.url) as ada, Client(server.url) as grace:
        await ada.join("relay", "Ada")
        await grace.join("relay", "Grace")
        target = grace.joined["participantId"]
        for kind, payload in (("offer", {"sdp": "x"}), ("ice", {"candidate": "y", "sdpMid": "0"}), ("leave", {})):
            await ada.tell(kind, {**payload, "to": target})
            received = await grace.event(kind)
            assert received == {**payload, "from": ada.joined["participantId"]}, received


@scenario("A published track is announced, bound to a waiting m-line, and taken back", timeout=20)
async def tracks(run):
    server = await run.server()
    sender, sending = await audio_offer("sendonly")
    receiver, receiving = await audio_offer("recvonly")
    try:
        async with Client(server.url) as ada, Client(server.url) as grace:
            await ada.join("tracks", "Ada")
            await grace.join("tracks", "Grace")
            waiting = await grace.ask("offer", {"sdp": receiving})
            assert waiting["bindings"] == [], "nothing is published, and yet something is bound"
            assert "a=ice-lite" in waiting["sdp"] and "a=end-of-candidates" in waiting["sdp"]
            mid = next(line[6:].strip() for line in sending.splitlines() if line.startswith("a=mid:"))
            await ada.tell("publish", [{"mid": mid, "source": "screenAudio", "name": "music"}])
            await ada.ask("offer", {"sdp": sending})
            own = await ada.event("trackPublished")
            assert own["mid"] == mid
            seen = await grace.event("trackPublished")
            track = seen["track"]
            assert (track["kind"], track["source"], track["name"]) == ("audio", "screenAudio", "music"), track
            bound = await grace.event("subscribed")
            assert bound["trackId"] == track["id"] and bound["mid"] is not None
            await ada.tell("mute", {"trackId": track["id"], "muted": True})
            changed = await grace.event("participantChanged")
            assert changed["participant"]["tracks"][0]["muted"] is True
            await ada.tell("leave", {})
            gone = await grace.event("trackUnpublished")
            assert gone["trackId"] == track["id"]
    finally:
        await sender.close()
        await receiver.close()


@scenario("A lost connection is resumed with its token, once", timeout=20)
async def resume(run):
    server = await run.server()
    async with Client(server.url) as watcher:
        await watcher.join("resume", "Watcher")
        lost = await Client(server.url).open()
        before = await lost.join("resume", "Ada")
        await lost.drop()
        async with Client(server.url) as back:
            after = await back.join("resume", "Ada", resume=before["resumeToken"])
            assert after["participantId"] == before["participantId"], "the participant is another one"
            assert after["resumeToken"] != before["resumeToken"], "the token can be used twice"
            async with Client(server.url) as thief:
                stolen = await thief.join("resume", "Mallory", resume=before["resumeToken"])
                assert stolen["participantId"] != before["participantId"], "an old token resumed the session"


@scenario("The pages come with a policy that allows nothing from elsewhere", timeout=20)
async def pages(run):
    server = await run.server()
    types = {"/": "text/html", "/sluice.js": "text/javascript", "/app.js": "text/javascript", "/style.css": "text/css"}
    async with aiohttp.ClientSession() as http:
        for path, kind in types.items():
            async with http.get(server.url + path) as response:
                assert response.status == 200, f"{path}: {response.status}"
                assert response.content_type == kind, f"{path}: {response.content_type}"
                policy = response.headers["Content-Security-Policy"]
                assert "'unsafe-inline'" not in policy and "default-src 'none'" in policy, policy
        for path in ("/metrics", "/v1/rooms", "/healthz"):
            async with http.get(server.url + path) as response:
                assert response.status == 404, f"the public listener answers {path} with {response.status}"
        async with http.get(server.admin_url + "/healthz") as response:
            assert response.status == 200, f"/healthz: {response.status}"
