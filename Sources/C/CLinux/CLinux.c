#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t cl_monotonic_nanoseconds(void) { return now(CLOCK_MONOTONIC); }
int64_t cl_realtime_nanoseconds(void) { return now(CLOCK_REALTIME); }
int64_t cl_thread_cpu_nanoseconds(void) { return now(CLOCK_THREAD_CPUTIME_ID); }
uint64_t cl_thread_id(void) { return (uint64_t)syscall(SYS_gettid); }

// Addresses

static int is_ipv4(const cl_address *address) {
    return address->high == 0 && address->low >> 32 == 0xFFFF;
}

static socklen_t to_sockaddr(const cl_address *address, struct sockaddr_storage *out) {
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

static void from_sockaddr(const struct sockaddr *source, cl_address *out) {
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

// Sockets

int cl_udp_socket(const cl_address *address, int receive_buffer_bytes, int send_buffer_bytes) {
    struct sockaddr_storage storage;
    socklen_t length = to_sockaddr(address, &storage);
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
    from_sockaddr((struct sockaddr *)&storage, &address);
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
        from_sockaddr(entry->ifa_addr, &out[count++]);
    }
    freeifaddrs(list);
    return count;
}

// Receiving

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

// Room for SO_RXQ_OVFL, SO_TIMESTAMPNS and UDP_GRO each.
#define CONTROL_BYTES (CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(int)))
// Datagrams that the kernel may hand over as one message.
#define MAX_COALESCED 64

struct cl_received {
    uint8_t *bytes;
    // Negative when it was cut.
    int length;
    int message;
};

struct cl_receive_batch {
    int count;
    int stride;
    uint8_t *bytes;
    struct mmsghdr *messages;
    struct iovec *vectors;
    struct sockaddr_storage *sources;
    uint8_t (*control)[CONTROL_BYTES];
    int64_t *times;
    // Of each message: the size of its datagrams, 0 = it is one.
    int *segment_sizes;
    struct cl_received *received;
    uint32_t overflow;
};

cl_receive_batch *cl_receive_batch_make(int count, int stride) {
    cl_receive_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->count = count;
    batch->stride = stride;
    batch->bytes = malloc((size_t)count * stride);
    batch->messages = calloc(count, sizeof *batch->messages);
    batch->vectors = calloc(count, sizeof *batch->vectors);
    batch->sources = calloc(count, sizeof *batch->sources);
    batch->control = calloc(count, sizeof *batch->control);
    batch->times = calloc(count, sizeof *batch->times);
    batch->segment_sizes = calloc(count, sizeof *batch->segment_sizes);
    batch->received = calloc((size_t)count * MAX_COALESCED, sizeof *batch->received);
    if (!batch->bytes || !batch->messages || !batch->vectors || !batch->sources || !batch->control || !batch->times
        || !batch->segment_sizes || !batch->received) {
        cl_receive_batch_free(batch);
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        batch->vectors[i].iov_base = batch->bytes + (size_t)i * stride;
        batch->vectors[i].iov_len = stride;
        batch->messages[i].msg_hdr.msg_iov = &batch->vectors[i];
        batch->messages[i].msg_hdr.msg_iovlen = 1;
        batch->messages[i].msg_hdr.msg_name = &batch->sources[i];
    }
    return batch;
}

void cl_receive_batch_free(cl_receive_batch *batch) {
    if (!batch) return;
    free(batch->bytes);
    free(batch->messages);
    free(batch->vectors);
    free(batch->sources);
    free(batch->control);
    free(batch->times);
    free(batch->segment_sizes);
    free(batch->received);
    free(batch);
}

/// Notes what the kernel says beside the datagrams. The kernel's time is the wall clock's; `offset` turns it into the
/// monotonic one, and is taken anew for each batch so that a clock that was set does no harm.
static void read_control(cl_receive_batch *batch, int index, int64_t offset) {
    struct msghdr *message = &batch->messages[index].msg_hdr;
    batch->times[index] = 0;
    batch->segment_sizes[index] = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&batch->segment_sizes[index], CMSG_DATA(c), sizeof(int));
        }
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&batch->overflow, CMSG_DATA(c), sizeof batch->overflow);
        } else if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(c), sizeof time);
            batch->times[index] = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec + offset;
        }
    }
}

/// Writes the datagrams of one message. Returns how many: 1 to MAX_COALESCED.
static int take_apart(cl_receive_batch *batch, int index, struct cl_received *out) {
    const struct mmsghdr *message = &batch->messages[index];
    uint8_t *bytes = batch->bytes + (size_t)index * batch->stride;
    int length = (int)message->msg_len, size = batch->segment_sizes[index];
    int is_cut = (message->msg_hdr.msg_flags & MSG_TRUNC) != 0;
    if (is_cut || size <= 0 || size >= length) {
        *out = (struct cl_received){.bytes = bytes, .length = is_cut ? -1 : length, .message = index};
        return 1;
    }
    int count = 0;
    for (int start = 0; start < length && count < MAX_COALESCED; start += size, count++) {
        int rest = length - start;
        out[count] = (struct cl_received){bytes + start, rest < size ? rest : size, index};
    }
    return count;
}

int cl_receive(int fd, cl_receive_batch *batch) {
    for (int i = 0; i < batch->count; i++) {
        // The kernel writes these lengths back, so they are set anew each time.
        batch->messages[i].msg_hdr.msg_namelen = sizeof batch->sources[i];
        batch->messages[i].msg_hdr.msg_control = batch->control[i];
        batch->messages[i].msg_hdr.msg_controllen = sizeof batch->control[i];
    }
    // The kernel sends the count only with a drop: without one, the last value would be another socket's.
    batch->overflow = 0;
    int received = recvmmsg(fd, batch->messages, batch->count, MSG_DONTWAIT, NULL);
    if (received < 0) return -errno;
    int64_t offset = now(CLOCK_MONOTONIC) - now(CLOCK_REALTIME);
    int datagrams = 0;
    for (int i = 0; i < received; i++) {
        read_control(batch, i, offset);
        datagrams += take_apart(batch, i, &batch->received[datagrams]);
    }
    return datagrams;
}

uint8_t *cl_receive_bytes(cl_receive_batch *batch, int index) { return batch->received[index].bytes; }

int cl_receive_length(const cl_receive_batch *batch, int index) { return batch->received[index].length; }

void cl_receive_source(const cl_receive_batch *batch, int index, cl_address *out) {
    from_sockaddr((const struct sockaddr *)&batch->sources[batch->received[index].message], out);
}

int64_t cl_receive_time(const cl_receive_batch *batch, int index) {
    return batch->times[batch->received[index].message];
}

uint32_t cl_receive_overflow(const cl_receive_batch *batch) { return batch->overflow; }

// Sending

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

// Of one message: the kernel's own limits (UDP_MAX_SEGMENTS, the length field of IPv4 and UDP).
#define MAX_SEGMENTS 64
#define MAX_MESSAGE_BYTES 65000

struct cl_send_slot {
    uint64_t key;
    int socket;
    int length;
    // The next slot for the same destination, -1 = none.
    int next;
    socklen_t address_length;
};

struct cl_send_batch {
    int count;
    int stride;
    int segmentation;
    uint8_t *bytes;
    struct cl_send_slot *slots;
    struct sockaddr_storage *destinations;
    // Chains of slots by destination, in order of first use: a hash table of positions in `chains`.
    int *table;
    int table_mask;
    struct { int first, last; } *chains;
    struct mmsghdr *messages;
    int *message_sockets;
    struct iovec *vectors;
    uint8_t (*control)[CMSG_SPACE(sizeof(uint16_t))];
};

cl_send_batch *cl_send_batch_make(int count, int stride) {
    cl_send_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    int table = 16;
    while (table < 2 * count) table *= 2;
    batch->count = count;
    batch->stride = stride;
    batch->segmentation = 1;
    batch->table_mask = table - 1;
    batch->bytes = malloc((size_t)count * stride);
    batch->slots = calloc(count, sizeof *batch->slots);
    batch->destinations = calloc(count, sizeof *batch->destinations);
    batch->table = malloc(table * sizeof *batch->table);
    batch->chains = calloc(count, sizeof *batch->chains);
    batch->messages = calloc(count, sizeof *batch->messages);
    batch->message_sockets = calloc(count, sizeof *batch->message_sockets);
    batch->vectors = calloc(count, sizeof *batch->vectors);
    batch->control = calloc(count, sizeof *batch->control);
    if (!batch->bytes || !batch->slots || !batch->destinations || !batch->table || !batch->chains || !batch->messages
        || !batch->message_sockets || !batch->vectors || !batch->control) {
        cl_send_batch_free(batch);
        return NULL;
    }
    memset(batch->table, -1, table * sizeof *batch->table);
    return batch;
}

void cl_send_batch_free(cl_send_batch *batch) {
    if (!batch) return;
    free(batch->bytes);
    free(batch->slots);
    free(batch->destinations);
    free(batch->table);
    free(batch->chains);
    free(batch->messages);
    free(batch->message_sockets);
    free(batch->vectors);
    free(batch->control);
    free(batch);
}

void cl_send_use_segmentation(cl_send_batch *batch, int on) { batch->segmentation = on; }

uint8_t *cl_send_bytes(cl_send_batch *batch, int index) { return batch->bytes + (size_t)index * batch->stride; }

void cl_send_set(cl_send_batch *batch, int index, int fd, const cl_address *to, int length) {
    struct cl_send_slot *slot = &batch->slots[index];
    slot->address_length = to_sockaddr(to, &batch->destinations[index]);
    slot->length = length;
    slot->socket = fd;
    // Two destinations with one key only share a place in the table: `same_destination` tells them apart.
    uint64_t key = (to->high * 0x9E3779B97F4A7C15u) ^ to->low;
    key = (key ^ (uint64_t)to->port << 40 ^ (uint64_t)fd << 56 ^ to->scope) * 0xD6E8FEB86659FD93u;
    slot->key = key ^ key >> 32;
}

static int same_destination(const cl_send_batch *batch, int left, int right) {
    const struct cl_send_slot *a = &batch->slots[left], *b = &batch->slots[right];
    return a->key == b->key && a->socket == b->socket && a->address_length == b->address_length
        && memcmp(&batch->destinations[left], &batch->destinations[right], a->address_length) == 0;
}

/// Chains the slots of each destination, in order. Returns how many chains there are.
static int chain_by_destination(cl_send_batch *batch, int count) {
    int chains = 0;
    for (int index = 0; index < count; index++) {
        batch->slots[index].next = -1;
        int place = (int)(batch->slots[index].key & batch->table_mask);
        for (;;) {
            int chain = batch->table[place];
            if (chain < 0) {
                batch->table[place] = chains;
                batch->chains[chains].first = batch->chains[chains].last = index;
                chains++;
                break;
            }
            if (same_destination(batch, batch->chains[chain].first, index)) {
                batch->slots[batch->chains[chain].last].next = index;
                batch->chains[chain].last = index;
                break;
            }
            place = (place + 1) & batch->table_mask;
        }
    }
    // Clears what was used, so that a small batch does not pay for a large table.
    for (int chain = 0; chain < chains; chain++) {
        int place = (int)(batch->slots[batch->chains[chain].first].key & batch->table_mask);
        while (batch->table[place] != chain) {
            place = (place + 1) & batch->table_mask;
        }
        batch->chains[chain].last = place;
    }
    for (int chain = 0; chain < chains; chain++) batch->table[batch->chains[chain].last] = -1;
    return chains;
}

/// Makes one message of a run of slots: equal lengths, of which the last may be shorter. Returns the slot after it.
static int make_message(cl_send_batch *batch, int message, int first, int *vector) {
    struct msghdr *header = &batch->messages[message].msg_hdr;
    int size = batch->slots[first].length;
    int total = 0, segments = 0, slot = first;
    memset(header, 0, sizeof *header);
    header->msg_name = &batch->destinations[first];
    header->msg_namelen = batch->slots[first].address_length;
    header->msg_iov = &batch->vectors[*vector];
    while (slot >= 0) {
        int length = batch->slots[slot].length;
        if (segments > 0 && (length > size || total + length > MAX_MESSAGE_BYTES || segments == MAX_SEGMENTS)) break;
        batch->vectors[*vector].iov_base = cl_send_bytes(batch, slot);
        batch->vectors[*vector].iov_len = length;
        *vector += 1;
        total += length;
        segments += 1;
        slot = batch->slots[slot].next;
        if (!batch->segmentation || length < size) break;
    }
    header->msg_iovlen = segments;
    batch->message_sockets[message] = batch->slots[first].socket;
    if (segments > 1) {
        header->msg_control = batch->control[message];
        header->msg_controllen = sizeof batch->control[message];
        struct cmsghdr *control = CMSG_FIRSTHDR(header);
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t segment = (uint16_t)size;
        memcpy(CMSG_DATA(control), &segment, sizeof segment);
    }
    return slot;
}

static void count_error(cl_send_result *result, int error, uint32_t datagrams) {
    if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
        result->no_room += datagrams;
    } else {
        result->refused += datagrams;
    }
}

/// Sends the segments of a message that the kernel would not take whole, one by one.
static void send_apart(cl_send_batch *batch, int message, cl_send_result *result) {
    struct msghdr *whole = &batch->messages[message].msg_hdr;
    result->apart += 1;
    for (size_t index = 0; index < whole->msg_iovlen; index++) {
        struct msghdr part = {
            .msg_name = whole->msg_name,
            .msg_namelen = whole->msg_namelen,
            .msg_iov = &whole->msg_iov[index],
            .msg_iovlen = 1,
        };
        ssize_t sent;
        do {
            sent = sendmsg(batch->message_sockets[message], &part, MSG_DONTWAIT);
        } while (sent < 0 && errno == EINTR);
        if (sent >= 0) {
            result->sent += 1;
            result->messages += 1;
        } else {
            count_error(result, errno, 1);
        }
    }
}

void cl_send(cl_send_batch *batch, int count, cl_send_result *result) {
    memset(result, 0, sizeof *result);
    int chains = chain_by_destination(batch, count);
    int messages = 0, vector = 0;
    for (int chain = 0; chain < chains; chain++) {
        for (int slot = batch->chains[chain].first; slot >= 0;) {
            slot = make_message(batch, messages++, slot, &vector);
        }
    }
    int index = 0;
    while (index < messages) {
        int end = index + 1;
        while (end < messages && batch->message_sockets[end] == batch->message_sockets[index]) end++;
        int sent = sendmmsg(batch->message_sockets[index], &batch->messages[index], end - index, MSG_DONTWAIT);
        if (sent > 0) {
            for (int position = index; position < index + sent; position++) {
                result->sent += (uint32_t)batch->messages[position].msg_hdr.msg_iovlen;
            }
            result->messages += (uint32_t)sent;
            index += sent;
            continue;
        }
        if (sent < 0 && errno == EINTR) continue;
        // sendmmsg reports the error of the first message; an ICMP error of an earlier one is reported once and
        // cleared by that, so the same message is not at fault: it is still skipped, because telling them apart is
        // not possible on a shared socket.
        uint32_t segments = (uint32_t)batch->messages[index].msg_hdr.msg_iovlen;
        int error = errno;
        if (segments > 1 && (error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP)) {
            // Larger than the path's MTU allows for a segment, or a device that cannot: this may concern one
            // destination only. EIO is a device without checksum offload: it will not learn it.
            if (error == EIO || error == EOPNOTSUPP) batch->segmentation = 0;
            send_apart(batch, index, result);
        } else {
            count_error(result, error, segments);
        }
        index += 1;
    }
}

// Waiting

int cl_epoll_create(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cl_epoll_add_readable(int epoll, int fd, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int cl_epoll_wait(int epoll, uint64_t *tags, int capacity, int64_t timeout_nanoseconds) {
    struct epoll_event events[16];
    if (capacity > 16) capacity = 16;
    struct timespec timeout = {
        .tv_sec = timeout_nanoseconds / 1000000000,
        .tv_nsec = timeout_nanoseconds % 1000000000,
    };
    int count = epoll_pwait2(epoll, events, capacity, timeout_nanoseconds < 0 ? NULL : &timeout, NULL);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) tags[i] = events[i].data.u64;
    return count;
}

int cl_eventfd_create(void) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void cl_eventfd_signal(int fd) {
    uint64_t one = 1;
    // Fails only when the counter is full, and then the reader is awake anyway.
    ssize_t ignored = write(fd, &one, sizeof one);
    (void)ignored;
}

void cl_eventfd_drain(int fd) {
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored;
}

// Threads

struct thread_start {
    void (*body)(void *);
    void *context;
    char name[16];
};

static void *run_thread(void *argument) {
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), start.name);
    start.body(start.context);
    return NULL;
}

int cl_thread_start(const char *name, void (*body)(void *), void *context) {
    struct thread_start *start = calloc(1, sizeof *start);
    if (!start) return ENOMEM;
    start->body = body;
    start->context = context;
    strncpy(start->name, name, sizeof start->name - 1);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int result = pthread_create(&thread, &attributes, run_thread, start);
    pthread_attr_destroy(&attributes);
    if (result) free(start);
    return result;
}
