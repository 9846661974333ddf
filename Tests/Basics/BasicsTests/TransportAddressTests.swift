import Basics
import Testing

@Suite struct TransportAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::1", "::1"), ("::", "::"),
        ("2001:db8::1", "2001:db8::1"), ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("fe80::1:2", "fe80::1:2"), ("::ffff:10.0.0.1", "10.0.0.1"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1::", "1::"),
    ])
    func `a literal is parsed and printed in its canonical form`(literal: String, canonical: String) throws {
        let address = try #require(TransportAddress(literal, port: 7880))
        #expect(address.ip == canonical)
        #expect(address.port == 7880)
    }

    @Test(arguments: [
        "", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4", "+1.2.3.4", "1..2.3", ":::",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7", "g::1", "1::2::3", "12345::", "::1%eth0", "1:2:3:4:5:6:7:", "a.local",
    ])
    func `what is no literal is refused and never resolved`(text: String) {
        #expect(TransportAddress(text, port: 1) == nil)
    }

    @Test func `the mapped form of an IPv4 address is that address`() {
        #expect(TransportAddress("::ffff:127.0.0.1", port: 9) == TransportAddress(ipv4: 0x7F00_0001, port: 9))
        #expect(TransportAddress("::ffff:127.0.0.1", port: 9)?.isLoopback == true)
    }
}
