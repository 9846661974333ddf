#pragma once
// AES-GCM by Intel's multi-buffer library (libIPSec_MB), where header and library are there: the header when this is
// compiled, the library when the process runs. Nothing is linked, so one binary runs on machines with and without it.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    mb_ready = 0,
    /// Compiled without the library's header, for another processor, or with SLUICE_WITHOUT_MULTIBUFFER.
    mb_not_built,
    mb_no_library,
    /// The library is not of the version whose header this was compiled with.
    mb_other_version,
    /// The processor has no AES instructions, or the library failed its own test.
    mb_no_instructions,
} mb_status;

/// Loads the library, the first time; any thread may ask.
mb_status mb_load(void);
/// The library's version, such as "1.3.0"; "" unless ready.
const char *mb_version(void);

/// An AES key expanded for GCM; 1 KiB, does not change.
typedef struct mb_key mb_key;
/// `length` is 16 or 32. NULL unless ready, or when memory is short.
mb_key *mb_key_make(const uint8_t *key, int length);
/// Overwrites the key first.
void mb_key_free(mb_key *key);

/// Enciphers `length` bytes from `in` to `out`, which may be the same place but not overlap otherwise, and writes 16
/// bytes of tag. The nonce has 12 bytes. `key_length` is that of `mb_key_make`.
void mb_gcm_seal(const mb_key *key, int key_length, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_length, const uint8_t *in, uint8_t *out, size_t length, uint8_t *tag);

/// Deciphers in place. False when the tag, compared in constant time, is wrong; the bytes are then spoilt.
bool mb_gcm_open(const mb_key *key, int key_length, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_length, uint8_t *bytes, size_t length, const uint8_t *tag);
