/*
 * fields.h - the header fields of a request, as a wire reads them, one by one.
 *
 * Which of them may come once, which are lists, and where each belongs.  What frames the message is the wire's.
 */
#ifndef PUSH_REQUEST_FIELDS_H
#define PUSH_REQUEST_FIELDS_H

#include "request/request.h"

/* PUSH_FIELD_IS - whether a name is this one: most of a head differ in their length already. */
#define PUSH_FIELD_IS(name, lower_case)                                                                      \
	((name).size == sizeof(lower_case) - 1 && push_str_is(name, lower_case))

/*
 * push_fields_add - the next one; both texts are borrowed for as long as the request is used.
 *
 * @name: in any case.  @value: without spaces around it.
 * Returns false if one that may come once has come before.
 */
bool PUSH_MUST_USE
push_fields_add(struct push_request *request, struct push_str name, struct push_str value);

#endif
