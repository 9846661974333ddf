/// What is wrong with a scenario: where, and what is allowed there.
package struct ScenarioError: Error, Equatable, CustomStringConvertible {
    package var file: String
    /// From 1; 0 = unknown.
    package var line: Int
    /// Such as `publishers[0].video`; empty for the file as a whole.
    package var key: String
    package var message: String

    package init(file: String, line: Int, key: String, message: String) {
        self.file = file
        self.line = line
        self.key = key
        self.message = message
    }

    package var description: String {
        let place = self.line > 0 ? "\(self.file):\(self.line)" : self.file
        return self.key.isEmpty ? "\(place): \(self.message)" : "\(place): \(self.key): \(self.message)"
    }
}
