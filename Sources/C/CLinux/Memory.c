#include "CLinux.h"

#include <malloc.h>

void cl_return_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
