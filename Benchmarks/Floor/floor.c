// The floor: the least that a forwarder of SRTP can do, in C, with the same system calls and the same cipher as the
// server. No ICE, no DTLS, no bandwidth estimate, no retransmission, no statistics. `make floor` measures the server's
// hot path against it.
//
//     floor evp|ipsec-mb PUBLISHERS SINKPORT...
//
// Prints the UDP port that it listens on, then forwards until its standard input ends. A packet of publisher p has the
// SSRC p; its key is all bytes p, the key of subscriber s is made by `subscriber_key`, salts are zero.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef WITH_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BATCH = 64, STRIDE = 65536, SEGMENTS = 64, MESSAGES = 64, TAG = 16, ARENA = 1 << 20, PACKET = 1536 };

struct cipher {
    EVP_CIPHER_CTX *context;
#ifdef WITH_IPSEC_MB
    struct gcm_key_data *expanded;
#endif
};

struct subscriber {
    struct cipher cipher;
    struct sockaddr_in address;
    // Of each publisher's stream; the offsets are other ones for each.
    uint32_t first_ssrc, timestamp_offset;
    uint16_t sequence_offset, transport_sequence;
};

struct packet {
    uint8_t *bytes;
    int length, header_length;
};

static int uses_ipsec_mb;
#ifdef WITH_IPSEC_MB
static IMB_MGR *manager;
#endif

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int header_length(const uint8_t *packet, int length) {
    if (length < 16) return -1;
    int count = 12 + 4 * (packet[0] & 15);
    if (packet[0] & 0x10) count += 4 + 4 * (packet[count + 2] << 8 | packet[count + 3]);
    return count + TAG <= length ? count : -1;
}

static void make_cipher(struct cipher *cipher, const uint8_t *key, int seals) {
    static const uint8_t salt[12];
    cipher->context = EVP_CIPHER_CTX_new();
    if (!cipher->context || !EVP_CipherInit_ex(cipher->context, EVP_aes_128_gcm(), NULL, key, salt, seals)) fail("EVP");
#ifdef WITH_IPSEC_MB
    if (uses_ipsec_mb) {
        if (posix_memalign((void **)&cipher->expanded, 64, sizeof *cipher->expanded)) fail("memory");
        IMB_AES128_GCM_PRE(manager, key, cipher->expanded);
    }
#endif
}

// RFC 7714 section 8.1 with a salt of zeros and a roll-over counter of 0.
static void make_nonce(uint8_t nonce[12], const uint8_t *packet) {
    memset(nonce, 0, 12);
    memcpy(nonce + 2, packet + 8, 4);
    memcpy(nonce + 10, packet + 2, 2);
}

static void seal(const struct cipher *cipher, uint8_t *out, int header, const uint8_t *payload, int count) {
    uint8_t nonce[12];
    make_nonce(nonce, out);
#ifdef WITH_IPSEC_MB
    if (uses_ipsec_mb) {
        IMB_AES128_GCM_ENC(manager, cipher->expanded, &(struct gcm_context_data){0}, out + header, payload, count, nonce,
                           out, header, out + header + count, TAG);
        return;
    }
#endif
    int length;
    EVP_EncryptInit_ex2(cipher->context, NULL, NULL, nonce, NULL);
    EVP_EncryptUpdate(cipher->context, NULL, &length, out, header);
    EVP_EncryptUpdate(cipher->context, out + header, &length, payload, count);
    EVP_EncryptFinal_ex(cipher->context, out + header + count, &length);
    EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, TAG, out + header + count);
}

static int open_packet(const struct cipher *cipher, struct packet *packet) {
    uint8_t nonce[12];
    make_nonce(nonce, packet->bytes);
    uint8_t *payload = packet->bytes + packet->header_length;
    int count = packet->length - packet->header_length - TAG, length;
#ifdef WITH_IPSEC_MB
    if (uses_ipsec_mb) {
        uint8_t tag[TAG];
        IMB_AES128_GCM_DEC(manager, cipher->expanded, &(struct gcm_context_data){0}, payload, payload, count, nonce,
                           packet->bytes, packet->header_length, tag, TAG);
        packet->length -= TAG;
        return memcmp(tag, payload + count, TAG) == 0;
    }
#endif
    EVP_DecryptInit_ex2(cipher->context, NULL, NULL, nonce, NULL);
    EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, TAG, payload + count);
    EVP_DecryptUpdate(cipher->context, NULL, &length, packet->bytes, packet->header_length);
    EVP_DecryptUpdate(cipher->context, payload, &length, payload, count);
    packet->length -= TAG;
    return EVP_DecryptFinal_ex(cipher->context, payload + count, &length) == 1;
}

// SSRC, numbers, time of sending (id 6) and transport-wide number (id 5): what a forwarder has to change.
static void rewrite(struct subscriber *subscriber, uint8_t *out) {
    uint16_t sequence = ntohs(*(uint16_t *)(out + 2)) + subscriber->sequence_offset;
    *(uint16_t *)(out + 2) = htons(sequence);
    uint32_t timestamp = ntohl(*(uint32_t *)(out + 4)) + subscriber->timestamp_offset;
    *(uint32_t *)(out + 4) = htonl(timestamp);
    *(uint32_t *)(out + 8) = htonl(subscriber->first_ssrc + ntohl(*(uint32_t *)(out + 8)));
    if (!(out[0] & 0x10)) return;
    uint8_t *element = out + 16, *end = element + 4 * (out[14] << 8 | out[15]);
    while (element < end) {
        if (!*element) {
            element++;
            continue;
        }
        int id = *element >> 4, count = (*element & 15) + 1;
        if (id == 6) {
            element[1] = timestamp >> 16;
            element[2] = timestamp >> 8;
            element[3] = timestamp;
        } else if (id == 5) {
            uint16_t number = subscriber->transport_sequence++;
            element[1] = number >> 8;
            element[2] = number;
        }
        element += 1 + count;
    }
}

// What leaves

static uint8_t arena[ARENA + SEGMENTS * PACKET];
static struct mmsghdr outgoing[MESSAGES];
static struct iovec out_vectors[MESSAGES];
static uint8_t out_control[MESSAGES][CMSG_SPACE(sizeof(uint16_t))];
static int out_count;

static void flush(int fd) {
    for (int sent = 0; sent < out_count;) {
        int result = sendmmsg(fd, outgoing + sent, out_count - sent, 0);
        if (result < 0) fail("sendmmsg");
        sent += result;
    }
    out_count = 0;
}

static void add_message(struct subscriber *to, uint8_t *bytes, int length, int segment) {
    struct msghdr *header = &outgoing[out_count].msg_hdr;
    out_vectors[out_count] = (struct iovec){bytes, length};
    *header = (struct msghdr){
        .msg_name = &to->address,
        .msg_namelen = sizeof to->address,
        .msg_iov = &out_vectors[out_count],
        .msg_iovlen = 1,
    };
    if (length > segment) {
        header->msg_control = out_control[out_count];
        header->msg_controllen = sizeof out_control[out_count];
        struct cmsghdr *control = CMSG_FIRSTHDR(header);
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t size = segment;
        memcpy(CMSG_DATA(control), &size, sizeof size);
    }
    out_count++;
}

// All packets of a batch to one subscriber, then the next: its keys and its place in memory stay in the cache.
static void forward(int fd, const struct packet *packets, int count, struct subscriber *subscribers, int subscriber_count) {
    uint8_t *out = arena;
    for (int index = 0; index < subscriber_count; index++) {
        struct subscriber *to = &subscribers[index];
        uint8_t *first = out;
        int segment = 0;
        for (int position = 0; position < count; position++) {
            const struct packet *packet = &packets[position];
            int length = packet->length + TAG;
            if (segment && (length != segment || out - first + length > 65000 || (out - first) / segment == SEGMENTS)) {
                add_message(to, first, out - first, segment);
                first = out;
                if (out_count == MESSAGES || out - arena > ARENA) {
                    flush(fd);
                    out = first = arena;
                }
            }
            segment = length;
            memcpy(out, packet->bytes, packet->header_length);
            rewrite(to, out);
            seal(&to->cipher, out, packet->header_length, packet->bytes + packet->header_length,
                 packet->length - packet->header_length);
            out += length;
        }
        if (out > first) add_message(to, first, out - first, segment);
        if (out_count == MESSAGES || out - arena > ARENA) {
            flush(fd);
            out = arena;
        }
    }
    if (out_count) flush(fd);
}

// What comes

static uint8_t *receive_bytes;
static struct mmsghdr incoming[BATCH];
static struct iovec in_vectors[BATCH];
static uint8_t in_control[BATCH][64];

static int receive(int fd, struct packet *packets) {
    for (int i = 0; i < BATCH; i++) {
        in_vectors[i] = (struct iovec){receive_bytes + (size_t)i * STRIDE, STRIDE};
        incoming[i].msg_hdr = (struct msghdr){
            .msg_iov = &in_vectors[i], .msg_iovlen = 1,
            .msg_control = in_control[i], .msg_controllen = sizeof in_control[i],
        };
    }
    int messages = recvmmsg(fd, incoming, BATCH, MSG_DONTWAIT, NULL), count = 0;
    for (int i = 0; i < messages; i++) {
        int length = incoming[i].msg_len, segment = length;
        struct msghdr *header = &incoming[i].msg_hdr;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
            if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) memcpy(&segment, CMSG_DATA(c), sizeof segment);
        }
        for (int start = 0; start < length && count < BATCH * SEGMENTS; start += segment) {
            int rest = length - start;
            packets[count++] = (struct packet){in_vectors[i].iov_base + start, rest < segment ? rest : segment, 0};
        }
    }
    return count;
}

static void subscriber_key(uint8_t key[16], int index) {
    for (int i = 0; i < 16; i++) key[i] = (uint8_t)(index + 16 * i + 1);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    uses_ipsec_mb = strcmp(argv[1], "ipsec-mb") == 0;
#ifdef WITH_IPSEC_MB
    if (uses_ipsec_mb) {
        manager = alloc_mb_mgr(0);
        if (!manager) fail("ipsec-mb");
        init_mb_mgr_auto(manager, NULL);
    }
#else
    if (uses_ipsec_mb) {
        fprintf(stderr, "floor was built without ipsec-mb\n");
        return 3;
    }
#endif
    int publisher_count = atoi(argv[2]), subscriber_count = argc - 3;
    struct cipher *openers = calloc(publisher_count, sizeof *openers);
    struct subscriber *subscribers = calloc(subscriber_count, sizeof *subscribers);
    receive_bytes = malloc((size_t)BATCH * STRIDE);
    struct packet *packets = calloc(BATCH * SEGMENTS, sizeof *packets);
    if (!openers || !subscribers || !receive_bytes || !packets) fail("memory");
    for (int p = 0; p < publisher_count; p++) {
        uint8_t key[16];
        memset(key, p, sizeof key);
        make_cipher(&openers[p], key, 0);
    }
    for (int s = 0; s < subscriber_count; s++) {
        uint8_t key[16];
        subscriber_key(key, s);
        make_cipher(&subscribers[s].cipher, key, 1);
        subscribers[s].address = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(atoi(argv[3 + s])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        subscribers[s].first_ssrc = 1000 * (s + 1);
        subscribers[s].timestamp_offset = 90 * s;
        subscribers[s].sequence_offset = s;
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, room = 4 << 20;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&address, length) || getsockname(fd, (struct sockaddr *)&address, &length)) fail("bind");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct pollfd waiting[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (;;) {
        poll(waiting, 2, -1);
        if (waiting[1].revents) return 0;
        int received, kept = 0;
        while ((received = receive(fd, packets)) > 0) {
            kept = 0;
            for (int i = 0; i < received; i++) {
                packets[i].header_length = header_length(packets[i].bytes, packets[i].length);
                if (packets[i].header_length < 0) continue;
                uint32_t ssrc = ntohl(*(uint32_t *)(packets[i].bytes + 8));
                if (ssrc >= (uint32_t)publisher_count || !open_packet(&openers[ssrc], &packets[i])) continue;
                packets[kept++] = packets[i];
            }
            if (kept) forward(fd, packets, kept, subscribers, subscriber_count);
        }
    }
}
