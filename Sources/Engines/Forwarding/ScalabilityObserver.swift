/// How the frames of one stream depend on each other, by the names of WebRTC-SVC: "L3T3_KEY".
package struct ScalabilityMode: Equatable, Sendable, BitwiseCopyable {
    package enum Prediction: UInt8, Sendable, BitwiseCopyable {
        /// Upper spatial layers are decoded from lower ones.
        case always
        /// In key pictures only.
        case atKeyPictures
        /// Never.
        case never
    }

    /// 1...4.
    package var spatialLayers: UInt8
    /// 1...4.
    package var temporalLayers: UInt8
    /// Across spatial layers; of no meaning with one.
    package var prediction: Prediction

    package init(spatialLayers: UInt8, temporalLayers: UInt8, prediction: Prediction) {
        self.spatialLayers = spatialLayers
        self.temporalLayers = temporalLayers
        self.prediction = prediction
    }

    /// `nil` = there is nothing to choose from (L1T1).
    package var name: String? {
        guard self.spatialLayers > 1 || self.temporalLayers > 1 else { return nil }
        let letter = self.spatialLayers > 1 && self.prediction == .never ? "S" : "L"
        let suffix = self.spatialLayers > 1 && self.prediction == .atKeyPictures ? "_KEY" : ""
        return "\(letter)\(self.spatialLayers)T\(self.temporalLayers)\(suffix)"
    }
}

/// Finds the scalability mode of a stream by what it sends. No offer says it: a browser's page chooses it, and its encoder
/// sends fewer layers when its path carries less.
package struct ScalabilityObserver: Sendable, BitwiseCopyable {
    /// As many pictures make up a mind: four times the longest pattern in use.
    private static let windowLength: UInt8 = 16

    /// As of the last sixteen pictures; `nil` = there were not so many yet, or layers cannot be told.
    package private(set) var mode: ScalabilityMode?

    // Of this window.
    private var pictureCount: UInt8 = 0
    private var topSpatial: UInt8 = 0
    private var topTemporal: UInt8 = 0
    private var predictsBetweenKeys = false
    // Of the last key picture that had spatial layers.
    private var predictsAtKeys = true

    package init() {}

    /// Takes each packet of the stream.
    @inline(__always)
    package mutating func received(_ frame: FrameInfo) {
        guard frame.spatialID == 0, frame.flags.isSuperset(of: [.first, .layered]) else { return }
        self.pictureBegan(frame)
    }

    private mutating func pictureBegan(_ frame: FrameInfo) {
        let top = frame.topSpatialID & 3
        self.topSpatial = max(self.topSpatial, top)
        self.topTemporal = max(self.topTemporal, frame.temporalID & 3)
        if top > 0 {
            let isForUpperLayers = frame.members.contains(spatial: Int(top), temporal: 3)
            if frame.isKeyFrameStart {
                self.predictsAtKeys = isForUpperLayers
            } else if isForUpperLayers {
                self.predictsBetweenKeys = true
            }
        }
        self.pictureCount += 1
        guard self.pictureCount == Self.windowLength else { return }
        self.mode = ScalabilityMode(
            spatialLayers: self.topSpatial + 1,
            temporalLayers: self.topTemporal + 1,
            prediction: self.predictsBetweenKeys ? .always : self.predictsAtKeys ? .atKeyPictures : .never
        )
        self.pictureCount = 0
        self.topSpatial = 0
        self.topTemporal = 0
        self.predictsBetweenKeys = false
    }
}
