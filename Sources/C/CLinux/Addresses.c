#define _GNU_SOURCE
#include "Internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static int is_ipv4(const cl_address *address) {
    return address->high == 0 && address->low >> 32 == 0xFFFF;
}

socklen_t cl_to_sockaddr(const cl_address *address, struct sockaddr_storage *out) {
    if (is_ipv4(address)) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        memset(in, 0, sizeof *in);
        out->ss_family = AF_INET;
        in->sin_port = htons(address->port);
        in->sin_addr.s_addr = htonl((uint32_t)address->low);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    memset(in6, 0, sizeof *in6);
    out->ss_family = AF_INET6;
    in6->sin6_port = htons(address->port);
    in6->sin6_scope_id = address->scope;
    uint64_t words[2] = {htobe64(address->high), htobe64(address->low)};
    memcpy(&in6->sin6_addr, words, 16);
    return sizeof *in6;
}

void cl_from_sockaddr(const struct sockaddr *source, cl_address *out) {
    memset(out, 0, sizeof *out);
    if (source->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)source;
        out->low = (uint64_t)0xFFFF << 32 | ntohl(in->sin_addr.s_addr);
        out->port = ntohs(in->sin_port);
    } else if (source->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)source;
        uint64_t words[2];
        memcpy(words, &in6->sin6_addr, 16);
        out->high = be64toh(words[0]);
        out->low = be64toh(words[1]);
        out->port = ntohs(in6->sin6_port);
        // Only a link-local address needs its interface; elsewhere the kernel's value would make one peer look like two.
        if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)) out->scope = in6->sin6_scope_id;
    }
}
