/* fuzz_log_line.c - a line of a worker's: whatever it is, one line of valid JSON comes out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../server/log_line.h"
#include "core/jsonscan.h"
#include "core/push_assert.h"

/* What pushd reads of a line, at most. */
#define LINE_BYTES_MAX 1023

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_record record = {.component = "worker", .worker = 1, .pid = 1};
	char *line = malloc(size + 1);
	struct push_buf to;
	bool is_compact;
	size_t start;

	if (size > LINE_BYTES_MAX)
		size = LINE_BYTES_MAX;
	memcpy(line, data, size);
	line[size] = '\0';
	record.level = log_line_level(line, &start);
	PUSH_ASSERT(start <= strlen(line));
	record.message = line + start;
	record.message_size =
		log_line_split(record.message, strlen(record.message), &record.fields, &record.fields_size);
	push_buf_init(&to, LOG_OBJECT_BYTES_MAX);
	log_line_append(&to, &record);
	PUSH_ASSERT(to.status == PUSH_OK && to.bytes[to.size - 1] == '\n');
	PUSH_ASSERT(!memchr(to.bytes, '\n', to.size - 1));
	PUSH_ASSERT(push_json_scan_value(to.bytes, to.size - 1, &is_compact));
	push_buf_fini(&to);
	free(line);
	return 0;
}
