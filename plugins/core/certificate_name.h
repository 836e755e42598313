/*
 * certificate_name.h - push.auth.certificate: what of a client's certificate is its user name.
 */
#ifndef PUSH_CORE_CERTIFICATE_NAME_H
#define PUSH_CORE_CERTIFICATE_NAME_H

#include <stdbool.h>

/* X(NAME, word) */
#define PUSH_CERTIFICATE_NAME_MAP(X)                                                                         \
	X(CN, "cn")           /* the subject's only common name; of none, or several, the whole subject */   \
	X(SUBJECT, "subject") /* the whole subject, as text (RFC 4514) */                                    \
	X(DNS, "dns")         /* the only name of that kind among subjectAltName (RFC 5280, 4.2.1.6) */      \
	X(EMAIL, "email")     /* likewise */                                                                 \
	X(URI, "uri")         /* likewise, such as a SPIFFE ID */

enum push_certificate_name {
	PUSH_CERTIFICATE_NAME_NONE, /* certificates identify nobody */
#define X(name, word) PUSH_CERTIFICATE_NAME_##name,
	PUSH_CERTIFICATE_NAME_MAP(X)
#undef X
};

/* push_certificate_name_parse - of the option's value; empty: NONE.  Returns false if it is no such word. */
bool
push_certificate_name_parse(const char *word, enum push_certificate_name *ret);

#endif
