/*
 * scope.h - names that clients choose, in the name space of whoever uses them: the same name of two users is
 * two names.
 *
 *   client:NAME                 of everybody who has shown nothing
 *   client-of:7:u:alice:NAME    of the user alice, of whatever token (push_identity_space)
 *   client-of:8:k:orders:NAME   of the publish key orders
 */
#ifndef PUSH_CORE_SCOPE_H
#define PUSH_CORE_SCOPE_H

#include "buf.h"
#include "identity.h"

/* What stands around a name at most. */
#define PUSH_SCOPE_BYTES_MAX (32 + 2 + PUSH_USER_BYTES_MAX)

/*
 * push_scope_append - append a name with what it is for (`kind`) and whose it is.
 *
 * @identity: NULL: everybody's.  Failure shows in to->status.
 */
void
push_scope_append(
	struct push_buf *to, const char *kind, const struct push_identity *identity, struct push_str name);

#endif
