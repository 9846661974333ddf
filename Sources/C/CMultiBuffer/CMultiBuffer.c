#define _GNU_SOURCE
#include "CMultiBuffer.h"

#if defined(__x86_64__) && defined(__linux__) && !defined(SLUICE_WITHOUT_MULTIBUFFER)
#if __has_include(<intel-ipsec-mb.h>)
#define MB_IS_BUILT 1
#endif
#endif

#if MB_IS_BUILT

#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct mb_key {
    struct gcm_key_data schedule;
};

// Set once by `load`, read only afterwards. These functions keep no state of their own, unlike the library's job
// interface, so all threads share them and no manager is needed.
static struct {
    aes_gcm_pre_t expand128, expand256;
    aes_gcm_enc_dec_t seal128, seal256, open128, open256;
    const char *version;
} library;

static mb_status status = mb_no_library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static mb_status take_functions(void *handle) {
    IMB_MGR *(*make_manager)(uint64_t) = (IMB_MGR * (*)(uint64_t)) dlsym(handle, "alloc_mb_mgr");
    void (*initialize)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(handle, "init_mb_mgr_auto");
    void (*free_manager)(IMB_MGR *) = (void (*)(IMB_MGR *))dlsym(handle, "free_mb_mgr");
    unsigned (*version)(void) = (unsigned (*)(void))dlsym(handle, "imb_get_version");
    const char *(*version_string)(void) = (const char *(*)(void))dlsym(handle, "imb_get_version_str");
    if (!make_manager || !initialize || !free_manager || !version || !version_string) return mb_no_library;
    // The manager's layout and the keys' differ between versions; a last number that differs mends mistakes only.
    if (version() >> 8 != IMB_VERSION_NUM >> 8) return mb_other_version;

    IMB_MGR *manager = make_manager(0);
    if (!manager) return mb_no_library;
    // Also runs the library's known-answer tests.
    initialize(manager, NULL);
    const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
    const uint64_t features = manager->features;
    const bool is_usable = (features & needed) == needed && !(features & IMB_FEATURE_AESNI_EMU) &&
                           (!(features & IMB_FEATURE_SELF_TEST) || (features & IMB_FEATURE_SELF_TEST_PASS));
    library.expand128 = manager->gcm128_pre;
    library.expand256 = manager->gcm256_pre;
    library.seal128 = manager->gcm128_enc;
    library.seal256 = manager->gcm256_enc;
    library.open128 = manager->gcm128_dec;
    library.open256 = manager->gcm256_dec;
    library.version = version_string();
    free_manager(manager);
    return is_usable ? mb_ready : mb_no_instructions;
}

static void load(void) {
    // By the name with the number of its binary interface. Never closed: the functions above point into it.
    void *handle = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle) status = take_functions(handle);
}

mb_status mb_load(void) {
    pthread_once(&once, load);
    return status;
}

const char *mb_version(void) { return mb_load() == mb_ready ? library.version : ""; }

mb_key *mb_key_make(const uint8_t *key, int length) {
    if (mb_load() != mb_ready || (length != 16 && length != 32)) return NULL;
    mb_key *made = aligned_alloc(_Alignof(mb_key), sizeof(mb_key));
    if (!made) return NULL;
    (length == 32 ? library.expand256 : library.expand128)(key, &made->schedule);
    return made;
}

void mb_key_free(mb_key *key) {
    if (!key) return;
    explicit_bzero(key, sizeof(mb_key));
    free(key);
}

void mb_gcm_seal(const mb_key *key, int key_length, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_length, const uint8_t *in, uint8_t *out, size_t length, uint8_t *tag) {
    struct gcm_context_data context;
    (key_length == 32 ? library.seal256 : library.seal128)(&key->schedule, &context, out, in, length, nonce, associated,
                                                           associated_length, tag, 16);
}

bool mb_gcm_open(const mb_key *key, int key_length, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_length, uint8_t *bytes, size_t length, const uint8_t *tag) {
    struct gcm_context_data context;
    uint64_t right[2], given[2];
    (key_length == 32 ? library.open256 : library.open128)(&key->schedule, &context, bytes, bytes, length, nonce,
                                                           associated, associated_length, (uint8_t *)right, 16);
    memcpy(given, tag, 16);
    return ((right[0] ^ given[0]) | (right[1] ^ given[1])) == 0;
}

#else

mb_status mb_load(void) { return mb_not_built; }
const char *mb_version(void) { return ""; }
mb_key *mb_key_make(const uint8_t *key, int length) {
    (void)key, (void)length;
    return NULL;
}
void mb_key_free(mb_key *key) { (void)key; }
void mb_gcm_seal(const mb_key *key, int key_length, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_length, const uint8_t *in, uint8_t *out, size_t length, uint8_t *tag) {
    (void)key, (void)key_length, (void)nonce, (void)associated, (void)associated_length;
    (void)in, (void)out, (void)length, (void)tag;
}
bool mb_gcm_open(const mb_key *key, int key_length, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_length, uint8_t *bytes, size_t length, const uint8_t *tag) {
    (void)key, (void)key_length, (void)nonce, (void)associated, (void)associated_length;
    (void)bytes, (void)length, (void)tag;
    return false;
}

#endif
