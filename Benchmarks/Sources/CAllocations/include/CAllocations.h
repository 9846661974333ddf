#pragma once
#include <stdint.h>

/// How often the process has asked for memory so far, in whatever library: this target takes the place of `malloc` and
/// its like, and counts before it hands on to the C library's own.
uint64_t allocation_count(void);
