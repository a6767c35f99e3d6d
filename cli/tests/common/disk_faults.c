/* Preloaded by a test: writing and syncing files of the audit spool fails with the number that a file holds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fault(int fd) {
    char link[64], path[4096];
    const char *file = getenv("PALISADE_TEST_DISK_FAULT");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!file || length <= 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/events-")) return 0;
    FILE *wanted = fopen(file, "r");
    int number = 0;
    if (!wanted) return 0;
    if (fscanf(wanted, "%d", &number) != 1) number = 0;
    fclose(wanted);
    return number;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    int number = fault(fd);
    if (number == ENOSPC && length > 8) {
        /* A full disk takes a little first. */
        real(fd, bytes, length / 2);
    }
    if (number) { errno = number; return -1; }
    return real(fd, bytes, length);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    int number = fault(fd);
    if (number) { errno = number; return -1; }
    return real(fd);
}
