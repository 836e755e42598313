/*
 * run_dir.h - a private folder for what one pushd writes: the socket that workers notify, and a folder for
 * the configuration of each generation of workers.  It goes when pushd ends.
 */
#ifndef PUSHD_RUN_DIR_H
#define PUSHD_RUN_DIR_H

#include <stdbool.h>

/* The socket's name in it; one that nobody listens on marks a folder that a killed pushd left. */
#define RUN_DIR_SOCKET "notify"

/* lwsws cuts the path of a configuration at 126 characters with its "/conf.d"; a socket's has at most 107. */
#define RUN_DIR_PATH_BYTES_MAX 90

/*
 * run_dir_create - make a folder below `asked`, or, if that is NULL, below the first that works of
 * $RUNTIME_DIRECTORY, /run, $TMPDIR and /tmp.
 *
 * What killed pushds of the same user left there goes.  Returns false, with errno set.
 */
bool
run_dir_create(char path[RUN_DIR_PATH_BYTES_MAX], const char *asked);

/* run_dir_remove - the folder and all in it, two levels deep. */
void
run_dir_remove(const char *path);

#endif
