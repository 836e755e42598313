/*
 * list.h - intrusive doubly linked lists: the links live in the object, so that nothing is allocated and
 * an object can leave a list in O(1) wherever it stands.
 *
 * The head is a link of its own; an empty list's head points to itself.  A link that is in no list points to
 * itself too, so that push_list_remove() may be called twice.
 */
#ifndef PUSH_CORE_LIST_H
#define PUSH_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct push_list {
	struct push_list *next, *prev;
};

#define push_container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void
push_list_init(struct push_list *list)
{
	list->next = list->prev = list;
}

static inline bool
push_list_is_empty(const struct push_list *list)
{
	return list->next == list;
}

static inline void
push_list_append(struct push_list *head, struct push_list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/* push_list_insert - in front of all others. */
static inline void
push_list_insert(struct push_list *head, struct push_list *item)
{
	push_list_append(head->next, item);
}

static inline void
push_list_remove(struct push_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	push_list_init(item);
}

/* push_list_splice - move every item of `from` to the end of `head`, in order. */
static inline void
push_list_splice(struct push_list *head, struct push_list *from)
{
	if (push_list_is_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	push_list_init(from);
}

/* push_list_take_all - move every item of `from` to the empty list `to`, in order. */
static inline void
push_list_take_all(struct push_list *to, struct push_list *from)
{
	push_list_init(to);
	if (push_list_is_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	push_list_init(from);
}

#endif
