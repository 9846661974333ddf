import LoadClient
import Testing

@Suite struct SystemFilesTests {
    @Test(arguments: [
        ("1", 1), ("0-3", 4), ("0-1,4,6-7", 5), ("", nil), ("3-1", nil), ("a", nil), ("1-2-3", nil),
    ])
    func `a list of cores is counted`(list: String, count: Int?) { #expect(SystemFiles.coreCount(list: list) == count) }

    @Test(arguments: [("1500000000 250000000 12", 0.25), ("5 0 1\n", 0), ("", nil), ("1", nil), ("1 x 2", nil)])
    func `the time that a thread waits for a core is the second word`(line: String, seconds: Double?) {
        #expect(SystemFiles.waitSeconds(schedstat: line) == seconds)
    }

    @Test func `this machine says on how many cores the tests may run`() {
        #expect((1...4_096).contains(SystemFiles.allowedCores()))
        #expect(SystemFiles.text(of: "/nowhere") == nil)
    }
}
