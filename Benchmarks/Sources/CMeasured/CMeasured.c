#include "CMeasured.h"

__attribute__((noinline)) void measured_call(void (*body)(void *), void *context) {
    body(context);
    // Not a tail call, or callgrind would not see its end.
    __asm__ volatile("");
}
