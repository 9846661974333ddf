#pragma once
// The other end of a forwarder under test: sockets on the loopback that publish and subscribe.
#include <stdint.h>

/// Runs the calling thread, and what it starts, on one core only. Returns 0 or an errno.
int ct_run_on(int core);
/// Runs another thread of this process on one core only. Returns 0 or an errno.
int ct_run_thread_on(int thread, int core);

/// A bound socket on 127.0.0.1; its port in `port`. Returns a negative errno when there is none.
int ct_socket(uint16_t *port);
/// Leaves it room for a packet or two, so that what comes unread is dropped at once. Returns 0 or an errno.
int ct_shrink(int fd);
/// Sends one datagram. Returns whether the kernel took it.
int ct_send(int fd, uint16_t port, const uint8_t *bytes, int length);
/// Sends `count` datagrams of `length` bytes, which lie `stride` apart, as one message (UDP_SEGMENT).
int ct_send_run(int fd, uint16_t port, const uint8_t *bytes, int stride, int length, int count);
/// Reads one datagram, without waiting. Returns its length; 0 when there is none. Only for what does not come in runs.
int ct_receive(int fd, uint8_t *bytes, int capacity);

typedef struct ct_sinks ct_sinks;
/// Watches so many sockets.
ct_sinks *ct_sinks_make(const int *descriptors, int count);
void ct_sinks_free(ct_sinks *sinks);

typedef struct {
    /// Media datagrams that came.
    uint64_t packets;
    /// In how many messages: the kernel keeps what was sent as one together.
    uint64_t messages;
    uint64_t bytes;
    /// RTCP and what else came.
    uint64_t others;
} ct_counts;
/// Reads everything that has come, waiting up to `timeout_milliseconds` for the first.
void ct_sinks_drain(ct_sinks *sinks, int timeout_milliseconds, ct_counts *counts);

/// The identifier of this process's newest thread with this name; 0 when there is none.
int ct_thread_named(const char *name);
/// CPU time of a thread so far in nanoseconds, user and system; of a process with one thread, that of the process.
int64_t ct_cpu_nanoseconds(int thread);

int64_t ct_now_nanoseconds(void);

/// Starts `arguments[0]` on one core; standard input and output are pipes. Returns its process id, or a negative errno.
int ct_start(char *const *arguments, int core, int *to_child, int *from_child);
/// Closes the pipes and waits for its end.
void ct_stop(int pid, int to_child, int from_child);
/// Reads a decimal number and a line feed; -1 when there is none.
int ct_read_number(int fd);
