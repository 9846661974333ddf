/// The candidate with the fewest single-character edits to `name`; the first of equals. `nil` only without candidates.
func nearestName(to name: String, among candidates: [String]) -> String? {
    candidates.map { ($0, editDistance(name.lowercased(), $0.lowercased())) }.min { $0.1 < $1.1 }?.0
}

/// Levenshtein distance, over at most 100 characters of each.
private func editDistance(_ lhs: String, _ rhs: String) -> Int {
    let left = Array(lhs.prefix(100))
    let right = Array(rhs.prefix(100))
    var row = Array(0...right.count)
    for (index, character) in left.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for (column, other) in right.enumerated() {
            let substituted = diagonal + (character == other ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(substituted, row[column] + 1, diagonal + 1)
        }
    }
    return row[right.count]
}
