/* files.h - how many descriptors clients may have. */
#ifndef PUSH_DIRECT_FILES_H
#define PUSH_DIRECT_FILES_H

/* push_files_max - the number from which on a descriptor is too many for a client, by the limit of now. */
int
push_files_max(void);

#endif
