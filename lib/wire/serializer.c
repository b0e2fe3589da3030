/* serializer.c - which format a client's `vsn` asks for.
 * Phoenix lib/phoenix/socket.ex, negotiate_serializer. */
#include "wire/serializer.h"

#include "wire/version.h"

const channels_vsn channels__default_serializers[] = { { "~> 1.0.0", &channels__serializer_v1 },
                                                       { "~> 2.0.0", &channels__serializer_v2 },
                                                       { NULL, NULL } };

const channels_serializer *channels_serializer_v1(void)
{
    return &channels__serializer_v1;
}

const channels_serializer *channels_serializer_v2(void)
{
    return &channels__serializer_v2;
}

const channels_serializer *channels__serializer_for(const channels_vsn *list, const char *vsn)
{
    for (; list->requirement != NULL; list++)
        if (channels__version_meets(vsn != NULL ? vsn : "1.0.0", list->requirement))
            return list->serializer;
    return NULL;
}
