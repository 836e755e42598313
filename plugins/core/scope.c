/* scope.c - see scope.h. */
#include "scope.h"

void
push_scope_append(
	struct push_buf *to, const char *kind, const struct push_identity *identity, struct push_str name)
{
	struct push_str space = identity ? push_identity_space(identity) : (struct push_str){NULL, 0};

	push_buf_append_text(to, kind);
	if (space.size) {
		/* its length, or the space and what follows could be read in two ways */
		push_buf_printf(to, "-of:%zu:", space.size);
		push_buf_append(to, space.bytes, space.size);
	}
	push_buf_append_text(to, ":");
	push_buf_append(to, name.bytes, name.size);
}
