/*
 * run_dir.h - a private folder for what one pushd writes: the socket that workers notify, and a folder for
 * the configuration of each generation of workers.  It goes when pushd ends.
 */
#ifndef PUSHD_RUN_DIR_H
#define PUSHD_RUN_DIR_H

#include <stdbool.h>

#include "core/options.h"

/* The socket's name in it; one that nobody listens on marks a folder that a killed pushd left. */
#define RUN_DIR_SOCKET "notify"

/* lwsws cuts the path of a configuration at 126 characters with its "/conf.d"; a socket's has at most 107. */
#define RUN_DIR_PATH_BYTES_MAX 90

/*
 * run_dir_create - make a folder below `asked`, or, if that is NULL, below the first that works of
 * $RUNTIME_DIRECTORY, /run, $TMPDIR, /tmp and /dev/shm.  The last is what a container has to write to whose
 * own files are read-only.
 *
 * What killed pushds of the same user left there goes.
 * Errors: PUSH_INVALID with every place that was tried, and what is wrong with each.
 */
enum push_status PUSH_MUST_USE
run_dir_create(char path[RUN_DIR_PATH_BYTES_MAX], const char *asked, struct push_error *error);

/* run_dir_is_socket - whether a path is that of the socket in a run folder of some pushd's. */
bool
run_dir_is_socket(const char *path);

/* run_dir_remove - the folder and all in it, two levels deep. */
void
run_dir_remove(const char *path);

#endif
