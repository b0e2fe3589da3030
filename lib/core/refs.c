/* refs.c - the table behind channels_ref: a slot and the generation that may use it, so that a ref
 * which outlived what it names is recognised instead of followed. */
#include "core/core.h"

uint32_t channels__ref_new(channels__refs *refs, channels__ref_kind kind)
{
    uint32_t n = refs->free;
    if (n != 0) {
        refs->free = refs->slots[n - 1].next;
    } else {
        if (refs->count == refs->size) {
            uint32_t size = refs->size != 0 ? refs->size * 2 : 16;
            channels__slot *slots =
                size > refs->size ? channels__resize(refs->mem, refs->slots,
                                                     refs->size * sizeof *slots,
                                                     size * sizeof *slots)
                                  : NULL;
            if (slots == NULL)
                return 0;
            refs->slots = slots;
            refs->size = size;
        }
        n = ++refs->count;
        refs->slots[n - 1].generation = 1;
    }
    channels__slot *slot = &refs->slots[n - 1];
    slot->kind = kind;
    slot->next = 0;
    slot->ref = NULL;
    return n;
}

void channels__ref_free(channels__refs *refs, uint32_t n)
{
    channels__slot *slot = &refs->slots[n - 1];
    channels__strfree(refs->mem, slot->ref);
    slot->ref = NULL;
    slot->kind = CHANNELS__REF_FREE;
    slot->generation++;
    slot->next = refs->free;
    refs->free = n;
}

channels_ref channels__ref_of(const channels__refs *refs, uint32_t n)
{
    channels_ref ref = { (uint64_t)refs->slots[n - 1].generation << 32 | n };
    return ref;
}

channels__slot *channels__ref_find(const channels__refs *refs, channels_ref ref)
{
    uint32_t n = (uint32_t)ref.id;
    if (n == 0 || n > refs->count)
        return NULL;
    channels__slot *slot = &refs->slots[n - 1];
    return slot->kind != CHANNELS__REF_FREE && slot->generation == ref.id >> 32 ? slot : NULL;
}

void channels__refs_deinit(channels__refs *refs)
{
    for (uint32_t i = 0; i < refs->count; i++)
        channels__strfree(refs->mem, refs->slots[i].ref);
    channels__free(refs->mem, refs->slots, refs->size * sizeof *refs->slots);
}
