/* anonymous.c - see anonymous.h. */
#include <stdio.h>

#include "auth/anonymous.h"
#include "auth/granted.h"

enum push_status
push_anonymous_create(const char *patterns, bool reads_all, const struct push_identity **ret_identity,
	struct push_error *error)
{
	const struct push_identity_facts facts = {
		.expires_us = UINT64_MAX, .issued_s = INT64_MIN, .is_anonymous = true};
	struct push_identity_builder *builder = push_identity_build(&facts);
	enum push_status status = builder ? PUSH_OK : PUSH_OUT_OF_MEMORY;
	struct push_error why = {""};

	if (status == PUSH_OK && reads_all)
		status = push_granted_add(builder, "**", &why);
	if (status == PUSH_OK)
		status = push_granted_add(builder, patterns, &why);
	if (status == PUSH_OK) {
		*ret_identity = push_identity_done(builder);
		return *ret_identity ? PUSH_OK : PUSH_OUT_OF_MEMORY;
	}
	push_identity_abandon(builder);
	snprintf(error->text, sizeof(error->text), "push.auth.anonymous: %s",
		status == PUSH_OUT_OF_MEMORY ? push_status_text(status) : why.text);
	return status;
}
