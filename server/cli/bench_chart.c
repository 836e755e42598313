/*
 * bench_chart.c - see bench_chart.h.
 *
 *   title, server, machine
 *   [ clients ] [ memory each ] [ deliveries a second ] [ latency ]      four figures
 *   deliveries a second          one bar for each scenario, from zero
 *   latency                      from half to 99 % of the messages, on a logarithmic scale
 *   what to mind
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench_chart.h"

#define WIDTH        880.0
#define MARGIN       28.0
#define TILES_TOP    96.0
#define TILE_HEIGHT  78.0
#define TILE_GAP     14.0
#define ROW_HEIGHT   26.0
#define PANEL_HEAD   42.0
#define PANEL_GAP    22.0
#define NAMES_WIDTH  256.0
#define NUMBER_WIDTH 124.0
#define LEFT         (MARGIN + NAMES_WIDTH)
#define LENGTH       (WIDTH - LEFT - MARGIN - NUMBER_WIDTH)

/* Latencies below are drawn at the left end. */
#define LEAST_MS 0.01

static const char style[] =
	"<style>\n"
	"text{font:13px system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;fill:#1f2328}\n"
	".title{font-size:22px;font-weight:600}.head{font-size:15px;font-weight:600}\n"
	".big{font-size:25px;font-weight:600}.faint{fill:#59636e;font-size:12px}.end{text-anchor:end}\n"
	".middle{text-anchor:middle}.paper{fill:#fff}.tile{fill:#f6f8fa}.bar,.dot{fill:#0969da}\n"
	".range{stroke:#0969da;stroke-width:6;stroke-opacity:.35}.axis{stroke:#d1d9e0}.bad{fill:#cf222e}\n"
	"@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.faint{fill:#9198a1}.paper{fill:#0d1117}\n"
	".tile{fill:#161b22}.bar,.dot{fill:#4493f8}.range{stroke:#4493f8}.axis{stroke:#3d444d}\n"
	".bad{fill:#f85149}}\n"
	"</style>\n";

static void
append_escaped(struct push_buf *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '&')
			push_buf_append_text(to, *text == '<' ? "&lt;" : "&amp;");
		else if ((unsigned char)*text >= ' ')
			push_buf_append(to, text, 1);
	}
}

static void
draw_text(struct push_buf *to, double x, double y, const char *kind, const char *text)
{
	push_buf_printf(to, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, kind);
	append_escaped(to, text);
	push_buf_append_text(to, "</text>\n");
}

const char *
bench_chart_number(double value, char *to, size_t size)
{
	char digits[32];
	size_t length, used = 0;

	if (value < 100) {
		snprintf(to, size, "%.*f", value == floor(value) ? 0 : value < 10 ? 2 : 1, value);
		return to;
	}
	length = (size_t)snprintf(digits, sizeof(digits), "%.0f", value);
	for (size_t i = 0; i < length && used + 2 < size; i++) {
		if (i && (length - i) % 3 == 0)
			to[used++] = ',';
		to[used++] = digits[i];
	}
	to[used] = '\0';
	return to;
}

/* The value of the first line that begins with `name`, as in /proc/cpuinfo. */
static void
read_value(const char *path, const char *name, char *to, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[256];

	*to = '\0';
	while (file && !*to && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, name, strlen(name)) || !colon)
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		snprintf(to, size, "%.*s", (int)strcspn(colon, "\n"), colon);
	}
	if (file)
		fclose(file);
}

static void
describe_machine(char *to, size_t size)
{
	double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
	struct utsname system;
	char model[128];

	if (uname(&system))
		memset(&system, 0, sizeof(system));
	read_value("/proc/cpuinfo", "model name", model, sizeof(model));
	snprintf(to, size, "%s, %ld cores, %.0f GB, %s %.*s", model[0] ? model : system.machine,
		sysconf(_SC_NPROCESSORS_ONLN), bytes / (1 << 30), system.sysname,
		(int)strcspn(system.release, "-"), system.release);
}

static void
draw_head(struct push_buf *to, const struct bench_picture *picture, double height)
{
	char machine[512], line[1024], day[16] = "";
	const char *title = picture->is_here ? "What this machine holds" : "What this server holds";
	time_t now = time(NULL);
	struct tm utc;

	if (gmtime_r(&now, &utc))
		strftime(day, sizeof(day), "%Y-%m-%d", &utc);
	describe_machine(machine, sizeof(machine));
	push_buf_printf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
		"height=\"%.0f\" role=\"img\">\n<title>%s</title>\n",
		WIDTH, height, WIDTH, height, title);
	push_buf_append_text(to, style);
	push_buf_printf(
		to, "<rect width=\"%.0f\" height=\"%.0f\" rx=\"8\" class=\"paper\"/>\n", WIDTH, height);
	draw_text(to, MARGIN, 42, "title", title);
	snprintf(line, sizeof(line), "Push %s at %s, %s", PUSH_VERSION, picture->server, day);
	draw_text(to, MARGIN, 64, "faint", line);
	snprintf(line, sizeof(line), "%s%s", picture->is_here ? "" : "loaded from: ", machine);
	draw_text(to, MARGIN, 81, "faint", line);
}

static void
draw_tile(struct push_buf *to, int place, const char *big, const char *what, const char *more)
{
	double width = (WIDTH - 2 * MARGIN - 3 * TILE_GAP) / 4, x = MARGIN + place * (width + TILE_GAP);

	push_buf_printf(to,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"6\" class=\"tile\"/>\n", x,
		TILES_TOP, width, TILE_HEIGHT);
	draw_text(to, x + 12, TILES_TOP + 32, "big", big);
	draw_text(to, x + 12, TILES_TOP + 51, "", what);
	draw_text(to, x + 12, TILES_TOP + 67, "faint", more);
}

static void
draw_tiles(struct push_buf *to, const struct bench_picture *picture)
{
	const struct bench_result *best = &picture->results[0];
	char number[32], text[64], more[64];

	for (size_t i = 1; i < picture->count; i++)
		if (best->is_idle || picture->results[i].deliveries > best->deliveries)
			best = &picture->results[i];
	snprintf(more, sizeof(more), "%s connected a second",
		bench_chart_number(picture->connects, number, sizeof(number)));
	draw_tile(to, 0, bench_chart_number(picture->clients, text, sizeof(text)), "clients at once", more);
	snprintf(text, sizeof(text), "%s bytes",
		bench_chart_number(picture->bytes_each, number, sizeof(number)));
	draw_tile(to, 1, picture->bytes_each > 0 ? text : "not known", "of memory a client",
		picture->bytes_each > 0 ? "idle, in the server"
		: picture->is_here      ? "too few clients to see it"
					: "the server runs elsewhere");
	draw_tile(to, 2, bench_chart_number(best->deliveries, text, sizeof(text)), "deliveries a second",
		"at full load, at most");
	snprintf(text, sizeof(text), "%s ms", bench_chart_number(picture->steady_ms, number, sizeof(number)));
	draw_tile(to, 3, text, "99 % of messages within", "1,000 clients, one at a time");
}

/* Returns where the next panel begins. */
static double
draw_rates(struct push_buf *to, const struct bench_picture *picture, double y)
{
	double most = 1;
	char number[32];

	for (size_t i = 0; i < picture->count; i++)
		if (!picture->results[i].is_idle && picture->results[i].deliveries > most)
			most = picture->results[i].deliveries;
	draw_text(to, MARGIN, y + 14, "head", "Deliveries a second");
	draw_text(to, WIDTH - MARGIN, y + 14, "faint end", "more is better");
	y += PANEL_HEAD;
	for (size_t i = 0; i < picture->count; i++) {
		const struct bench_result *result = &picture->results[i];

		if (result->is_idle)
			continue;
		draw_text(to, LEFT - 10, y + 12, "end", result->name);
		push_buf_printf(to,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"16\" rx=\"2\" class=\"bar\"/>\n",
			LEFT, y, fmax(result->deliveries / most * LENGTH, 1));
		draw_text(to, WIDTH - MARGIN, y + 12, "end",
			bench_chart_number(result->deliveries, number, sizeof(number)));
		y += ROW_HEIGHT;
	}
	return y + PANEL_GAP;
}

/* A logarithmic scale of whole decades. */
struct scale {
	double first, decades; /* powers of ten, of milliseconds */
};

static struct scale
scale_of(const struct bench_picture *picture)
{
	double least = INFINITY, most = LEAST_MS;
	struct scale scale;

	for (size_t i = 0; i < picture->count; i++) {
		least = fmin(least, fmax(picture->results[i].half_ms, LEAST_MS));
		most = fmax(most, picture->results[i].most_ms);
	}
	scale.first = floor(log10(fmin(least, most)));
	scale.decades = fmax(ceil(log10(most)) - scale.first, 1);
	return scale;
}

static double
place(const struct scale *scale, double ms)
{
	return LEFT + (log10(fmax(ms, LEAST_MS)) - scale->first) / scale->decades * LENGTH;
}

static void
draw_scale(struct push_buf *to, const struct scale *scale, double y, size_t rows)
{
	char text[32];

	for (int i = 0; i <= (int)scale->decades; i++) {
		double ms = pow(10, scale->first + i), x = place(scale, ms);

		snprintf(text, sizeof(text), "%g ms", ms);
		draw_text(to, x, y - 6, "faint middle", text);
		push_buf_printf(to, "<path d=\"M%.1f %.1fv%.1f\" class=\"axis\"/>\n", x, y,
			(double)rows * ROW_HEIGHT);
	}
}

static double
draw_latencies(struct push_buf *to, const struct bench_picture *picture, double y)
{
	struct scale scale = scale_of(picture);
	char half[32], most[32], text[96];

	draw_text(to, MARGIN, y + 14, "head", "Latency, from publish to arrival");
	draw_text(to, WIDTH - MARGIN, y + 14, "faint end", "half and 99 % of the messages; less is better");
	y += PANEL_HEAD + 14;
	draw_scale(to, &scale, y, picture->count);
	for (size_t i = 0; i < picture->count; i++, y += ROW_HEIGHT) {
		const struct bench_result *result = &picture->results[i];
		double from = place(&scale, result->half_ms), until = place(&scale, result->most_ms);

		draw_text(to, LEFT - 10, y + 17, "end", result->name);
		push_buf_printf(to,
			"<path d=\"M%.1f %.1fH%.1f\" class=\"range\"/><circle cx=\"%.1f\" cy=\"%.1f\" "
			"r=\"5\" "
			"class=\"dot\"/><circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"dot\"/>\n",
			from, y + 13, until, from, y + 13, until, y + 13);
		snprintf(text, sizeof(text), "%s / %s ms",
			bench_chart_number(result->half_ms, half, sizeof(half)),
			bench_chart_number(result->most_ms, most, sizeof(most)));
		draw_text(to, WIDTH - MARGIN, y + 17, "end", text);
	}
	return y + PANEL_GAP;
}

static void
draw_foot(struct push_buf *to, const struct bench_picture *picture, double y)
{
	double faults = 0;
	char text[160];

	for (size_t i = 0; i < picture->count; i++)
		faults += picture->results[i].faults;
	if (faults > 0)
		snprintf(text, sizeof(text),
			"%.0f faults: messages were lost or late, or connections failed. Do not trust these "
			"figures.",
			faults);
	else if (picture->others > BENCH_OTHERS_CORES_MAX)
		snprintf(text, sizeof(text),
			"Other programs took up to %.1f cores: do not trust these figures.", picture->others);
	else
		snprintf(text, sizeof(text), "Every delivery was checked.%s",
			picture->is_here
				? " The load tool ran on this machine, too: a server on a machine of "
				  "its own holds more."
				: "");
	draw_text(to, MARGIN, y, faults > 0 || picture->others > BENCH_OTHERS_CORES_MAX ? "bad" : "faint",
		text);
}

void
bench_chart_draw(const struct bench_picture *picture, struct push_buf *to)
{
	double y = TILES_TOP + TILE_HEIGHT + PANEL_GAP + 6, rates = 0;

	for (size_t i = 0; i < picture->count; i++)
		rates += !picture->results[i].is_idle;
	draw_head(to, picture,
		y + 2 * (PANEL_HEAD + PANEL_GAP) + 14 + (rates + (double)picture->count) * ROW_HEIGHT + 28);
	draw_tiles(to, picture);
	y = draw_rates(to, picture, y);
	y = draw_latencies(to, picture, y);
	draw_foot(to, picture, y + 6);
	push_buf_append_text(to, "</svg>\n");
}
