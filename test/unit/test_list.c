/* test_list.c - the intrusive list, and the alarms made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alarm.h"
#include "base/list.h"

typedef struct item {
    char name;
    channels__list link;
} item;

static const char *names(const channels__list *head)
{
    static char text[64];
    size_t n = 0;
    for (const channels__list *at = head->next; at != head; at = at->next) {
        assert_true(at->next->prev == at);
        text[n++] = CHANNELS__OF(at, item, link)->name;
    }
    text[n] = '\0';
    return text;
}

static void lists(void **state)
{
    channels__list head;
    item items[] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' } };
    (void)state;
    channels__list_init(&head);
    assert_true(channels__list_empty(&head));
    assert_null(channels__list_shift(&head));
    for (int i = 0; i < 3; i++) {
        channels__list_init(&items[i].link);
        channels__list_append(&head, &items[i].link);
    }
    assert_string_equal(names(&head), "abc");
    channels__list_remove(&items[1].link);
    channels__list_remove(&items[1].link); /* it is in none: nothing happens */
    assert_string_equal(names(&head), "ac");
    channels__list_append(&head, &items[1].link);
    assert_string_equal(names(&head), "acb");
    assert_true(channels__list_shift(&head) == &items[0].link);
    assert_true(channels__list_empty(&items[0].link));
    assert_string_equal(names(&head), "cb");
    channels__list_shift(&head);
    channels__list_shift(&head);
    assert_true(channels__list_empty(&head));
}

static void alarms(void **state)
{
    channels__alarms alarms = { .ms = 10 };
    channels__alarm a, b;
    (void)state;
    channels__list_init(&alarms.list);
    channels__alarm_init(&a);
    channels__alarm_init(&b);
    assert_true(channels__alarms_due(&alarms) == UINT64_MAX);
    channels__alarm_start(&alarms, &a, 100);
    channels__alarm_start(&alarms, &b, 105);
    assert_int_equal(channels__alarms_due(&alarms), 110);
    channels__alarm_start(&alarms, &a, 107); /* anew */
    assert_int_equal(channels__alarms_due(&alarms), 115);
    channels__alarm_stop(&b);
    assert_int_equal(channels__alarms_due(&alarms), 117);
    channels__alarm_stop(&a);
    channels__alarm_stop(&a);
    assert_true(channels__alarms_due(&alarms) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(alarms),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
