#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

// Of one message: the kernel's own limits (UDP_MAX_SEGMENTS, the length field of IPv4 and UDP).
#define MAX_SEGMENTS 64
#define MAX_MESSAGE_BYTES 65000

// Room for UDP_SEGMENT, and for IP_TOS or IPV6_TCLASS.
#define CONTROL_BYTES (CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int)))

// The slots of one destination, in order.
struct chain {
    int first;
    int socket;
    // Of the IP header.
    int ecn;
    socklen_t address_length;
    struct sockaddr_storage destination;
};

struct message {
    int socket;
    // Datagrams in it, and the size of all but the last.
    int segments;
    int size;
    // Bytes of control that each of its datagrams would have alone.
    size_t unsegmented;
};

struct cl_send_batch {
    int segmentation;
    // The kernel has taken a message of several datagrams.
    int has_segmented;
    uint8_t *bytes;
    cl_send_slot *slots;
    struct chain *chains;
    int chain_count;
    struct mmsghdr *headers;
    struct message *messages;
    struct iovec *vectors;
    uint8_t (*control)[CONTROL_BYTES];
};

cl_send_batch *cl_send_batch_make(int count, int stride) {
    cl_send_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->segmentation = 1;
    batch->bytes = malloc((size_t)count * stride);
    // One more: the start of the slot after the last is written too.
    batch->slots = calloc(count + 1, sizeof *batch->slots);
    batch->chains = calloc(count, sizeof *batch->chains);
    batch->headers = calloc(count, sizeof *batch->headers);
    batch->messages = calloc(count, sizeof *batch->messages);
    batch->vectors = calloc(count, sizeof *batch->vectors);
    batch->control = calloc(count, sizeof *batch->control);
    if (!batch->bytes || !batch->slots || !batch->chains || !batch->headers || !batch->messages || !batch->vectors
        || !batch->control) {
        cl_send_batch_free(batch);
        return NULL;
    }
    return batch;
}

void cl_send_batch_free(cl_send_batch *batch) {
    if (!batch) return;
    free(batch->bytes);
    free(batch->slots);
    free(batch->chains);
    free(batch->headers);
    free(batch->messages);
    free(batch->vectors);
    free(batch->control);
    free(batch);
}

void cl_send_use_segmentation(cl_send_batch *batch, int on) { batch->segmentation = on; }

int cl_can_segment(int fd) {
    int size = 0;
    socklen_t length = sizeof size;
    return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, &length) == 0;
}

cl_send_memory cl_send_memory_of(const cl_send_batch *batch) { return (cl_send_memory){batch->bytes, batch->slots}; }

uint8_t *cl_send_bytes(cl_send_batch *batch, int index) { return cl_send_memory_bytes(cl_send_memory_of(batch), index); }

void cl_send_begin(cl_send_batch *batch, int index, int fd, const cl_address *to, int length) {
    struct chain *chain = &batch->chains[batch->chain_count++];
    chain->first = index;
    chain->socket = fd;
    chain->ecn = 0;
    chain->address_length = cl_to_sockaddr(to, &chain->destination);
    cl_send_memory_end(cl_send_memory_of(batch), index, length);
}

void cl_send_mark(cl_send_batch *batch, int ecn) { batch->chains[batch->chain_count - 1].ecn = ecn & 3; }

void cl_send_append(cl_send_batch *batch, int index, int previous, int length) {
    cl_send_memory_append(cl_send_memory_of(batch), index, previous, length);
}

void cl_send_take_back(cl_send_batch *batch, int previous) {
    if (previous >= 0) {
        batch->slots[previous].next = -1;
    } else {
        batch->chain_count -= 1;
    }
}

/// Puts one more thing to say to the kernel behind what `header` has of them. `room` is the start of them all.
static void add_control(struct msghdr *header, uint8_t *room, int level, int type, const void *value, size_t size) {
    struct cmsghdr *control = (struct cmsghdr *)(room + header->msg_controllen);
    header->msg_control = room;
    header->msg_controllen += CMSG_SPACE(size);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(control), value, size);
}

/// The ECN bits of a message; the other six bits of that byte are 0, as without it.
static void add_mark(struct msghdr *header, uint8_t *room, const struct chain *chain) {
    if (chain->destination.ss_family == AF_INET6) {
        add_control(header, room, IPPROTO_IPV6, IPV6_TCLASS, &chain->ecn, sizeof chain->ecn);
    } else {
        add_control(header, room, IPPROTO_IP, IP_TOS, &chain->ecn, sizeof chain->ecn);
    }
}

/// Makes one message of a run of slots: equal lengths, of which the last may be shorter. Returns the slot after it.
static int make_message(cl_send_batch *batch, struct chain *chain, int first, int message, int *vector) {
    struct msghdr *header = &batch->headers[message].msg_hdr;
    int size = batch->slots[first].length;
    int total = 0, segments = 0, slot = first, end = -1;
    struct iovec *vectors = &batch->vectors[*vector];
    int vector_count = 0;
    while (slot >= 0) {
        const cl_send_slot *part = &batch->slots[slot];
        int length = part->length;
        if (segments > 0 && (length > size || total + length > MAX_MESSAGE_BYTES || segments == MAX_SEGMENTS)) break;
        if (part->start == end) {
            vectors[vector_count - 1].iov_len += length;
        } else {
            vectors[vector_count++] = (struct iovec){batch->bytes + part->start, length};
        }
        end = part->start + length;
        total += length;
        segments += 1;
        slot = part->next;
        if (!batch->segmentation || length < size) break;
    }
    *vector += vector_count;
    *header = (struct msghdr){
        .msg_name = &chain->destination,
        .msg_namelen = chain->address_length,
        .msg_iov = vectors,
        .msg_iovlen = vector_count,
    };
    batch->messages[message] = (struct message){chain->socket, segments, size, 0};
    if (chain->ecn) add_mark(header, batch->control[message], chain);
    batch->messages[message].unsegmented = header->msg_controllen;
    if (segments > 1) {
        uint16_t segment = (uint16_t)size;
        add_control(header, batch->control[message], SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    return slot;
}

static void count_error(cl_send_errors *errors, int error) {
    switch (error) {
    case EAGAIN: errors->again += 1; break;
    case ENOBUFS: errors->no_buffers += 1; break;
    case ENOMEM: errors->no_memory += 1; break;
    case EMSGSIZE: errors->too_long += 1; break;
    case ECONNREFUSED: errors->connection_refused += 1; break;
    case EHOSTUNREACH: errors->host_unreachable += 1; break;
    case ENETUNREACH: errors->network_unreachable += 1; break;
    case EPERM: errors->not_permitted += 1; break;
    default: errors->other += 1; break;
    }
}

static void count_dropped(cl_send_result *result, int error, uint32_t datagrams) {
    if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
        result->no_room += datagrams;
    } else {
        result->refused += datagrams;
    }
}

/// Sends the datagrams of a message that the kernel would not take whole, one by one.
static void send_apart(cl_send_batch *batch, int message, cl_send_result *result) {
    const struct msghdr *whole = &batch->headers[message].msg_hdr;
    size_t size = batch->messages[message].size;
    result->apart += 1;
    // A vector holds whole datagrams only.
    for (size_t index = 0; index < whole->msg_iovlen; index++) {
        const struct iovec *vector = &whole->msg_iov[index];
        for (size_t start = 0; start < vector->iov_len; start += size) {
            size_t rest = vector->iov_len - start;
            struct iovec bytes = {(uint8_t *)vector->iov_base + start, rest < size ? rest : size};
            struct msghdr part = {
                .msg_name = whole->msg_name,
                .msg_namelen = whole->msg_namelen,
                .msg_iov = &bytes,
                .msg_iovlen = 1,
                .msg_control = batch->messages[message].unsegmented ? whole->msg_control : NULL,
                .msg_controllen = batch->messages[message].unsegmented,
            };
            ssize_t sent;
            do {
                sent = sendmsg(batch->messages[message].socket, &part, MSG_DONTWAIT);
            } while (sent < 0 && errno == EINTR);
            if (sent >= 0) {
                result->sent += 1;
                result->messages += 1;
            } else {
                int error = errno;
                count_error(&result->errors, error);
                count_dropped(result, error, 1);
            }
        }
    }
}

void cl_send_clear(cl_send_batch *batch) { batch->chain_count = 0; }

void cl_send(cl_send_batch *batch, cl_send_result *result) {
    memset(result, 0, sizeof *result);
    int count = 0, vector = 0;
    for (int index = 0; index < batch->chain_count; index++) {
        struct chain *chain = &batch->chains[index];
        for (int slot = chain->first; slot >= 0;) slot = make_message(batch, chain, slot, count++, &vector);
    }
    batch->chain_count = 0;
    int index = 0, last_error = 0;
    while (index < count) {
        int end = index + 1;
        while (end < count && batch->messages[end].socket == batch->messages[index].socket) end++;
        int sent = sendmmsg(batch->messages[index].socket, &batch->headers[index], end - index, MSG_DONTWAIT);
        if (sent > 0) {
            for (int position = index; position < index + sent; position++) {
                result->sent += (uint32_t)batch->messages[position].segments;
                batch->has_segmented |= batch->messages[position].segments > 1;
            }
            result->messages += (uint32_t)sent;
            index += sent;
            last_error = 0;
            continue;
        }
        if (sent < 0 && errno == EINTR) continue;
        // sendmmsg reports the error of its first message. ECONNREFUSED and the like are an earlier datagram's, come back
        // through ICMP and are cleared by being told: this message is tried once more.
        int error = errno, is_new = last_error == 0;
        count_error(&result->errors, error);
        last_error = error;
        if (is_new && (error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH)) continue;
        last_error = 0;
        uint32_t segments = (uint32_t)batch->messages[index].segments;
        if (segments > 1 && (error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP)) {
            // Larger than the path's MTU allows for a segment, or a device that cannot: this may concern one
            // destination only. EIO is a device without checksum offload, or IPsec: it will not learn it. Where others were
            // taken whole, it is the way to this one.
            if ((error == EIO || error == EOPNOTSUPP) && !batch->has_segmented) batch->segmentation = 0;
            send_apart(batch, index, result);
        } else {
            count_dropped(result, error, segments);
        }
        index += 1;
    }
}
