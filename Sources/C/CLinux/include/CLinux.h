#pragma once
// Linux calls that Swift's Glibc module does not export (epoll, eventfd, recvmmsg, sendmmsg), as plain prototypes.
// No system header is included here on purpose: two Clang modules that both import <sys/resource.h> under different
// feature macros do not build together.
#include <stdint.h>

/// An address in the form of Basics' TransportAddress: IPv4 is ::ffff:a.b.c.d, everything in host order.
typedef struct {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
} cl_address;

/// Brings the cache line of an address near; the address may be any.
static inline void cl_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }

// Clocks, in nanoseconds.
int64_t cl_monotonic_nanoseconds(void);
int64_t cl_realtime_nanoseconds(void);

// Sockets. Functions that can fail return a negative errno.

/// A non-blocking UDP socket bound to `address`; IPv6 sockets take IPv6 only.
int cl_udp_socket(const cl_address *address, int receive_buffer_bytes, int send_buffer_bytes);
/// Two of them at one address: RTCP comes to `rtcp`, and everything else to the one that is returned, so that the one does
/// not fill the other's buffer. Where the kernel cannot tell them apart, `rtcp` is -1 and all comes to the first.
int cl_udp_sockets(
    const cl_address *address, int receive_buffer_bytes, int rtcp_buffer_bytes, int send_buffer_bytes, int *rtcp
);
/// What the kernel granted; it doubles what was asked and cuts it at net.core.rmem_max.
int cl_socket_receive_buffer(int fd);
/// Lets cl_receive_mark know the ECN bits of what comes on a socket. Returns 0 or a negative errno.
int cl_receive_marks(int fd);
/// What comes together is handed over one by one, as to most programs: no UDP_GRO on this socket.
void cl_receive_apart(int fd);
int cl_socket_send_buffer(int fd);
int cl_socket_local_port(int fd);
int cl_close(int fd);

/// Unicast addresses of interfaces that are up. Returns how many were written.
int cl_interface_addresses(cl_address *out, int capacity);

// Receiving.

typedef struct cl_receive_batch cl_receive_batch;
/// Memory for `count` messages of up to `stride` bytes; NULL when there is none. A message is a datagram, or up to 64 of
/// one sender that the kernel hands over together (UDP_GRO).
cl_receive_batch *cl_receive_batch_make(int count, int stride);
void cl_receive_batch_free(cl_receive_batch *batch);
/// Reads what is there, without waiting. Returns the number of datagrams, up to 64 times `count`, or a negative errno.
int cl_receive(int fd, cl_receive_batch *batch);
/// Reads what is there now behind what was read since the last cl_receive. Returns the number of all datagrams, the ones
/// before among them.
int cl_receive_more(int fd, cl_receive_batch *batch);
uint8_t *cl_receive_bytes(cl_receive_batch *batch, int index);
/// Negative when the datagram did not fit and was cut.
int cl_receive_length(const cl_receive_batch *batch, int index);
void cl_receive_source(const cl_receive_batch *batch, int index, cl_address *out);
/// When the kernel took the datagram in, on the clock of cl_monotonic_nanoseconds; 0 when it did not say.
int64_t cl_receive_time(const cl_receive_batch *batch, int index);
/// The ECN bits of the datagram's IP header (RFC 3168); 0 where nobody asked for them by cl_receive_marks.
int cl_receive_mark(const cl_receive_batch *batch, int index);
/// Datagrams that the kernel dropped on this socket for want of room, as SO_RXQ_OVFL counted them so far.
uint32_t cl_receive_overflow(const cl_receive_batch *batch);

// Sending.

typedef struct cl_send_batch cl_send_batch;
cl_send_batch *cl_send_batch_make(int count, int stride);
void cl_send_batch_free(cl_send_batch *batch);

/// The memory of slot `index`: `stride` bytes. Slots are filled from 0 on, each is ended before the next is asked for.
uint8_t *cl_send_bytes(cl_send_batch *batch, int index);
/// Ends slot `index`, the first one for this destination and socket: what is appended to it leaves with it.
void cl_send_begin(cl_send_batch *batch, int index, int fd, const cl_address *to, int length);
/// The ECN bits (RFC 3168) of all that leaves with the slot that cl_send_begin has ended last: 0 unless it is said here.
void cl_send_mark(cl_send_batch *batch, int ecn);
/// Ends slot `index`, for the same destination and socket as `previous`, the last of its chain.
void cl_send_append(cl_send_batch *batch, int index, int previous, int length);
/// Takes back the slots that were ended last, all of one destination: those behind `previous`, or with -1 all of the
/// destination, which began last.
void cl_send_take_back(cl_send_batch *batch, int previous);

/// A datagram.
typedef struct {
    /// Where it lies in the batch's memory.
    int start;
    int length;
    /// The next slot for the same destination, -1 = none.
    int next;
} cl_send_slot;

/// What every datagram touches of a batch; stays where it is. For callers that do not want a call for each.
typedef struct {
    uint8_t *bytes;
    cl_send_slot *slots;
} cl_send_memory;
cl_send_memory cl_send_memory_of(const cl_send_batch *batch);

/// As cl_send_bytes.
static inline uint8_t *cl_send_memory_bytes(cl_send_memory memory, int index) {
    return memory.bytes + memory.slots[index].start;
}

/// Ends slot `index`; the next one begins right behind it, so that what leaves together lies together.
static inline void cl_send_memory_end(cl_send_memory memory, int index, int length) {
    cl_send_slot *slot = &memory.slots[index];
    slot->length = length;
    slot->next = -1;
    slot[1].start = slot->start + length;
}

/// As cl_send_append.
static inline void cl_send_memory_append(cl_send_memory memory, int index, int previous, int length) {
    memory.slots[previous].next = index;
    cl_send_memory_end(memory, index, length);
}

/// Whether datagrams of one destination and size leave as one message (UDP_SEGMENT, Linux 4.18). On at first; goes off
/// by itself where the device cannot.
void cl_send_use_segmentation(cl_send_batch *batch, int on);
/// Whether the kernel knows UDP_SEGMENT at all.
int cl_can_segment(int fd);

/// How often a send call failed, by errno. One that is tried again after it counts too, and one for a message of many
/// datagrams counts once.
typedef struct {
    uint32_t again;
    uint32_t no_buffers;
    uint32_t no_memory;
    uint32_t too_long;
    uint32_t connection_refused;
    uint32_t host_unreachable;
    uint32_t network_unreachable;
    uint32_t not_permitted;
    uint32_t other;
} cl_send_errors;

typedef struct {
    /// Datagrams that the kernel took.
    uint32_t sent;
    /// In how many messages.
    uint32_t messages;
    /// Messages of several datagrams that it would not take whole: they were sent one by one.
    uint32_t apart;
    /// EAGAIN, ENOBUFS: there was no room; the datagram is dropped.
    uint32_t no_room;
    /// EMSGSIZE, ECONNREFUSED, EPERM, unreachable: this datagram only.
    uint32_t refused;
    cl_send_errors errors;
} cl_send_result;
/// Sends every slot that was ended, those of one destination in order, and begins anew with slot 0. An error of one
/// datagram never stops the others.
void cl_send(cl_send_batch *batch, cl_send_result *result);
/// Forgets every slot that was ended.
void cl_send_clear(cl_send_batch *batch);

// Waiting.

int cl_epoll_create(void);
int cl_epoll_add_readable(int epoll, int fd, uint64_t tag);
/// Waits until something is readable or the time is over; negative = for ever. Returns the number of tags written.
int cl_epoll_wait(int epoll, uint64_t *tags, int capacity, int64_t timeout_nanoseconds);
/// Waits whatever comes.
void cl_sleep_until(int64_t monotonic_nanoseconds);
int cl_eventfd_create(void);
void cl_eventfd_signal(int fd);
void cl_eventfd_drain(int fd);

// Threads.

/// Starts a detached thread. Returns 0 or an errno.
int cl_thread_start(const char *name, void (*body)(void *), void *context);
/// Identifies the calling thread; never 0.
uint64_t cl_thread_id(void);
/// User and system CPU time of the calling thread, in nanoseconds.
int64_t cl_thread_cpu_nanoseconds(void);

// Memory.

/// Gives pages that hold nothing back to the system, of all threads' heaps. Some 0.1 ms for each MiB, in which a thread
/// that allocates may have to wait.
void cl_return_memory(void);
