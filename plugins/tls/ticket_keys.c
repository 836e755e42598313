/* ticket_keys.c - see ticket_keys.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/ticket_keys.h"

#define VARIABLE    "PUSHD_TLS_TICKETS" /* the descriptor */
#define LAYOUT_MARK 0x50755469u         /* "PuTi" */

/* Those that open, and the one that is overwritten next. */
#define KEYS (PUSH_TLS_TICKET_KEYS_MAX + 1)

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct layout {
	uint32_t mark, key_bytes, key_count;
	uint32_t newest; /* counts up; keys[newest % KEYS].  Written behind its key */
	struct push_tls_ticket_key keys[KEYS];
};

struct push_tls_ticket_keys {
	struct layout *layout;
	uint64_t rotate_us; /* of one that was created here; 0: joined */
	int fd;             /* -1: none */
};

/* Takes the descriptor over. */
static struct push_tls_ticket_keys *
map(int fd, int protection)
{
	struct push_tls_ticket_keys *keys = calloc(1, sizeof(*keys));
	void *memory = keys ? mmap(NULL, sizeof(struct layout), protection, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (memory == MAP_FAILED) {
		free(keys);
		close(fd);
		return NULL;
	}
	/* neither in a core dump nor on a disk, if that is allowed */
	(void)madvise(memory, sizeof(struct layout), MADV_DONTDUMP);
	(void)mlock(memory, sizeof(struct layout));
	*keys = (struct push_tls_ticket_keys){.layout = memory, .fd = fd};
	return keys;
}

static bool
add(struct layout *layout)
{
	struct push_tls_ticket_key *key = &layout->keys[(layout->newest + 1) % KEYS];

	if (getrandom(key, sizeof(*key), 0) != (ssize_t)sizeof(*key))
		return false;
	__atomic_store_n(&layout->newest, layout->newest + 1, __ATOMIC_RELEASE);
	return true;
}

struct push_tls_ticket_keys *
push_tls_ticket_keys_create(uint64_t now_us)
{
	int fd = memfd_create("push-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct push_tls_ticket_keys *keys;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(struct layout))) {
		close(fd);
		return NULL;
	}
	keys = map(fd, PROT_READ | PROT_WRITE);
	if (!keys)
		return NULL;
	/* only this mapping writes, if the kernel knows how */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
	*keys->layout = (struct layout){
		.mark = LAYOUT_MARK, .key_bytes = sizeof(struct push_tls_ticket_key), .key_count = KEYS};
	/* all of them, so that nothing is opened with zeros */
	for (int i = 0; i < KEYS; i++)
		if (!add(keys->layout)) {
			push_tls_ticket_keys_destroy(keys);
			return NULL;
		}
	keys->rotate_us = now_us + PUSH_TLS_TICKET_ROTATE_US;
	return keys;
}

void
push_tls_ticket_keys_destroy(struct push_tls_ticket_keys *keys)
{
	if (!keys)
		return;
	if (keys->rotate_us)
		explicit_bzero(keys->layout, sizeof(struct layout));
	munmap(keys->layout, sizeof(struct layout));
	close(keys->fd);
	free(keys);
}

void
push_tls_ticket_keys_rotate(struct push_tls_ticket_keys *keys, uint64_t now_us)
{
	if (!keys->rotate_us || now_us < keys->rotate_us)
		return;
	keys->rotate_us = now_us + PUSH_TLS_TICKET_ROTATE_US;
	(void)add(keys->layout); /* else the newest one stays that */
}

void
push_tls_ticket_keys_give(const struct push_tls_ticket_keys *keys)
{
	char text[16];

	(void)fcntl(keys->fd, F_SETFD, 0); /* of this process only: it stays open over exec */
	snprintf(text, sizeof(text), "%d", keys->fd);
	(void)setenv(VARIABLE, text, 1);
}

struct push_tls_ticket_keys *
push_tls_ticket_keys_join(void)
{
	const char *text = getenv(VARIABLE);
	int fd = text ? (int)strtol(text, NULL, 10) : -1;
	struct push_tls_ticket_keys *keys;
	struct stat about;

	if (fd < 0 || fstat(fd, &about) || about.st_size != (off_t)sizeof(struct layout))
		return NULL;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	keys = fd >= 0 ? map(fd, PROT_READ) : NULL;
	if (keys && keys->layout->mark == LAYOUT_MARK &&
		keys->layout->key_bytes == sizeof(struct push_tls_ticket_key) &&
		keys->layout->key_count == KEYS)
		return keys;
	push_tls_ticket_keys_destroy(keys);
	return NULL;
}

struct push_tls_ticket_keys *
push_tls_ticket_keys_inherit(uint64_t now_us)
{
	struct push_tls_ticket_keys *before = push_tls_ticket_keys_join(), *keys = NULL;
	const char *text = getenv(VARIABLE);

	if (before)
		keys = push_tls_ticket_keys_create(now_us);
	if (keys) {
		*keys->layout = *before->layout;
		(void)add(keys->layout);
	}
	push_tls_ticket_keys_destroy(before);
	if (text)
		(void)close((int)strtol(text, NULL, 10)); /* as it was given: joined by another descriptor */
	(void)unsetenv(VARIABLE);
	return keys;
}

const struct push_tls_ticket_key *
push_tls_ticket_keys_newest(const struct push_tls_ticket_keys *keys)
{
	return &keys->layout->keys[__atomic_load_n(&keys->layout->newest, __ATOMIC_ACQUIRE) % KEYS];
}

const struct push_tls_ticket_key *
push_tls_ticket_keys_find(const struct push_tls_ticket_keys *keys, const unsigned char name[16])
{
	uint32_t newest = __atomic_load_n(&keys->layout->newest, __ATOMIC_ACQUIRE);

	for (uint32_t age = 0; age < PUSH_TLS_TICKET_KEYS_MAX; age++) {
		const struct push_tls_ticket_key *key = &keys->layout->keys[(newest - age) % KEYS];

		if (!memcmp(key->name, name, sizeof(key->name))) /* it is no secret */
			return key;
	}
	return NULL;
}
