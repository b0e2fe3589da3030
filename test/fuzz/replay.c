/* replay.c - a fuzz target without a fuzzer: its corpus, and some hundred variants of each input
 * that follow from the input alone.
 *
 *     build/test/fuzz/json              the corpus, as TAP
 *     build/test/fuzz/json FILE...      these, to see a crash again */
#include <dirent.h>

#include "fuzz/fuzz.h"

#define VARIANTS 300
#define LARGEST 262144 /* bytes of an input */

typedef struct input {
    size_t size;
    uint8_t bytes[LARGEST + 64];
} input;

static bool load(input *in, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    in->size = fread(in->bytes, 1, LARGEST, file);
    fclose(file);
    return true;
}

static void run(const uint8_t *bytes, size_t size)
{
    char *exact = fuzz_copy(bytes, size);
    LLVMFuzzerTestOneInput((const uint8_t *)exact, size);
    free(exact);
}

/* --- Variants ----------------------------------------------------------------------------- */

static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '"', '\\', '[', '{', ',', '\n', '\r', '0' };

static void overwrite(input *in, uint32_t *random)
{
    if (in->size != 0)
        in->bytes[fuzz_next(random) % in->size] = odd[fuzz_next(random) % sizeof odd];
}

static void flip(input *in, uint32_t *random)
{
    if (in->size != 0)
        in->bytes[fuzz_next(random) % in->size] ^= (uint8_t)(1u << fuzz_next(random) % 8);
}

static void cut(input *in, uint32_t *random)
{
    size_t at = fuzz_next(random) % (in->size + 1), n = fuzz_next(random) % 9;
    if (n > in->size - at)
        n = in->size - at;
    memmove(in->bytes + at, in->bytes + at + n, in->size - at - n);
    in->size -= n;
}

static void repeat(input *in, uint32_t *random)
{
    size_t at = fuzz_next(random) % (in->size + 1), n = fuzz_next(random) % 33;
    if (n > in->size - at)
        n = in->size - at;
    if (in->size + n > LARGEST)
        return;
    memmove(in->bytes + at + n, in->bytes + at, in->size - at);
    in->size += n;
}

static void vary(input *in, uint32_t *random)
{
    static void (*const ways[])(input * in, uint32_t * random) = { overwrite, flip, cut, repeat };
    for (uint32_t n = fuzz_next(random) % 4 + 1; n != 0; n--)
        ways[fuzz_next(random) % 4](in, random);
}

/* --- The corpus --------------------------------------------------------------------------- */

static void replay(const char *path)
{
    static input original, variant;
    uint32_t random = 1;
    if (!load(&original, path))
        exit(1);
    run(original.bytes, original.size);
    for (unsigned i = 0; i < VARIANTS; i++) {
        memcpy(&variant, &original, offsetof(input, bytes) + original.size);
        vary(&variant, &random);
        run(variant.bytes, variant.size);
    }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(int argc, char **argv)
{
    char folder[256], path[512];
    struct dirent **entries;
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        static input in;
        if (!load(&in, argv[i]))
            return 1;
        run(in.bytes, in.size);
    }
    if (argc > 1)
        return 0;
    const char *slash = strrchr(argv[0], '/');
    snprintf(folder, sizeof folder, "test/fuzz/corpus/%s", slash != NULL ? slash + 1 : argv[0]);
    int n = scandir(folder, &entries, NULL, by_name);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
            replay(path);
            printf("ok %u - %s and %d like it\n", ++count, entries[i]->d_name, VARIANTS);
            fflush(stdout);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    if (count == 0)
        printf("not ok %u - there is nothing in %s\n", ++count, folder);
    printf("1..%u\n", count);
    return 0;
}
