// Counts a program's copies by caller and size: preloaded before libc by ../copies.sh. Swift copies values that are only lent
// when they are large, and nothing in the source shows it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SITES = 16384, LOOKS = 64 };

static struct {
    _Atomic uintptr_t caller;
    _Atomic size_t size;
    _Atomic uint64_t count;
} sites[SITES];
static _Atomic uint64_t uncounted;
static _Atomic size_t smallest = SIZE_MAX;
static void *(*real_memcpy)(void *, const void *, size_t);
static void *(*real_memmove)(void *, const void *, size_t);

// One thread may note a size while another looks for it: then a site has two entries, which ../copies.sh adds up.
static void note(uintptr_t caller, size_t size) {
    size_t index = (caller * 2654435761u + size) % SITES;
    for (int looks = 0; looks < LOOKS; looks++, index = (index + 1) % SITES) {
        uintptr_t found = 0;
        if (atomic_compare_exchange_strong(&sites[index].caller, &found, caller)) {
            atomic_store(&sites[index].size, size);
        } else if (found != caller || atomic_load(&sites[index].size) != size) {
            continue;
        }
        atomic_fetch_add_explicit(&sites[index].count, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&uncounted, 1, memory_order_relaxed);
}

// Before the constructor has run: byte by byte, so that the compiler does not make a call of `memmove` of it.
static void *copy(void *to, const void *from, size_t size) {
    volatile unsigned char *out = to;
    const unsigned char *in = from;
    if ((uintptr_t)to <= (uintptr_t)from) {
        for (size_t at = 0; at < size; at++) out[at] = in[at];
    } else {
        while (size--) out[size] = in[size];
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t size) {
    if (size >= smallest) note((uintptr_t)__builtin_return_address(0), size);
    return real_memcpy ? real_memcpy(to, from, size) : copy(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
    if (size >= smallest) note((uintptr_t)__builtin_return_address(0), size);
    return real_memmove ? real_memmove(to, from, size) : copy(to, from, size);
}

__attribute__((constructor)) static void begin(void) {
    real_memcpy = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memcpy");
    real_memmove = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memmove");
    // Of this program alone, not of those that it starts.
    unsetenv("LD_PRELOAD");
    const char *told = getenv("COPIES_SMALLEST");
    smallest = told ? strtoul(told, NULL, 10) : 512;
}

// Count, size, where in the file, which file: in the program itself, an offset is an address of `nm`.
__attribute__((destructor)) static void end(void) {
    smallest = SIZE_MAX;
    const char *path = getenv("COPIES_FILE");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    for (size_t index = 0; index < SITES; index++) {
        uintptr_t caller = sites[index].caller;
        Dl_info library;
        // One less: the address is that of the instruction after the call, maybe of another function.
        if (!caller || !dladdr((void *)caller, &library)) continue;
        fprintf(file, "%lu %zu %lx %s\n", (unsigned long)sites[index].count, sites[index].size,
                (unsigned long)(caller - 1 - (uintptr_t)library.dli_fbase), library.dli_fname);
    }
    fprintf(file, "%lu 0 0 -\n", (unsigned long)uncounted);
    fclose(file);
}
