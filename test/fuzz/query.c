/* query.c - parameters: a query that is valid becomes a tree, and each of its texts is found. */
#include <cjson/cJSON.h>

#include "fuzz/fuzz.h"
#include "wire/query.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *query = calloc(size + 1, 1);
    FUZZ_CHECK(query != NULL);
    if (size != 0)
        memcpy(query, data, size);
    channels_request req = { .query = query };
    cJSON *params = channels_request_params(&req);
    FUZZ_CHECK((params != NULL) == channels__query_valid(query));
    for (const cJSON *p = params != NULL ? params->child : NULL; p != NULL; p = p->next) {
        char text[16];
        FUZZ_CHECK(channels__utf8_valid(p->string, strlen(p->string)));
        FUZZ_CHECK(cJSON_IsString(p) == !channels__param_nests(&req, p->string));
        if (cJSON_IsString(p))
            FUZZ_CHECK(channels_request_param(&req, p->string, text, sizeof text) ==
                       (int)strlen(p->valuestring));
    }
    cJSON_Delete(params);
    free(query);
    return 0;
}
