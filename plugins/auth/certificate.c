/* certificate.c - see certificate.h. */
#include <stdio.h>

#include "auth/certificate.h"
#include "auth/granted.h"

static enum push_status
add_more(struct push_identity_builder *builder, const struct push_identity *more)
{
	struct push_identity_rights rights;

	if (!more)
		return PUSH_OK;
	rights = push_identity_rights(more);
	return push_identity_restore(builder, &rights);
}

enum push_status
push_certificate_identify(const char *rights, const struct push_certificate *certificate,
	const struct push_identity *more, const struct push_identity **ret_identity, struct push_error *error)
{
	uint64_t expires_us = more ? push_identity_facts(more).expires_us : UINT64_MAX;
	const struct push_identity_facts facts = {.user = certificate->user,
		.expires_us = expires_us < certificate->expires_us ? expires_us : certificate->expires_us,
		.issued_s = certificate->issued_s,
		.asks_application = true};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_error why = {""};
	enum push_status status = builder ? add_more(builder, more) : PUSH_OUT_OF_MEMORY;

	if (status == PUSH_OK)
		status = push_granted_add(builder, rights, &why);
	if (status == PUSH_OK) {
		*ret_identity = push_identity_done(builder);
		return *ret_identity ? PUSH_OK : PUSH_OUT_OF_MEMORY;
	}
	push_identity_abandon(builder);
	snprintf(error->text, sizeof(error->text), "push.auth.certificate.rights: %s",
		status == PUSH_OUT_OF_MEMORY ? push_status_text(status) : why.text);
	return status;
}
