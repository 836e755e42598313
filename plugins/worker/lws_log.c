/* lws_log.c - see lws_log.h. */
#include <stdlib.h>
#include <unistd.h>

#include "worker/lws_log.h"

static void
emit(struct lws_log_cx *log, int level, const char *line, size_t size)
{
	(void)level;
	(void)push_line_writer_write(log->opaque, line, size);
}

/* Both are the same but for their names (lws 4.3), and are what lwsws sets. */
static bool
writes_to_stderr(const struct lws_log_cx *log)
{
	return !(log->lll_flags & LLLF_LOG_CONTEXT_AWARE) &&
	       (log->u.emit == lwsl_emit_stderr || log->u.emit == lwsl_emit_stderr_notimestamp);
}

struct push_line_writer *
push_lws_log_take(struct lws_context *context)
{
	struct lws_log_cx *log = lwsl_context_get_cx(context);
	struct push_line_writer *writer;

	if ((log->lll_flags & LLLF_LOG_CONTEXT_AWARE) && log->u.emit_cx == emit)
		return log->opaque;
	if (!writes_to_stderr(log))
		return NULL;
	/* lws logs after all brokers have gone: it is never freed */
	writer = malloc(sizeof(*writer));
	if (!writer)
		return NULL;
	push_line_writer_init(writer, STDERR_FILENO);
	/* lwsws itself has a last line, without lws' log; this process alone gets the other descriptor */
	if (writer->opened >= 0)
		(void)dup2(writer->opened, STDERR_FILENO);
	log->opaque = writer;
	log->u.emit_cx = emit;
	log->lll_flags |= LLLF_LOG_CONTEXT_AWARE;
	return writer;
}
