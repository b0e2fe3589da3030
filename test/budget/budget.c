/* budget.c - budget NAME: one workload; prints how many units were counted and what a unit is.
 * budget --list: their names. budget --about: what the counts depend on, but for the compiler.
 *
 * Counted is budget_measured(), by `valgrind --tool=callgrind --toggle-collect`: see ./run. Before
 * it the workload is rehearsed, which brings caches and buffers to what they are from then on, and
 * shows by what is written that it does what it should. */
#include "budget/budget.h"

#include <stdarg.h>
#include <sys/utsname.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include <cjson/cJSON.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <wslay/wslay.h>

void budget_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "budget: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

void *budget_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL)
        budget_fail("no memory");
    return p;
}

static const workload *const workloads[] = {
    &connect_workload, &join_workload,  &echo_workload, &echo_16_workload,  &fanout_workload,
    &topics_workload,  &large_workload, &hub_workload,  &longpoll_workload, &presence_workload,
};
#define WORKLOADS (sizeof workloads / sizeof *workloads)

static const workload *find(const char *name)
{
    for (size_t i = 0; i < WORKLOADS; i++)
        if (strcmp(workloads[i]->name, name) == 0)
            return workloads[i];
    budget_fail("there is no workload %s", name);
}

/* How many bytes are written. */
static size_t rehearse(const workload *w)
{
    the_kernel = (kernel){ .heard = w->heard };
    size_t units = w->run();
    if (the_kernel.messages != units * w->per_unit)
        budget_fail("%s: %zu messages with %s, expected %zu", w->name, the_kernel.messages,
                    w->heard, units * w->per_unit);
    return the_kernel.bytes;
}

size_t budget_measured(const workload *w); /* a name for callgrind to know */

__attribute__((noinline)) size_t budget_measured(const workload *w)
{
    return w->run();
}

static void run(const workload *w)
{
    w->open();
    size_t bytes = rehearse(w);
    the_kernel = (kernel){ 0 };
    size_t units = budget_measured(w);
    if (the_kernel.bytes != bytes)
        budget_fail("%s: %zu bytes written, %zu when it was rehearsed", w->name, the_kernel.bytes,
                    bytes);
    w->close();
    printf("%zu %s\n", units, w->unit);
}

static void list(void)
{
    for (size_t i = 0; i < WORKLOADS; i++)
        printf("%s\n", workloads[i]->name);
}

static const char *libc(void)
{
#ifdef __GLIBC__
    return gnu_get_libc_version();
#else
    return "(another)";
#endif
}

/* Without patch levels: distributions raise those for a fix, which shows in no count. */
static void about(void)
{
    struct utsname machine;
    uname(&machine);
    printf("libc: glibc %s\n", libc());
    printf("architecture: %s\n", machine.machine);
    printf("libraries: cJSON %d.%d, ", CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR);
    printf("llhttp %d.%d, ", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR);
    printf("OpenSSL %lu.%lu, ", OPENSSL_VERSION_NUMBER >> 28, OPENSSL_VERSION_NUMBER >> 20 & 0xff);
    printf("wslay %s\n", WSLAY_VERSION);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        budget_fail("budget NAME, --list or --about");
    if (strcmp(argv[1], "--list") == 0)
        list();
    else if (strcmp(argv[1], "--about") == 0)
        about();
    else
        run(find(argv[1]));
    return 0;
}
