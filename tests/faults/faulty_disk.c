/* A disk that fails when it is told to. Preloaded into a process, it stands before the system's calls on the inbox's
   files (those whose path holds "inbox.sqlite"), counts them, and makes the Nth of a kind fail or kill the process.
   While the file named in FAULTY_WHILE exists, every sync fails with EIO. With KEEP_DURABLE set it leaves, at each sync,
   a copy of the file as it then is: what a power cut would leave. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { WRITE, SYNC, TRUNCATE, UNLINK, RENAME, KINDS };

static long calls[KINDS];
static int armed = -1, error;
static long from, until;

/* From the Nth call of this kind on, `times` of them fail with `number`; 0 is death. */
void faulty_disk_arm(int kind, long at, long times, int number) {
    memset(calls, 0, sizeof calls);
    armed = kind, from = at, until = at + times, error = number;
}

long faulty_disk_calls(int kind) { return calls[kind]; }

static int is_inbox(const char *path) { return strstr(path, "inbox.sqlite") != NULL && strstr(path, ".durable") == NULL; }

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_inbox(path);
}

static int fails(enum kind kind) {
    long call = __atomic_add_fetch(&calls[kind], 1, __ATOMIC_SEQ_CST);
    const char *flag = getenv("FAULTY_WHILE");
    if (kind == SYNC && flag && syscall(SYS_access, flag, F_OK) == 0) return errno = EIO, 1;
    if ((int)kind != armed || call < from || call >= until) return 0;
    if (!error) kill(getpid(), SIGKILL), pause();
    return errno = error, 1;
}

static void keep_durable(int file, const char *path) {
    char copy[PATH_MAX + 16], part[PATH_MAX + 16], buffer[65536];
    if (!getenv("KEEP_DURABLE")) return;
    snprintf(copy, sizeof copy, "%s.durable", path);
    snprintf(part, sizeof part, "%s.durable.part", path);
    int to = syscall(SYS_openat, AT_FDCWD, part, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    off_t at = 0;
    for (ssize_t n; (n = syscall(SYS_pread64, file, buffer, sizeof buffer, at)) > 0; at += n) syscall(SYS_write, to, buffer, n);
    syscall(SYS_close, to);
    syscall(SYS_rename, part, copy);
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    char path[PATH_MAX];
    if (path_of(file, path) && fails(WRITE)) return -1;
    return REAL(pwrite64)(file, data, size, at);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) { return pwrite64(file, data, size, at); }

static int sync_with(int (*real)(int), int file) {
    char path[PATH_MAX];
    if (!path_of(file, path)) return real(file);
    if (fails(SYNC)) return -1;
    int result = real(file);
    if (result == 0) keep_durable(file, path);
    return result;
}

int fdatasync(int file) { return sync_with(REAL(fdatasync), file); }

int fsync(int file) { return sync_with(REAL(fsync), file); }

int ftruncate64(int file, off64_t size) {
    char path[PATH_MAX];
    if (path_of(file, path) && fails(TRUNCATE)) return -1;
    return REAL(ftruncate64)(file, size);
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

int unlink(const char *path) { return is_inbox(path) && fails(UNLINK) ? -1 : REAL(unlink)(path); }

int rename(const char *from_path, const char *to) {
    return is_inbox(from_path) && fails(RENAME) ? -1 : REAL(rename)(from_path, to);
}
