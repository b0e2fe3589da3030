/* test_mailbox.c - letters of many threads: none lost, each thread's in their order, and the owner
 * is woken whenever it has to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/mailbox.h"

#define THREADS 4
#define LETTERS 5000

typedef struct numbered {
    channels__letter letter;
    unsigned thread, number;
} numbered;

static void one_thread(void **state)
{
    channels__mailbox box = { NULL };
    numbered letters[3];
    (void)state;
    assert_true(channels__mailbox_empty(&box));
    assert_null(channels__mailbox_take(&box));
    assert_true(channels__mailbox_post(&box, &letters[0].letter));
    assert_false(channels__mailbox_post(&box, &letters[1].letter));
    assert_false(channels__mailbox_post(&box, &letters[2].letter));
    assert_false(channels__mailbox_empty(&box));
    channels__letter *got = channels__mailbox_take(&box);
    for (int i = 0; i < 3; i++, got = got->next)
        assert_true(got == &letters[i].letter);
    assert_null(got);
    assert_true(channels__mailbox_empty(&box));
    assert_true(channels__mailbox_post(&box, &letters[0].letter));
}

typedef struct writer {
    channels__mailbox *box;
    sem_t *wake;
    unsigned number;
} writer;

static void *write_letters(void *arg)
{
    const writer *w = arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        numbered *n = malloc(sizeof *n);
        n->thread = w->number;
        n->number = i;
        if (channels__mailbox_post(w->box, &n->letter))
            sem_post(w->wake);
    }
    return NULL;
}

/* Takes what there is, in order; how many. */
static unsigned read_letters(channels__mailbox *box, unsigned next[THREADS])
{
    unsigned count = 0;
    for (channels__letter *l = channels__mailbox_take(box), *after; l != NULL; l = after) {
        numbered *n = (numbered *)(void *)l;
        after = l->next;
        assert_int_equal(n->number, next[n->thread]++);
        free(n);
        count++;
    }
    return count;
}

static void many_threads(void **state)
{
    channels__mailbox box = { NULL };
    writer writers[THREADS];
    pthread_t threads[THREADS];
    unsigned next[THREADS] = { 0 }, count = 0;
    sem_t wake;
    (void)state;
    sem_init(&wake, 0, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (writer){ &box, &wake, i };
        assert_int_equal(pthread_create(&threads[i], NULL, write_letters, &writers[i]), 0);
    }
    while (count < THREADS * LETTERS) { /* hangs if a wake-up is lost */
        sem_wait(&wake);
        count += read_letters(&box, next);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(channels__mailbox_empty(&box));
    sem_destroy(&wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
