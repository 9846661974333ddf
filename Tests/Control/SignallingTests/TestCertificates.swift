/// Two self-signed certificates with their keys, made for these tests and good for nothing else.
enum TestCertificates {
    static let first = (
        certificate: """
        -----BEGIN CERTIFICATE-----
        MIIBdDCCARqgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1zbHVpY2Ut
        dGVzdC0xMCAXDTI2MTEyMTA3MDMwMVoYDzIxMjYxMDI4MDcwMzAxWjAYMRYwFAYD
        VQQDDA1zbHVpY2UtdGVzdC0xMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy7V4
        FSw/Blb7x1yNgvhRFqvVS7XzoBFTUvFZ0IX11lOTZRQOWNe5acPCuHXzuxIpZYzx
        K+SYXXenxTXOKCSkA6NTMFEwHQYDVR0OBBYEFOYUX+MDq9Hv8jON+hng+PPrrk0Z
        MB8GA1UdIwQYMBaAFOYUX+MDq9Hv8jON+hng+PPrrk0ZMA8GA1UdEwEB/wQFMAMB
        Af8wCgYIKoZIzj0EAwIDSAAwRQIgSj7/GzEx11nYfu32wjKcA5Lhtx26mlIcKSFi
        1R7M2bsCIQDMjusGgTCDpX99KBpK1+T1MTZeMHbt73D5Mqvmf0oGvw==
        -----END CERTIFICATE-----
        """,
        key: """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/LW2M4WI4cIwkO//
        1TvN1QxDrpX3vl2PsuuzpGduswahRANCAATLtXgVLD8GVvvHXI2C+FEWq9VLtfOg
        EVNS8VnQhfXWU5NlFA5Y17lpw8K4dfO7EilljPEr5Jhdd6fFNc4oJKQD
        -----END PRIVATE KEY-----
        """
    )

    static let second = (
        certificate: """
        -----BEGIN CERTIFICATE-----
        MIIBdTCCARqgAwIBAgIBAjAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1zbHVpY2Ut
        dGVzdC0yMCAXDTI2MTEyMTA3MDMwMVoYDzIxMjYxMDI4MDcwMzAxWjAYMRYwFAYD
        VQQDDA1zbHVpY2UtdGVzdC0yMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEi4SN
        EfIZWbQeQex7WqKAjuFmQmz+e9VExd5Fr/TngIdK8xALwjxJRgBWxt+iKu8MAQ3G
        GSqQiyuThxp4V3+IDaNTMFEwHQYDVR0OBBYEFLWWuZQO1oFPeyZiYNrz1E5F0kTz
        MB8GA1UdIwQYMBaAFLWWuZQO1oFPeyZiYNrz1E5F0kTzMA8GA1UdEwEB/wQFMAMB
        Af8wCgYIKoZIzj0EAwIDSQAwRgIhAOqfTseFeLpbKO65h7AIb+bdltGBM9rOE1+z
        NMvMKbbzAiEArlEomBeclR9ORzXLcVws3jyZsaHw8UNMsWMQu/bNRCk=
        -----END CERTIFICATE-----
        """,
        key: """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg70wWR8ymohVwdFn9
        PdjoTF9P5zMCmbJYgiEXJLqiCMuhRANCAASLhI0R8hlZtB5B7HtaooCO4WZCbP57
        1UTF3kWv9OeAh0rzEAvCPElGAFbG36Iq7wwBDcYZKpCLK5OHGnhXf4gN
        -----END PRIVATE KEY-----
        """
    )
}
