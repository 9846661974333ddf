/// One key: its names, its default, how it is read, and whether a reload may change it.
package struct ConfigurationKey: Sendable {
    /// As the file and every message has it: `media.advertisedAddresses`.
    package let name: String
    /// The default as text; a list has its elements, an unset value none.
    package let fallback: [String]
    /// What `--dev` chooses instead.
    package let development: [String]?
    /// Meaning and unit, for `sluice serve --help`.
    package let summary: String
    package let isSecret: Bool
    /// Whether a reload applies it; otherwise a change is named in a warning.
    package let isReloadable: Bool
    let isList: Bool
    let mend: String
    /// Reads the text into the configuration; false when it is no such value.
    let assign: @Sendable ([String], inout SluiceConfiguration) -> Bool
    let isEqual: @Sendable (SluiceConfiguration, SluiceConfiguration) -> Bool
    let copy: @Sendable (_ source: SluiceConfiguration, _ target: inout SluiceConfiguration) -> Void

    init<Value>(
        _ name: String,
        _ path: any WritableKeyPath<SluiceConfiguration, Value> & Sendable,
        _ reader: ValueReader<Value>,
        default fallback: [String] = [],
        development: [String]? = nil,
        isList: Bool = false,
        isSecret: Bool = false,
        isReloadable: Bool = false,
        _ summary: String
    ) {
        self.name = name
        self.fallback = fallback
        self.development = development
        self.summary = summary
        self.isSecret = isSecret
        self.isReloadable = isReloadable
        self.isList = isList
        self.mend = reader.mend
        self.assign = { text, configuration in
            guard let value = reader.read(text) else { return false }
            configuration[keyPath: path] = value
            return true
        }
        self.isEqual = { $0[keyPath: path] == $1[keyPath: path] }
        self.copy = { $1[keyPath: path] = $0[keyPath: path] }
    }

    var components: [String] { self.name.split(separator: ".").map(String.init) }

    /// `--media-advertised-addresses`
    package var flag: String { "--" + self.words.joined(separator: "-").lowercased() }

    /// `SLUICE_MEDIA_ADVERTISED_ADDRESSES`
    package var variable: String { "SLUICE_" + self.words.joined(separator: "_").uppercased() }

    private var words: [String] {
        var words = [""]
        var wasLowercase = false
        for character in self.name {
            if character == "." || (wasLowercase && character.isUppercase) { words.append("") }
            if character != "." { words[words.count - 1].append(character) }
            wasLowercase = character.isLowercase
        }
        return words
    }

    /// The default as a person writes it.
    package var fallbackText: String {
        self.isList ? "[\(self.fallback.joined(separator: ", "))]" : self.fallback.first ?? "none"
    }
}
