#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

// Room for SO_RXQ_OVFL, SO_TIMESTAMPNS, UDP_GRO, and IP_TOS or IPV6_TCLASS each.
#define CONTROL_BYTES                                                                                                  \
    (CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(struct timespec)) + 2 * CMSG_SPACE(sizeof(int)))
// Datagrams that the kernel may hand over as one message: network cards' are 64 at most, those of a sender on this machine
// 128 since Linux 6.9.
#define MAX_COALESCED 128

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
    // The ECN bits of each message: the kernel puts only datagrams of the same bits together.
    uint8_t *marks;
    // Of each message: the size of its datagrams, 0 = it is one.
    int *segment_sizes;
    struct cl_received *received;
    // In use since the last cl_receive.
    int message_count, datagram_count;
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
    batch->marks = calloc(count, sizeof *batch->marks);
    batch->segment_sizes = calloc(count, sizeof *batch->segment_sizes);
    batch->received = calloc((size_t)count * MAX_COALESCED, sizeof *batch->received);
    if (!batch->bytes || !batch->messages || !batch->vectors || !batch->sources || !batch->control || !batch->times
        || !batch->marks || !batch->segment_sizes || !batch->received) {
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
    free(batch->marks);
    free(batch->segment_sizes);
    free(batch->received);
    free(batch);
}

/// Notes what the kernel says beside the datagrams. The kernel's time is the wall clock's; `offset` turns it into the
/// monotonic one, and is taken anew for each batch so that a clock that was set does no harm.
static void read_control(cl_receive_batch *batch, int index, int64_t offset) {
    struct msghdr *message = &batch->messages[index].msg_hdr;
    batch->times[index] = 0;
    batch->marks[index] = 0;
    batch->segment_sizes[index] = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        int class;
        struct timespec time;
        switch (c->cmsg_level) {
        case SOL_SOCKET:
            if (c->cmsg_type == SO_RXQ_OVFL) {
                memcpy(&batch->overflow, CMSG_DATA(c), sizeof batch->overflow);
            } else if (c->cmsg_type == SCM_TIMESTAMPNS) {
                memcpy(&time, CMSG_DATA(c), sizeof time);
                batch->times[index] = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec + offset;
            }
            break;
        case SOL_UDP:
            if (c->cmsg_type == UDP_GRO) memcpy(&batch->segment_sizes[index], CMSG_DATA(c), sizeof(int));
            break;
        case IPPROTO_IP:
            if (c->cmsg_type == IP_TOS) batch->marks[index] = *CMSG_DATA(c) & 3;
            break;
        case IPPROTO_IPV6:
            if (c->cmsg_type != IPV6_TCLASS) break;
            memcpy(&class, CMSG_DATA(c), sizeof class);
            batch->marks[index] = class & 3;
            break;
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
    batch->message_count = 0;
    batch->datagram_count = 0;
    // The kernel sends the count only with a drop: without one, the last value would be another socket's.
    batch->overflow = 0;
    return cl_receive_more(fd, batch);
}

int cl_receive_more(int fd, cl_receive_batch *batch) {
    int first = batch->message_count;
    if (first == batch->count) return batch->datagram_count;
    for (int i = first; i < batch->count; i++) {
        // The kernel writes these lengths back, so they are set anew each time.
        batch->messages[i].msg_hdr.msg_namelen = sizeof batch->sources[i];
        batch->messages[i].msg_hdr.msg_control = batch->control[i];
        batch->messages[i].msg_hdr.msg_controllen = sizeof batch->control[i];
    }
    int received = recvmmsg(fd, batch->messages + first, batch->count - first, MSG_DONTWAIT, NULL);
    if (received < 0) return first > 0 ? batch->datagram_count : -errno;
    int64_t offset = cl_monotonic_nanoseconds() - cl_realtime_nanoseconds();
    for (int i = first; i < first + received; i++) {
        read_control(batch, i, offset);
        batch->datagram_count += take_apart(batch, i, &batch->received[batch->datagram_count]);
    }
    batch->message_count += received;
    return batch->datagram_count;
}

uint8_t *cl_receive_bytes(cl_receive_batch *batch, int index) { return batch->received[index].bytes; }

int cl_receive_length(const cl_receive_batch *batch, int index) { return batch->received[index].length; }

void cl_receive_source(const cl_receive_batch *batch, int index, cl_address *out) {
    cl_from_sockaddr((const struct sockaddr *)&batch->sources[batch->received[index].message], out);
}

int64_t cl_receive_time(const cl_receive_batch *batch, int index) {
    return batch->times[batch->received[index].message];
}

int cl_receive_mark(const cl_receive_batch *batch, int index) { return batch->marks[batch->received[index].message]; }

uint32_t cl_receive_overflow(const cl_receive_batch *batch) { return batch->overflow; }
