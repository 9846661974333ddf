#pragma once
#include <stdint.h>

/// Bytes that the process has from malloc and not given back, as glibc counts them: with its own 8 bytes for each piece.
uint64_t heap_bytes_in_use(void);
/// Of the whole process, as the kernel counts them.
uint64_t resident_bytes(void);
/// Gives what malloc keeps for later back to the kernel.
void heap_trim(void);
