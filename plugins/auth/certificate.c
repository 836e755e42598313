/* certificate.c - see certificate.h. */
#include <stdio.h>

#include "auth/certificate.h"
#include "auth/granted.h"

enum push_status
push_certificate_identify(const char *rights, const struct push_certificate *certificate,
	const struct push_identity **ret_identity, struct push_error *error)
{
	const struct push_identity_facts facts = {.user = certificate->user,
		.expires_us = certificate->expires_us,
		.issued_s = certificate->issued_s,
		.asks_application = true};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_error why = {""};
	enum push_status status = builder ? push_granted_add(builder, rights, &why) : PUSH_OUT_OF_MEMORY;

	if (status == PUSH_OK) {
		*ret_identity = push_identity_done(builder);
		return *ret_identity ? PUSH_OK : PUSH_OUT_OF_MEMORY;
	}
	push_identity_abandon(builder);
	snprintf(error->text, sizeof(error->text), "push.auth.certificate.rights: %s",
		status == PUSH_OUT_OF_MEMORY ? push_status_text(status) : why.text);
	return status;
}
