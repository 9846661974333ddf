#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#ifndef SO_ATTACH_REUSEPORT_CBPF
#define SO_ATTACH_REUSEPORT_CBPF 51
#endif

// Who may administer the network gets what is asked for, others no more than net.core.rmem_max or wmem_max.
static void set_buffer(int fd, int forced, int option, int bytes) {
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) < 0) {
        setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
    }
}

// A socket that others of this user may share the address of, or not.
static int udp_socket(const cl_address *address, int receive_buffer_bytes, int send_buffer_bytes, int shared) {
    struct sockaddr_storage storage;
    socklen_t length = cl_to_sockaddr(address, &storage);
    int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int on = 1;
    if (storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    // Feedback about a publisher's packets needs the time that each came, not the time that the loop got round to them.
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    // Datagrams of one sender that come together are handed over as one message. Where the kernel cannot (before 5.0),
    // each comes alone.
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer_bytes);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer_bytes);
    if (bind(fd, (struct sockaddr *)&storage, length) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

// The number of the socket, in the order in which they were bound, for a datagram: RTCP has 1, all else 0. Its second byte is
// 192 to 223 (RFC 5761 section 4). What is too short for that has 0: the kernel ends the program there.
static int divide(int fd) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xC0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x80, 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 192, 0, 1),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 224, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 1),
    };
    struct sock_fprog code = {.len = sizeof program / sizeof *program, .filter = program};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &code, sizeof code);
}

int cl_udp_socket(const cl_address *address, int receive_buffer_bytes, int send_buffer_bytes) {
    return udp_socket(address, receive_buffer_bytes, send_buffer_bytes, 0);
}

int cl_udp_sockets(
    const cl_address *address, int receive_buffer_bytes, int rtcp_buffer_bytes, int send_buffer_bytes, int *rtcp
) {
    *rtcp = -1;
    // Alone first, and shared when it is ours: another server that was started by mistake fails here.
    int first = udp_socket(address, receive_buffer_bytes, send_buffer_bytes, 0);
    if (first < 0) return first;
    int on = 1, off = 0, port = cl_socket_local_port(first);
    if (port < 0 || setsockopt(first, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) return first;
    cl_address given = *address;
    given.port = (uint16_t)port;
    int second = udp_socket(&given, rtcp_buffer_bytes, send_buffer_bytes, 1);
    if (second >= 0 && divide(first) == 0) {
        *rtcp = second;
        return first;
    }
    if (second >= 0) close(second);
    setsockopt(first, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
    return first;
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
