#pragma once
// What the files of this target share and Swift does not see.
#include "CLinux.h"

#include <sys/socket.h>

socklen_t cl_to_sockaddr(const cl_address *address, struct sockaddr_storage *out);
void cl_from_sockaddr(const struct sockaddr *source, cl_address *out);
