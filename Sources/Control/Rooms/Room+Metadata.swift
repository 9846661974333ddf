package import Basics

extension Room {
    /// How often the others are told of one participant's new metadata.
    static let metadataInterval = Nanoseconds.milliseconds(200)

    /// The others are told at once, but not more often than every 200 ms: then of the last state only. Everybody in the
    /// room pays for a change.
    package func setMetadata(_ metadata: JSONValue, of id: ParticipantID) async throws(RoomError) {
        guard metadata.bytes.count <= JoinRequest.maxMetadataBytes else {
            throw RoomError(.badMessage, "metadata is larger than \(JoinRequest.maxMetadataBytes) bytes")
        }
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        guard participant.metadata != metadata else { return }
        participant.metadata = metadata
        participant.hasUntoldMetadata = true
        self.tellMetadata(of: participant, at: self.now())
    }

    private func tellMetadata(of participant: Participant, at now: Instant) {
        guard participant.hasUntoldMetadata else { return }
        if let last = participant.metadataToldAt, now - last < Self.metadataInterval {
            self.hasUntoldMetadata = true
            self.pulses.request(for: self)
            return
        }
        participant.metadataToldAt = now
        self.broadcastChange(of: participant)
    }

    /// What could not be told at once.
    func pulse(at now: Instant) async {
        await self.enter()
        defer { self.leaveTurn() }
        if self.hasUntoldMetadata {
            self.hasUntoldMetadata = false
            for id in self.order {
                if let participant = self.participants[id] { self.tellMetadata(of: participant, at: now) }
            }
        }
        await self.conversationGoesOnInSilence(at: now)
    }
}
