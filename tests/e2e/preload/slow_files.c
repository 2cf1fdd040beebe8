// A slow disk for one process: LD_PRELOAD it, and what puts a file in its final place (rename, link) below $SLOW_FOLDER
// takes $SLOW_SECONDS, as long as the file $SLOW_WHILE exists.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_below(const char *path) {
    const char *folder = getenv("SLOW_FOLDER"), *flag = getenv("SLOW_WHILE"), *seconds = getenv("SLOW_SECONDS");
    if (folder && flag && seconds && strncmp(path, folder, strlen(folder)) == 0 && access(flag, F_OK) == 0)
        sleep((unsigned)atoi(seconds));
}

int rename(const char *from, const char *to) {
    int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    wait_below(to);
    return next(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    int (*next)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    wait_below(to);
    return next(from_folder, from, to_folder, to, flags);
}
