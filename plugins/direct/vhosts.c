/* vhosts.c - see vhosts.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/paths.h"
#include "direct/routes.h"
#include "direct/vhosts.h"

/* lws cuts the path of a file after so many bytes. */
#define FILE_PATH_BYTES_MAX 254

#define FIELDS_MAX 11

enum kind { KIND_LWS, KIND_PUBLISH, KIND_EVENTS, KIND_SOCKETS, KIND_FILE, KIND_UNKNOWN };

struct mount {
	const char *point, *folder, *page;
	size_t point_size;
	enum kind kind;
};

struct push_vhost {
	const char *name;
	int port;
	enum kind kind;            /* of the default protocol: KIND_SOCKETS, _LWS or _UNKNOWN */
	struct push_tls_vhost tls; /* name NULL: none */
	size_t first, end;         /* its mounts */
	struct push_route *routes[PUSH_PLACE_OPERATORS];
};

struct push_vhosts {
	char *text;
	struct push_vhost *vhosts;
	struct mount *mounts;
	size_t vhost_count, mount_count;
};

static enum kind
kind_of(const char *word)
{
	static const char *const words[] = {"lws", "publish", "events", "sockets", "file"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i]))
			return (enum kind)i;
	return KIND_UNKNOWN;
}

/* Parts a line at its tabs, in place.  Returns the number of fields; more than FIELDS_MAX: too many. */
static size_t
part(char *line, char *fields[FIELDS_MAX])
{
	size_t count = 0;
	char *rest = line;

	for (; rest && count < FIELDS_MAX; count++)
		fields[count] = strsep(&rest, "\t");
	return rest ? FIELDS_MAX + 1 : count;
}

static const char *
or_null(const char *text)
{
	return *text ? text : NULL;
}

static bool
add_tls(struct push_vhost *vhost, char *const fields[FIELDS_MAX])
{
	if (vhost->tls.name)
		return false;
	vhost->tls = (struct push_tls_vhost){.name = vhost->name,
		.cert = fields[1],
		.key = fields[2],
		.ca = or_null(fields[3]),
		.ciphers = or_null(fields[4]),
		.tls13_ciphers = or_null(fields[5]),
		.curve = or_null(fields[6]),
		.alpn = or_null(fields[7]),
		.options_set = strtoull(fields[8], NULL, 10),
		.options_clear = strtoull(fields[9], NULL, 10),
		.requires_client_cert = !strcmp(fields[10], "1")};
	return true;
}

static bool
add_line(struct push_vhosts *vhosts, char *line)
{
	char *fields[FIELDS_MAX];
	size_t count = part(line, fields);
	struct push_vhost *vhost;
	struct mount *mount;

	if (count == 4 && !strcmp(fields[0], "v")) {
		vhost = &vhosts->vhosts[vhosts->vhost_count++];
		vhost->port = (int)strtol(fields[1], NULL, 10);
		vhost->name = fields[2];
		vhost->kind = kind_of(fields[3]);
		vhost->first = vhost->end = vhosts->mount_count;
		return true;
	}
	if (!vhosts->vhost_count)
		return false;
	if (count == FIELDS_MAX && !strcmp(fields[0], "t"))
		return add_tls(&vhosts->vhosts[vhosts->vhost_count - 1], fields);
	if (count < 3 || strcmp(fields[0], "m") != 0)
		return false;
	mount = &vhosts->mounts[vhosts->mount_count++];
	vhosts->vhosts[vhosts->vhost_count - 1].end = vhosts->mount_count;
	mount->point = fields[1];
	mount->point_size = strlen(fields[1]);
	mount->kind = kind_of(fields[2]);
	if (mount->kind == KIND_FILE && count == 5) {
		mount->folder = fields[3];
		mount->page = fields[4];
	}
	return mount->kind != KIND_UNKNOWN && (mount->kind == KIND_FILE) == (count == 5);
}

/* lws finds a vhost's headers by its name. */
static void
distrust_namesakes(struct push_vhosts *vhosts)
{
	for (size_t i = 0; i < vhosts->vhost_count; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(vhosts->vhosts[i].name, vhosts->vhosts[j].name))
				vhosts->vhosts[i].kind = vhosts->vhosts[j].kind = KIND_UNKNOWN;
}

struct push_vhosts *
push_vhosts_create(const char *text)
{
	struct push_vhosts *vhosts = text ? calloc(1, sizeof(*vhosts)) : NULL;
	size_t lines = 1;
	bool is_read;
	char *rest;

	if (!vhosts)
		return NULL;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	vhosts->text = rest = strdup(text);
	vhosts->vhosts = calloc(lines, sizeof(*vhosts->vhosts));
	vhosts->mounts = calloc(lines, sizeof(*vhosts->mounts));
	is_read = vhosts->text && vhosts->vhosts && vhosts->mounts;
	while (is_read && rest && *rest)
		is_read = add_line(vhosts, strsep(&rest, "\n"));
	if (is_read) {
		distrust_namesakes(vhosts);
		return vhosts;
	}
	push_vhosts_destroy(vhosts);
	return NULL;
}

void
push_vhosts_destroy(struct push_vhosts *vhosts)
{
	if (!vhosts)
		return;
	for (size_t i = 0; i < vhosts->vhost_count; i++)
		for (size_t place = 0; place < PUSH_PLACE_OPERATORS; place++)
			push_route_unref(vhosts->vhosts[i].routes[place]);
	free(vhosts->text);
	free(vhosts->vhosts);
	free(vhosts->mounts);
	free(vhosts);
}

const char *
push_vhost_name(const struct push_vhost *vhost)
{
	return vhost->name;
}

struct push_route **
push_vhost_route(struct push_vhost *vhost, enum push_place place)
{
	return &vhost->routes[place];
}

/* The only one of its port.  NULL: not known, or there are several, of which lws chooses by the Host. */
static struct push_vhost *
find_vhost(const struct push_vhosts *vhosts, int port, bool is_tls)
{
	struct push_vhost *found = NULL;

	for (size_t i = 0; i < vhosts->vhost_count; i++) {
		if (vhosts->vhosts[i].port != port)
			continue;
		if (found)
			return NULL;
		found = &vhosts->vhosts[i];
	}
	return found && found->kind != KIND_UNKNOWN && is_tls == !!found->tls.name ? found : NULL;
}

size_t
push_vhosts_ports(const struct push_vhosts *vhosts, int *ret, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; vhosts && i < vhosts->vhost_count; i++) {
		size_t known = 0;

		while (known < count && ret[known] != vhosts->vhosts[i].port)
			known++;
		if (known == count && count < max)
			ret[count++] = vhosts->vhosts[i].port;
	}
	return count;
}

size_t
push_vhosts_tls(const struct push_vhosts *vhosts, int port, struct push_tls_vhost ret[PUSH_TLS_VHOSTS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; vhosts && i < vhosts->vhost_count; i++) {
		const struct push_vhost *vhost = &vhosts->vhosts[i];

		if (vhost->port != port)
			continue;
		if (vhost->kind == KIND_UNKNOWN || !vhost->tls.name || count == PUSH_TLS_VHOSTS_MAX)
			return 0;
		ret[count++] = vhost->tls;
	}
	return count;
}

/* --- which mount --- */

/* lws decodes paths and removes dots and slashes from them. */
static bool
is_usual(struct push_str path)
{
	for (size_t i = 0; i < path.size; i++) {
		unsigned char byte = (unsigned char)path.bytes[i];

		if (byte <= ' ' || byte >= 0x7f || strchr("%&;+#?", byte))
			return false;
		if (i && path.bytes[i - 1] == '/' && (byte == '/' || byte == '.'))
			return false;
	}
	return path.size && path.bytes[0] == '/';
}

static const struct mount *
find_mount(const struct push_vhosts *vhosts, const struct push_vhost *vhost, struct push_str path)
{
	const struct mount *found = NULL;

	for (size_t i = vhost->first; i < vhost->end; i++) {
		const struct mount *mount = &vhosts->mounts[i];
		size_t size = mount->point_size;

		if (path.size < size || memcmp(path.bytes, mount->point, size) != 0)
			continue;
		if (path.size > size && path.bytes[size] != '/' && size != 1)
			continue;
		if (size > (found ? found->point_size : 0))
			found = mount;
	}
	return found;
}

/* --- files --- */

/* Whether lws finds a file; if not, it gives the request to the default protocol. */
static enum push_whose
find_file(const struct push_vhost *vhost, const struct mount *mount, struct push_str path)
{
	struct push_str rest = {path.bytes + mount->point_size, path.size - mount->point_size};
	char name[FILE_PATH_BYTES_MAX];
	struct stat about;
	bool is_file;
	int size, fd;

	if (!rest.size || (rest.size == 1 && *rest.bytes == '/'))
		rest = (struct push_str){mount->page, strlen(mount->page)};
	size = snprintf(name, sizeof(name), "%s/%.*s", mount->folder, (int)rest.size, rest.bytes);
	if (size < 0 || (size_t)size >= sizeof(name) || strstr(name, ".zip"))
		return PUSH_WHOSE_UNKNOWN;
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return vhost->kind == KIND_SOCKETS ? PUSH_WHOSE_PUSH : PUSH_WHOSE_LWS;
	if (fd < 0)
		return PUSH_WHOSE_UNKNOWN;
	is_file = !fstat(fd, &about) && S_ISREG(about.st_mode);
	close(fd);
	return is_file ? PUSH_WHOSE_LWS : PUSH_WHOSE_UNKNOWN;
}

/* --- whose --- */

/* lws shows an upgrade to the vhost's default protocol, whatever is mounted, unless a mount proxies or
 * redirects it. */
static enum push_whose
find_upgrade(const struct push_vhost *vhost, const struct mount *mount, struct push_str path)
{
	char text[sizeof(PUSH_PATH_WS) + 1];

	if (mount && mount->kind == KIND_LWS)
		return PUSH_WHOSE_UNKNOWN;
	if (mount && mount->kind == KIND_FILE && mount->point_size > 1 && path.size == mount->point_size)
		return PUSH_WHOSE_LWS;
	if (vhost->kind != KIND_SOCKETS || path.size >= sizeof(text))
		return PUSH_WHOSE_LWS;
	memcpy(text, path.bytes, path.size);
	text[path.size] = '\0';
	return push_path_is(text, PUSH_PATH_WS) ? PUSH_WHOSE_PUSH : PUSH_WHOSE_LWS;
}

static enum push_whose
find_plain(const struct push_vhost *vhost, const struct mount *mount, struct push_str path,
	struct push_vhosts_found *found)
{
	if (!mount)
		return PUSH_WHOSE_LWS;
	found->rest_size = path.size - mount->point_size;
	switch (mount->kind) {
	case KIND_PUBLISH: found->place = PUSH_PLACE_PUBLISH; return PUSH_WHOSE_PUSH;
	case KIND_EVENTS: found->place = PUSH_PLACE_EVENTS; return PUSH_WHOSE_PUSH;
	case KIND_SOCKETS: return PUSH_WHOSE_PUSH;
	case KIND_FILE: break;
	default: return PUSH_WHOSE_LWS;
	}
	/* lws adds a slash by a redirect */
	if (mount->point_size > 1 && path.size == mount->point_size)
		return PUSH_WHOSE_LWS;
	found->rest_size = path.size;
	return find_file(vhost, mount, path);
}

enum push_whose
push_vhosts_find(const struct push_vhosts *vhosts, const struct push_vhosts_key *key,
	struct push_vhosts_found *ret_found)
{
	struct push_vhost *vhost = vhosts ? find_vhost(vhosts, key->port, key->is_tls) : NULL;
	const struct mount *mount;

	if (!vhost || !is_usual(key->path))
		return PUSH_WHOSE_UNKNOWN;
	mount = find_mount(vhosts, vhost, key->path);
	*ret_found = (struct push_vhosts_found){.vhost = vhost, .place = PUSH_PLACE_SOCKETS};
	return key->is_upgrade ? find_upgrade(vhost, mount, key->path)
			       : find_plain(vhost, mount, key->path, ret_found);
}
