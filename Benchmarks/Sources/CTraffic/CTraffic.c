#define _GNU_SOURCE
#include "CTraffic.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

int ct_run_on(int core) { return ct_run_thread_on(0, core); }

int ct_run_thread_on(int thread, int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(thread, sizeof set, &set) ? errno : 0;
}

// Sockets

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

int ct_socket(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, room = 4 << 20;
    if (fd < 0) return -errno;
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&address, length) || getsockname(fd, (struct sockaddr *)&address, &length)) {
        int error = errno;
        close(fd);
        return -error;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int ct_shrink(int fd) {
    int room = 0;
    return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) ? errno : 0;
}

int ct_send(int fd, uint16_t port, const uint8_t *bytes, int length) {
    struct sockaddr_in to = loopback(port);
    return sendto(fd, bytes, length, 0, (struct sockaddr *)&to, sizeof to) == length;
}

int ct_send_run(int fd, uint16_t port, const uint8_t *bytes, int stride, int length, int count) {
    struct sockaddr_in to = loopback(port);
    struct iovec vectors[64];
    if (count > 64) return 0;
    for (int i = 0; i < count; i++) vectors[i] = (struct iovec){(void *)(bytes + (size_t)i * stride), length};
    uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = vectors, .msg_iovlen = count,
        .msg_control = control, .msg_controllen = sizeof control,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t segment = length;
    memcpy(CMSG_DATA(header), &segment, sizeof segment);
    return sendmsg(fd, &message, 0) == (ssize_t)length * count;
}

int ct_receive(int fd, uint8_t *bytes, int capacity) {
    ssize_t length = recv(fd, bytes, capacity, MSG_DONTWAIT);
    return length > 0 ? (int)length : 0;
}

// Sinks

enum { READ_AHEAD = 16, FRONT = 16 };

struct ct_sinks {
    int epoll;
    struct mmsghdr messages[READ_AHEAD];
    struct iovec vectors[READ_AHEAD];
    uint8_t fronts[READ_AHEAD][FRONT];
    uint8_t control[READ_AHEAD][64];
};

ct_sinks *ct_sinks_make(const int *descriptors, int count) {
    ct_sinks *sinks = calloc(1, sizeof *sinks);
    if (!sinks) return NULL;
    sinks->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptors[i]};
        epoll_ctl(sinks->epoll, EPOLL_CTL_ADD, descriptors[i], &event);
    }
    return sinks;
}

void ct_sinks_free(ct_sinks *sinks) {
    if (!sinks) return;
    close(sinks->epoll);
    free(sinks);
}

static int is_media(const uint8_t *front) {
    // RFC 7983 and RFC 5761.
    return front[0] >> 6 == 2 && (front[1] < 192 || front[1] > 223);
}

static int drain_one(ct_sinks *sinks, int fd, ct_counts *counts) {
    for (int i = 0; i < READ_AHEAD; i++) {
        sinks->vectors[i] = (struct iovec){sinks->fronts[i], FRONT};
        sinks->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &sinks->vectors[i], .msg_iovlen = 1,
            .msg_control = sinks->control[i], .msg_controllen = sizeof sinks->control[i],
        };
    }
    // The length of the whole is enough: the rest is not copied.
    int received = recvmmsg(fd, sinks->messages, READ_AHEAD, MSG_DONTWAIT | MSG_TRUNC, NULL);
    for (int i = 0; i < received; i++) {
        if (!is_media(sinks->fronts[i])) {
            counts->others++;
            continue;
        }
        uint32_t length = sinks->messages[i].msg_len, segment = length;
        struct msghdr *header = &sinks->messages[i].msg_hdr;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
            if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) memcpy(&segment, CMSG_DATA(c), sizeof segment);
        }
        counts->packets += segment ? (length + segment - 1) / segment : 1;
        counts->bytes += length;
        counts->messages++;
    }
    return received;
}

void ct_sinks_drain(ct_sinks *sinks, int timeout_milliseconds, ct_counts *counts) {
    struct epoll_event events[64];
    for (;;) {
        int ready = epoll_wait(sinks->epoll, events, 64, timeout_milliseconds);
        if (ready <= 0) return;
        for (int i = 0; i < ready; i++) {
            while (drain_one(sinks, events[i].data.fd, counts) == READ_AHEAD) {}
        }
        timeout_milliseconds = 0;
    }
}

// Time

int ct_thread_named(const char *name) {
    DIR *directory = opendir("/proc/self/task");
    if (!directory) return 0;
    int found = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[300], line[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fgets(line, sizeof line, file)) line[strcspn(line, "\n")] = 0;
        int thread = atoi(entry->d_name);
        if (strcmp(line, name) == 0 && thread > found) found = thread;
        fclose(file);
    }
    closedir(directory);
    return found;
}

int64_t ct_cpu_nanoseconds(int thread) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/schedstat", thread);
    FILE *file = fopen(path, "r");
    long long time = 0;
    if (file) {
        if (fscanf(file, "%lld", &time) != 1) time = 0;
        fclose(file);
    }
    return time;
}

int64_t ct_now_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// A child

int ct_start(char *const *arguments, int core, int *to_child, int *from_child) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) return -errno;
    int pid = fork();
    if (pid < 0) return -errno;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        ct_run_on(core);
        execv(arguments[0], arguments);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *to_child = in[1];
    *from_child = out[0];
    return pid;
}

void ct_stop(int pid, int to_child, int from_child) {
    close(to_child);
    waitpid(pid, NULL, 0);
    close(from_child);
}

int ct_read_number(int fd) {
    int number = 0, digits = 0;
    for (char c; read(fd, &c, 1) == 1; digits++) {
        if (c < '0' || c > '9') return digits ? number : -1;
        number = number * 10 + (c - '0');
    }
    return -1;
}
