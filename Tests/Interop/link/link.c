/* An emulated access link on one machine, without privileges: a UDP relay between clients and a server.
 *
 *   link LISTEN_HOST TARGET_HOST SEED PORT...
 *
 * For each PORT of TARGET_HOST a port of LISTEN_HOST is opened; the first line of output names them in the same order,
 * `ready PORT...`. What comes from one client address goes on from a socket of its own, and back. All clients and ports
 * share one link, which has two directions: `up` towards the server, `down` towards the clients. In each, a packet
 * is lost at random, or waits in a drop-tail queue that is served at the capacity, and is then delayed:
 *
 *   rate   capacity in bit/s; 0 = unlimited, -1 = nothing passes
 *   queue  bytes that may wait; a packet that does not fit is dropped
 *   delay  of the way, in milliseconds
 *   loss   probability from 0 to 1, before the queue
 *
 * Sizes are those of the UDP payload and 28 bytes of IPv4 and UDP headers. Commands come as lines on standard input,
 * `up|down|both KEY=VALUE...` and `stats`; each is answered by one line, `ok`, `error ...` or JSON. A new rate counts
 * from that moment on, also for the packet that is being served. At the end of the input the program ends.
 *
 * The queue runs on the arrival times that the kernel noted, so a machine that lets this program wait delays packets
 * but changes neither what is dropped nor the rate.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PORTS = 16, MAX_CLIENTS = 64, HEADERS = 28, MAX_DATAGRAM = 2048, NAME = 4, UP = 0, DOWN = 1 };

typedef struct packet {
    struct packet *next;
    int64_t arrived, leaves;
    int client, length;
    uint8_t bytes[];
} packet;

typedef struct { packet *first, *last; } list;

typedef struct {
    const char *name;
    double rate, loss;
    int64_t delay, limit;
    list waiting, travelling;
    int64_t waiting_bytes, served_until;
    double bits_left; /* of the first that waits */
    int64_t in_packets, in_bytes, out_packets, out_bytes, queue_drops, random_drops, longest_wait;
} direction;

typedef struct { struct sockaddr_in address; int port; int socket; } client;

static direction directions[2] = {
    { .name = "up", .limit = 1 << 20 }, { .name = "down", .limit = 1 << 20 },
};
static client clients[MAX_CLIENTS];
static int client_count, port_count, listeners[MAX_PORTS];
static struct sockaddr_in targets[MAX_PORTS];
static uint64_t random_state;

static void fail(const char *what) {
    fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
    exit(71);
}

/* Nanoseconds, of the clock of the kernel's arrival times. */
static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* SplitMix64, as a number from 0 to 1. */
static double next_random(void) {
    uint64_t value = random_state += 0x9E3779B97F4A7C15;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    return (double)((value ^ (value >> 31)) >> 11) * 0x1p-53;
}

static void append(list *list, packet *packet) {
    packet->next = NULL;
    if (list->last) list->last->next = packet; else list->first = packet;
    list->last = packet;
}

static packet *remove_first(list *list) {
    packet *packet = list->first;
    list->first = packet->next;
    if (!list->first) list->last = NULL;
    return packet;
}

static double bits(const packet *packet) { return (packet->length + HEADERS) * 8.0; }

/* Serves what waits, from the time up to which it was served before. */
static void serve(direction *way, int64_t until) {
    while (way->waiting.first && way->rate >= 0) {
        int64_t done = way->served_until;
        if (way->rate > 0) done += (int64_t)(way->bits_left / way->rate * 1e9);
        if (done > until) {
            if (until > way->served_until) {
                way->bits_left -= (double)(until - way->served_until) * way->rate / 1e9;
                way->served_until = until;
            }
            return;
        }
        packet *packet = remove_first(&way->waiting);
        way->waiting_bytes -= packet->length + HEADERS;
        way->served_until = done;
        if (done - packet->arrived > way->longest_wait) way->longest_wait = done - packet->arrived;
        packet->leaves = done + way->delay;
        /* A way that gets shorter reorders nothing. */
        if (way->travelling.last && packet->leaves < way->travelling.last->leaves) {
            packet->leaves = way->travelling.last->leaves;
        }
        append(&way->travelling, packet);
        if (way->waiting.first) way->bits_left = bits(way->waiting.first);
    }
    /* An idle link stays at the end of its last packet: the next may have arrived before `until`, and be read later. */
    if (way->waiting.first && until > way->served_until) way->served_until = until;
}

static void take(direction *way, int client, const uint8_t *bytes, int length, int64_t arrived) {
    way->in_packets += 1;
    way->in_bytes += length + HEADERS;
    if (way->loss > 0 && next_random() < way->loss) {
        way->random_drops += 1;
        return;
    }
    serve(way, arrived);
    if (way->waiting.first && way->waiting_bytes + length + HEADERS > way->limit) {
        way->queue_drops += 1;
        return;
    }
    packet *entry = malloc(sizeof *entry + (size_t)length);
    if (!entry) fail("memory");
    entry->arrived = arrived;
    entry->client = client;
    entry->length = length;
    memcpy(entry->bytes, bytes, (size_t)length);
    if (!way->waiting.first) {
        way->bits_left = bits(entry);
        if (arrived > way->served_until) way->served_until = arrived;
    }
    append(&way->waiting, entry);
    way->waiting_bytes += length + HEADERS;
    serve(way, arrived);
}

static void send_travelled(direction *way, bool is_up, int64_t time) {
    while (way->travelling.first && way->travelling.first->leaves <= time) {
        packet *packet = remove_first(&way->travelling);
        client *peer = &clients[packet->client];
        ssize_t sent;
        if (is_up) sent = send(peer->socket, packet->bytes, (size_t)packet->length, 0);
        else sent = sendto(listeners[peer->port], packet->bytes, (size_t)packet->length, 0,
            (struct sockaddr *)&peer->address, sizeof peer->address);
        /* Who is gone gets nothing; that is no error of the link. */
        if (sent == packet->length) {
            way->out_packets += 1;
            way->out_bytes += packet->length + HEADERS;
        }
        free(packet);
    }
}

static int64_t next_event(const direction *way) {
    int64_t next = INT64_MAX;
    if (way->travelling.first) next = way->travelling.first->leaves;
    if (way->waiting.first && way->rate >= 0) {
        int64_t done = way->served_until;
        if (way->rate > 0) done += (int64_t)(way->bits_left / way->rate * 1e9);
        if (done < next) next = done;
    }
    return next;
}

// MARK: Sockets

static int open_socket(const char *host) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) fail("socket");
    int size = 4 << 20, on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    struct sockaddr_in address = { .sin_family = AF_INET };
    if (host && inet_pton(AF_INET, host, &address.sin_addr) != 1) fail(host);
    if (host && bind(descriptor, (struct sockaddr *)&address, sizeof address)) fail("bind");
    return descriptor;
}

static int find_client(int port, const struct sockaddr_in *address) {
    for (int index = 0; index < client_count; index++) {
        const client *entry = &clients[index];
        if (entry->port == port && entry->address.sin_port == address->sin_port
            && entry->address.sin_addr.s_addr == address->sin_addr.s_addr) return index;
    }
    if (client_count == MAX_CLIENTS) return -1;
    client *entry = &clients[client_count];
    *entry = (client){ .address = *address, .port = port, .socket = open_socket(NULL) };
    if (connect(entry->socket, (struct sockaddr *)&targets[port], sizeof targets[port])) fail("connect");
    return client_count++;
}

static int64_t arrival(struct msghdr *message) {
    for (struct cmsghdr *entry = CMSG_FIRSTHDR(message); entry; entry = CMSG_NXTHDR(message, entry)) {
        if (entry->cmsg_level == SOL_SOCKET && entry->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(entry), sizeof time);
            return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
        }
    }
    return now();
}

/* `peer`: the client whose socket this is, or -1 for the listener of `port`. */
static void read_all(int descriptor, int port, int peer) {
    for (int count = 0; count < 256; count++) {
        uint8_t bytes[MAX_DATAGRAM], control[128];
        struct sockaddr_in from;
        struct iovec part = { bytes, sizeof bytes };
        struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1,
            .msg_control = control, .msg_controllen = sizeof control };
        ssize_t length = recvmsg(descriptor, &message, 0);
        if (length < 0 && errno == ECONNREFUSED) continue;
        if (length < 0) return;
        int index = peer >= 0 ? peer : find_client(port, &from);
        if (index >= 0) take(&directions[peer >= 0 ? DOWN : UP], index, bytes, (int)length, arrival(&message));
    }
}

// MARK: Commands

static void print_stats(void) {
    putchar('{');
    for (int index = 0; index < 2; index++) {
        direction *way = &directions[index];
        printf("%s\"%s\": {\"rate\": %.0f, \"in_packets\": %ld, \"in_bytes\": %ld, \"out_packets\": %ld, \"out_bytes\": %ld, "
            "\"queue_drops\": %ld, \"random_drops\": %ld, \"waiting_bytes\": %ld, \"longest_wait_ms\": %.3f}",
            index ? ", " : "", way->name, way->rate, way->in_packets, way->in_bytes, way->out_packets, way->out_bytes,
            way->queue_drops, way->random_drops, way->waiting_bytes, (double)way->longest_wait / 1e6);
        way->longest_wait = 0;
    }
    printf(", \"clients\": %d}\n", client_count);
}

static bool set(direction *way, const char *key, double value) {
    if (!strcmp(key, "rate")) way->rate = value;
    else if (!strcmp(key, "queue")) way->limit = (int64_t)value;
    else if (!strcmp(key, "delay")) way->delay = (int64_t)(value * 1e6);
    else if (!strcmp(key, "loss")) way->loss = value;
    else return false;
    return true;
}

static void obey(char *line) {
    char *rest, *word = strtok_r(line, " ", &rest);
    if (word && !strcmp(word, "stats")) {
        print_stats();
        return;
    }
    bool has_up = word && (!strcmp(word, "up") || !strcmp(word, "both"));
    bool has_down = word && (!strcmp(word, "down") || !strcmp(word, "both"));
    bool is_good = has_up || has_down;
    for (char *entry; is_good && (entry = strtok_r(NULL, " ", &rest));) {
        char *value = strchr(entry, '='), *end = entry;
        if (value) {
            *value++ = 0;
            double number = strtod(value, &end);
            is_good = end != value && !*end && (!has_up || set(&directions[UP], entry, number))
                && (!has_down || set(&directions[DOWN], entry, number));
        } else is_good = false;
    }
    puts(is_good ? "ok" : "error: expected up|down|both rate|queue|delay|loss=NUMBER... or stats");
}

/* False at the end of the input. */
static bool read_commands(int64_t time) {
    static char text[1024];
    static size_t length;
    ssize_t count = read(STDIN_FILENO, text + length, sizeof text - 1 - length);
    if (count <= 0) return count < 0 && errno == EINTR;
    length += (size_t)count;
    text[length] = 0;
    /* Up to here at the old rate. */
    serve(&directions[UP], time);
    serve(&directions[DOWN], time);
    for (char *end; (end = strchr(text, '\n'));) {
        *end = 0;
        obey(text);
        length -= (size_t)(end + 1 - text);
        memmove(text, end + 1, length + 1);
    }
    return length < sizeof text - 1;
}

int main(int count, char **arguments) {
    if (count < 5 || count - 4 > MAX_PORTS) {
        fprintf(stderr, "usage: %s LISTEN_HOST TARGET_HOST SEED PORT...\n", arguments[0]);
        return 64;
    }
    random_state = strtoull(arguments[3], NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready");
    for (int index = 4; index < count; index++) {
        targets[port_count] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[index])) };
        if (inet_pton(AF_INET, arguments[2], &targets[port_count].sin_addr) != 1) fail(arguments[2]);
        listeners[port_count] = open_socket(arguments[1]);
        struct sockaddr_in own;
        socklen_t size = sizeof own;
        getsockname(listeners[port_count++], (struct sockaddr *)&own, &size);
        printf(" %d", ntohs(own.sin_port));
    }
    puts("");
    /* Both are a matter of accuracy, and may be refused. */
    prctl(PR_SET_TIMERSLACK, 1000);
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 10 });
    while (true) {
        int64_t time = now(), next = INT64_MAX;
        for (int index = 0; index < 2; index++) {
            serve(&directions[index], time);
            send_travelled(&directions[index], index == UP, time);
            int64_t event = next_event(&directions[index]);
            if (event < next) next = event;
        }
        int64_t pause = next == INT64_MAX ? 1000000000 : next - now();
        if (pause < 0) pause = 0;
        struct timespec timeout = { pause / 1000000000, pause % 1000000000 };
        struct pollfd polled[1 + MAX_PORTS + MAX_CLIENTS] = {{ .fd = STDIN_FILENO, .events = POLLIN }};
        nfds_t total = 1;
        for (int index = 0; index < port_count; index++) polled[total++] = (struct pollfd){ listeners[index], POLLIN, 0 };
        int known = client_count;
        for (int index = 0; index < known; index++) polled[total++] = (struct pollfd){ clients[index].socket, POLLIN, 0 };
        if (ppoll(polled, total, &timeout, NULL) < 0 && errno != EINTR) fail("poll");
        for (int index = 0; index < port_count; index++) {
            if (polled[1 + index].revents) read_all(listeners[index], index, -1);
        }
        for (int index = 0; index < known; index++) {
            if (polled[1 + port_count + index].revents) read_all(clients[index].socket, clients[index].port, index);
        }
        if (polled[0].revents && !read_commands(now())) return 0;
    }
}
