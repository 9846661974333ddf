package import Basics

extension Room {
    /// How often the others are told that one participant has changed.
    static let changeInterval = Nanoseconds.milliseconds(200)

    package func setMetadata(_ metadata: JSONValue, of id: ParticipantID) async throws(RoomError) {
        guard metadata.bytes.count <= JoinRequest.maxMetadataBytes else {
            throw RoomError(.badMessage, "metadata is larger than \(JoinRequest.maxMetadataBytes) bytes")
        }
        await self.enter()
        defer { self.leaveTurn() }
        let participant = try self.participant(id)
        guard participant.metadata != metadata else { return }
        participant.metadata = metadata
        self.changed(participant)
    }

    /// The participant has asked for a change of what the others see of it. They are told at once, but not more often than
    /// every 200 ms: then of the last state only. Everybody in the room pays for a change.
    func changed(_ participant: Participant) {
        participant.hasUntoldChange = true
        self.tellChange(of: participant, at: self.now())
    }

    private func tellChange(of participant: Participant, at now: Instant) {
        guard participant.hasUntoldChange else { return }
        if let last = participant.changeToldAt, now - last < Self.changeInterval {
            self.hasUntoldChanges = true
            self.pulses.request(for: self)
            // It takes what it hears after the answer to its next request for the state that it has asked for.
            participant.tell(.participantChanged(self.info(of: participant)))
            return
        }
        participant.changeToldAt = now
        self.broadcastChange(of: participant)
    }

    /// What could not be told at once.
    func pulse(at now: Instant) async {
        await self.enter()
        defer { self.leaveTurn() }
        if self.hasUntoldChanges {
            self.hasUntoldChanges = false
            for id in self.order {
                if let participant = self.participants[id] { self.tellChange(of: participant, at: now) }
            }
        }
        await self.conversationGoesOnInSilence(at: now)
    }
}
