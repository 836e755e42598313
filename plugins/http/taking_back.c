/* taking_back.c - see taking_back.h. */
#include "http/taking_back.h"

static void
take_back(const struct push_page_call *call, bool is_revocation)
{
	const struct push_broker_link *link = call->pages->link;

	if (link->ops->is_guarded(link->broker))
		link->ops->take_back(link->broker, is_revocation, call->body, call->answer, call->context);
	else
		push_page_refuse(call, 409, "clients do not have to show who they are: set push.auth.keys");
}

void
taking_back_revoke(const struct push_page_call *call)
{
	take_back(call, true);
}

void
taking_back_disconnect(const struct push_page_call *call)
{
	take_back(call, false);
}
