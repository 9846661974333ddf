#pragma once

#include <opus/opus.h>

// Variadic in C, which Swift cannot call.
static inline int shim_opus_set_bitrate(OpusEncoder *encoder, opus_int32 bits_per_second) {
    return opus_encoder_ctl(encoder, OPUS_SET_BITRATE(bits_per_second));
}
