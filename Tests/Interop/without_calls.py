"""Runs a program on what seems to be an older kernel: `without_calls.py NUMBER[,NUMBER...] PROGRAM ARGUMENTS...`

The system calls with these numbers answer EPERM, as in containers whose list of calls is older than the program.
"""
import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER_MODE = 22, 38, 2
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def refuse(numbers):
    # seccomp_data begins with the number of the call.
    code = [(LOAD_WORD, 0, 0, 0)]
    for number in numbers:
        code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | errno.EPERM)]
    code.append((RETURN, 0, 0, ALLOW))
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(code), b"".join(struct.pack("HBBI", *instruction) for instruction in code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER_MODE, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "no seccomp filter")
    for number in numbers:
        if libc.syscall(number, -1, None, 0, None, None) != -1 or ctypes.get_errno() != errno.EPERM:
            raise OSError(f"call {number} is still there")


if __name__ == "__main__":
    refuse([int(number) for number in sys.argv[1].split(",")])
    os.execv(sys.argv[2], sys.argv[2:])
