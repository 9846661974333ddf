#pragma once
#include <stdbool.h>
#include <stdint.h>

/// How often the process has asked for memory so far, in whatever library: this target takes the place of `malloc` and
/// its like, and counts before it hands on to the C library's own.
uint64_t allocation_count(void);

/// Larger than any packet, in bytes: what copies more is most likely a value that Swift lent to a function.
#define LARGEST_COPY 1536

/// How often the process has copied more than `LARGEST_COPY` bytes at once so far: this target takes the place of `memcpy`
/// and its like, too. What the C library copies for itself is not counted.
uint64_t large_copy_count(void);

/// Whether retains and releases are counted: on x86-64.
bool counts_references(void);

/// How often a reference to an object of Swift's was taken or given back so far, here or in a library.
uint64_t reference_change_count(void);
