#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Clocks

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t cl_monotonic_nanoseconds(void) { return now(CLOCK_MONOTONIC); }
int64_t cl_realtime_nanoseconds(void) { return now(CLOCK_REALTIME); }
int64_t cl_thread_cpu_nanoseconds(void) { return now(CLOCK_THREAD_CPUTIME_ID); }
uint64_t cl_thread_id(void) { return (uint64_t)syscall(SYS_gettid); }

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
    static _Atomic int has_no_pwait2;
    int count = -1;
    if (!atomic_load_explicit(&has_no_pwait2, memory_order_relaxed)) {
        count = epoll_pwait2(epoll, events, capacity, timeout_nanoseconds < 0 ? NULL : &timeout, NULL);
        // Before Linux 5.11, and in containers whose list of calls is older (they say EPERM).
        if (count < 0 && (errno == ENOSYS || errno == EPERM)) atomic_store(&has_no_pwait2, 1);
    }
    if (atomic_load_explicit(&has_no_pwait2, memory_order_relaxed)) {
        // In whole milliseconds, and late rather than early: a wait of none would be a loop.
        int64_t milliseconds = timeout_nanoseconds < 0 ? -1 : (timeout_nanoseconds + 999999) / 1000000;
        count = epoll_wait(epoll, events, capacity, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds);
    }
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) tags[i] = events[i].data.u64;
    return count;
}

void cl_sleep_until(int64_t monotonic_nanoseconds) {
    struct timespec time = {
        .tv_sec = monotonic_nanoseconds / 1000000000,
        .tv_nsec = monotonic_nanoseconds % 1000000000,
    };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {}
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
    // The default lets every wait be 50 us too long.
    prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
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
