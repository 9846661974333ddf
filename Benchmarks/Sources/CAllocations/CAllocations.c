#define _GNU_SOURCE
#include "CAllocations.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t count;
static _Atomic uint64_t large_copies;

uint64_t allocation_count(void) { return atomic_load_explicit(&count, memory_order_relaxed); }

uint64_t large_copy_count(void) { return atomic_load_explicit(&large_copies, memory_order_relaxed); }

static void note(void) { atomic_fetch_add_explicit(&count, 1, memory_order_relaxed); }

void *malloc(size_t size) {
    note();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    note();
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    note();
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    note();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}

// By one instruction or byte by byte, so that the compiler does not make a call of `memcpy` of it.
static void copy(unsigned char *to, const unsigned char *from, size_t size) {
#if defined(__x86_64__)
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
#else
    volatile unsigned char *out = to;
    while (size--) *out++ = *from++;
#endif
}

void *memcpy(void *to, const void *from, size_t size) {
    if (size > LARGEST_COPY) atomic_fetch_add_explicit(&large_copies, 1, memory_order_relaxed);
    copy(to, from, size);
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    if (size > LARGEST_COPY) atomic_fetch_add_explicit(&large_copies, 1, memory_order_relaxed);
    if ((uintptr_t)to - (uintptr_t)from >= size) {
        copy(to, from, size);
        return to;
    }
    volatile unsigned char *out = to;
    const unsigned char *in = from;
    while (size--) out[size] = in[size];
    return to;
}

void *mempcpy(void *to, const void *from, size_t size) { return (unsigned char *)memcpy(to, from, size) + size; }

// What programs that are built with _FORTIFY_SOURCE call; this one only counts.
void *__memcpy_chk(void *to, const void *from, size_t size, size_t room) {
    if (size > room) abort();
    return memcpy(to, from, size);
}

void *__memmove_chk(void *to, const void *from, size_t size, size_t room) {
    if (size > room) abort();
    return memmove(to, from, size);
}

// References

// Callers of these keep values in registers that C lets a function use (their convention is preserve_most), so nothing but
// two instructions is done here: count, and go on to Swift's runtime. It may call them itself before anything else of this
// program runs; `.preinit_array` is before that.
#if defined(__x86_64__)
#define COUNTED(name)                                                                                                  \
    __attribute__((visibility("hidden"), used)) void *real_##name;                                                     \
    __asm__(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n"                                         \
            "lock incq reference_changes(%rip)\njmp *real_" #name "(%rip)\n.size " #name ", .-" #name "\n")

__attribute__((visibility("hidden"), used)) uint64_t reference_changes;

COUNTED(swift_retain);
COUNTED(swift_release);
COUNTED(swift_retain_n);
COUNTED(swift_release_n);
COUNTED(swift_bridgeObjectRetain);
COUNTED(swift_bridgeObjectRelease);
COUNTED(swift_bridgeObjectRetain_n);
COUNTED(swift_bridgeObjectRelease_n);

static void find_runtime(void) {
#define FIND(name) real_##name = dlsym(RTLD_NEXT, #name)
    FIND(swift_retain);
    FIND(swift_release);
    FIND(swift_retain_n);
    FIND(swift_release_n);
    FIND(swift_bridgeObjectRetain);
    FIND(swift_bridgeObjectRelease);
    FIND(swift_bridgeObjectRetain_n);
    FIND(swift_bridgeObjectRelease_n);
}

__attribute__((section(".preinit_array"), used)) static void (*const find_runtime_first)(void) = find_runtime;

bool counts_references(void) { return true; }
uint64_t reference_change_count(void) { return __atomic_load_n(&reference_changes, __ATOMIC_RELAXED); }
#else
bool counts_references(void) { return false; }
uint64_t reference_change_count(void) { return 0; }
#endif
