#pragma once

// Only <openssl/sha.h>'s streaming calls are deprecated among what we use, and they are the fastest HMAC there is:
// the states after the inner and outer pads are computed once per key.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

// Swift cannot import macros that are expressions or calls: each function below is one of them, and little more.

// Sets the nonce and the tag to verify in one provider call.
static inline int shim_gcm_begin_open(EVP_CIPHER_CTX *context, const unsigned char *nonce, unsigned char *tag) {
    const OSSL_PARAM parameters[2] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, 16),
        OSSL_PARAM_END,
    };
    return EVP_DecryptInit_ex2(context, NULL, NULL, nonce, parameters);
}

static inline int shim_gcm_get_tag(EVP_CIPHER_CTX *context, unsigned char *tag) {
    OSSL_PARAM parameters[2] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, 16),
        OSSL_PARAM_END,
    };
    return EVP_CIPHER_CTX_get_params(context, parameters);
}

static inline int shim_gcm_expect_tag(EVP_CIPHER_CTX *context, unsigned char *tag) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag);
}

// The pseudo-random function of TLS 1.2. Here because the parameters point to their names for as long as they are used.
static inline int shim_tls12_expand(const EVP_MD *digest, unsigned char *secret, size_t secret_length,
                                    unsigned char *seed, size_t seed_length, unsigned char *out, size_t length) {
    EVP_KDF *function = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = function ? EVP_KDF_CTX_new(function) : NULL;
    EVP_KDF_free(function);
    if (!context) return 0;
    const OSSL_PARAM parameters[4] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(digest), 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SECRET, secret, secret_length),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SEED, seed, seed_length),
        OSSL_PARAM_END,
    };
    const int status = EVP_KDF_derive(context, out, length, parameters);
    EVP_KDF_CTX_free(context);
    return status;
}

static inline long shim_bio_pending(BIO *bio) { return BIO_pending(bio); }
static inline int shim_bio_reset(BIO *bio) { return BIO_reset(bio); }
static inline void shim_bio_retry_when_empty(BIO *bio) { BIO_set_mem_eof_return(bio, -1); }

static inline uint64_t shim_dtls_options(void) {
    return SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
           SSL_OP_CIPHER_SERVER_PREFERENCE;
}

static inline int shim_ctx_only_dtls_1_2(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) &&
           SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION);
}
static inline int shim_ctx_set_groups(SSL_CTX *context, const char *names) {
    return SSL_CTX_set1_groups_list(context, names) == 1;
}
static inline void shim_ctx_no_session_cache(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
static inline void shim_ctx_set_max_certificate_list(SSL_CTX *context, long size) {
    SSL_CTX_set_max_cert_list(context, size);
}
static inline int shim_ctx_set_max_send_fragment(SSL_CTX *context, long size) {
    return SSL_CTX_set_max_send_fragment(context, size) == 1;
}
static inline long shim_ssl_set_link_mtu(SSL *ssl, long size) { return DTLS_set_link_mtu(ssl, size); }

static inline int shim_untrusted_certificate_count(X509_STORE_CTX *context) {
    return sk_X509_num(X509_STORE_CTX_get0_untrusted(context));
}

static inline int shim_error_reason(unsigned long error) { return ERR_GET_REASON(error); }

static inline EVP_PKEY *shim_generate_p256(void) { return EVP_EC_gen("P-256"); }
static inline EVP_PKEY *shim_generate_rsa(size_t bits) { return EVP_RSA_gen(bits); }
