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
    slot->address_length = cl_to_sockaddr(to, &batch->destinations[index]);
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
