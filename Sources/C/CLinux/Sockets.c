#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

int cl_udp_socket(const cl_address *address, int receive_buffer_bytes, int send_buffer_bytes) {
    struct sockaddr_storage storage;
    socklen_t length = cl_to_sockaddr(address, &storage);
    int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int on = 1;
    if (storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    // Feedback about a publisher's packets needs the time that each came, not the time that the loop got round to them.
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    // Datagrams of one sender that come together are handed over as one message. Where the kernel cannot (before 5.0),
    // each comes alone.
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
    if (bind(fd, (struct sockaddr *)&storage, length) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

void cl_receive_apart(int fd) {
    int off = 0;
    setsockopt(fd, SOL_UDP, UDP_GRO, &off, sizeof off);
}

int cl_receive_marks(int fd) {
    int on = 1, family = 0;
    socklen_t length = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0) return -errno;
    int result = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on)
                                    : setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
    return result < 0 ? -errno : 0;
}

static int socket_int(int fd, int option) {
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0) return -errno;
    return value;
}

int cl_socket_receive_buffer(int fd) { return socket_int(fd, SO_RCVBUF); }
int cl_socket_send_buffer(int fd) { return socket_int(fd, SO_SNDBUF); }

int cl_socket_local_port(int fd) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0) return -errno;
    cl_address address;
    cl_from_sockaddr((struct sockaddr *)&storage, &address);
    return address.port;
}

int cl_close(int fd) { return close(fd) < 0 ? -errno : 0; }

int cl_interface_addresses(cl_address *out, int capacity) {
    struct ifaddrs *list;
    if (getifaddrs(&list) < 0) return -errno;
    int count = 0;
    for (struct ifaddrs *entry = list; entry && count < capacity; entry = entry->ifa_next) {
        if (!entry->ifa_addr || !(entry->ifa_flags & IFF_UP)) continue;
        if (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6) continue;
        cl_from_sockaddr(entry->ifa_addr, &out[count++]);
    }
    freeifaddrs(list);
    return count;
}
