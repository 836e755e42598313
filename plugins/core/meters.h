/*
 * meters.h - the metrics in the form of Spring Boot's /actuator/metrics, for what was made for that.
 *
 * They are read from their Prometheus text (stats.h), so that a metric is named in one place.  A meter's name
 * is the metric's with dots, without the unit and `_total`: ws_messages_total is `ws.messages`,
 * process_uptime_seconds is `process.uptime`.
 */
#ifndef PUSH_CORE_METERS_H
#define PUSH_CORE_METERS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* The longest name of a metric. */
#define PUSH_METER_NAME_BYTES_MAX 96

/* push_meters_list - append `{"names":["process.cpu.usage",...]}`. */
void
push_meters_list(const char *text, size_t size, struct push_buf *to);

/*
 * push_meters_get - append one meter: its description, unit, values, and the tags that it may be asked by.
 *
 * @name: of the meter, or of the metric.
 * @tags: `transport:ws,reason:slow`, as in the query: only the samples that have them all are added up.
 * Returns false, with nothing appended, if there is no such meter, or no sample has the tags.
 */
bool
push_meters_get(
	const char *text, size_t size, const char *name, const struct push_buf *tags, struct push_buf *to);

#endif
