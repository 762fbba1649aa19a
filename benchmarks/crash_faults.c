/* Kills a process at its n-th file operation below a folder, or has the operation fail.
 *
 * Preloaded before the C library (LD_PRELOAD). What shall happen is read at each operation from a file that is mapped
 * into memory, named by the environment variable CRASH_CONTROL; crash_faults.py writes it. Only the process whose
 * number stands there is touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, CREATE = 2, SYNC = 4, NAME = 8, REMOVE = 16 };          /* kinds of operations */
enum { COUNT = 0, KILL_BEFORE = 1, KILL_AFTER = 2, FAIL = 3, SHORT = 4 }; /* what happens */

struct control {
    int process;   /* whose operations count; 0: nobody's */
    int action;
    int kinds;     /* which operations fail */
    int number;    /* of the signal, or of the error */
    int lasting;   /* whether all later operations fail too */
    int named;     /* whether the file system has no files without a name */
    int at;        /* counted from 1 */
    atomic_int count;
    int traced;    /* whether operations are written to the file of this one's name and `.trace` */
    char folder[512];
    char operation[600]; /* what it has happened to */
};

static struct control *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("CRASH_CONTROL");
    int descriptor = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0) return;
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (memory != MAP_FAILED) control = memory;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_active(void) { return control && control->process && control->process == getpid(); }

static int is_below(const char *path) {
    size_t length = strlen(control->folder);
    return !strncmp(path, control->folder, length) && (path[length] == '/' || path[length] == '\0');
}

static void path_of(int descriptor, char *path, size_t size) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = '\0';
}

static void absolute(int folder, const char *name, char *path, size_t size) {
    path[0] = '\0';
    if (name[0] != '/') {
        if (folder == AT_FDCWD) { if (!getcwd(path, size)) path[0] = '\0'; }
        else path_of(folder, path, size);
        strncat(path, "/", size - strlen(path) - 1);
    }
    strncat(path, name, size - strlen(path) - 1);
}

/* Writes down an operation. A name that is given is preceded by the one that it replaces. */
static void trace(int kind, const char *name, const char *from, const char *path) {
    char place[4200], line[9000], link[4200] = "";
    if (from && !strncmp(from, "/proc/self/fd/", 14)) path_of(atoi(from + 14), link, sizeof link);
    snprintf(place, sizeof place, "%s.trace", getenv("CRASH_CONTROL"));
    int size = snprintf(line, sizeof line, "%d\t%s\t%s\t%s\n", kind, name, link[0] ? link : from ? from : "", path);
    int file = REAL(open)(place, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    REAL(write)(file, line, size);
    close(file);
}

/* Counts an operation. Returns what is to be done about it: COUNT (nothing), KILL_AFTER, FAIL or SHORT. */
static int meet(int kind, const char *name, const char *from, const char *path) {
    if (!is_below(path)) return COUNT;
    if (control->traced) trace(kind, name, from, path);
    int count = atomic_fetch_add(&control->count, 1) + 1, at = control->at;
    if (control->action == COUNT || count < at || (count > at && !control->lasting)) return COUNT;
    if (!(control->kinds & kind)) return COUNT;
    if (count == at) snprintf(control->operation, sizeof control->operation, "%s %s", name, path);
    if (control->action == KILL_BEFORE) kill(getpid(), control->number);
    if (control->action == FAIL) errno = control->number;
    return control->action;
}

static int meet_path(int kind, const char *name, const char *from, int folder, const char *path) {
    char whole[4200];
    if (!is_active() || !path) return COUNT;
    int before = errno;
    absolute(folder, path, whole, sizeof whole);
    errno = before;
    return meet(kind, name, from, whole);
}

static int meet_file(int kind, const char *name, int descriptor) {
    char whole[4200];
    if (!is_active()) return COUNT;
    int before = errno;
    path_of(descriptor, whole, sizeof whole);
    errno = before;
    return meet(kind, name, NULL, whole);
}

static void finish(int todo) {
    if (todo == KILL_AFTER) kill(getpid(), control->number);
}

/* Files that are opened or made. */

static int refuses_nameless(int flags) { return is_active() && control->named && (flags & O_TMPFILE) == O_TMPFILE; }

static int makes(int flags) { return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE || (flags & O_TRUNC); }

#define OPEN(name)                                                                                   \
    int name(const char *path, int flags, ...) {                                                    \
        mode_t mode = 0;                                                                            \
        if (makes(flags)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        if (refuses_nameless(flags)) { errno = EOPNOTSUPP; return -1; }                             \
        int todo = makes(flags) ? meet_path(CREATE, "open", NULL, AT_FDCWD, path) : COUNT;                \
        if (todo == FAIL) return -1;                                                                \
        int result = REAL(name)(path, flags, mode);                                                 \
        finish(todo);                                                                               \
        return result;                                                                              \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                 \
    int name(int folder, const char *path, int flags, ...) {                                        \
        mode_t mode = 0;                                                                            \
        if (makes(flags)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        if (refuses_nameless(flags)) { errno = EOPNOTSUPP; return -1; }                             \
        int todo = makes(flags) ? meet_path(CREATE, "open", NULL, folder, path) : COUNT;                  \
        if (todo == FAIL) return -1;                                                                \
        int result = REAL(name)(folder, path, flags, mode);                                         \
        finish(todo);                                                                               \
        return result;                                                                              \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                                                  \
    FILE *name(const char *path, const char *mode) {                                                \
        int todo = mode[0] == 'r' ? COUNT : meet_path(CREATE, "open", NULL, AT_FDCWD, path);              \
        if (todo == FAIL) return NULL;                                                              \
        FILE *result = REAL(name)(path, mode);                                                      \
        finish(todo);                                                                               \
        return result;                                                                              \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* A folder that is there already is said to be so before anything can go wrong. */
int mkdir(const char *path, mode_t mode) {
    if (!access(path, F_OK)) return REAL(mkdir)(path, mode);
    int todo = meet_path(CREATE, "mkdir", NULL, AT_FDCWD, path);
    if (todo == FAIL) return -1;
    int result = REAL(mkdir)(path, mode);
    finish(todo);
    return result;
}

int mkdirat(int folder, const char *path, mode_t mode) {
    if (!faccessat(folder, path, F_OK, 0)) return REAL(mkdirat)(folder, path, mode);
    int todo = meet_path(CREATE, "mkdir", NULL, folder, path);
    if (todo == FAIL) return -1;
    int result = REAL(mkdirat)(folder, path, mode);
    finish(todo);
    return result;
}

/* Bytes that are written. A short write writes the first half; a process that is killed afterwards has written that. */

static size_t part(int todo, size_t size) { return (todo == SHORT || todo == KILL_AFTER) && size > 1 ? size / 2 : size; }

ssize_t write(int descriptor, const void *bytes, size_t size) {
    int todo = meet_file(WRITE, "write", descriptor);
    if (todo == FAIL) return -1;
    ssize_t result = REAL(write)(descriptor, bytes, part(todo, size));
    finish(todo);
    return result;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t place) {
    int todo = meet_file(WRITE, "write", descriptor);
    if (todo == FAIL) return -1;
    ssize_t result = REAL(pwrite)(descriptor, bytes, part(todo, size), place);
    finish(todo);
    return result;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t place) {
    int todo = meet_file(WRITE, "write", descriptor);
    if (todo == FAIL) return -1;
    ssize_t result = REAL(pwrite64)(descriptor, bytes, part(todo, size), place);
    finish(todo);
    return result;
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    int todo = meet_file(WRITE, "write", descriptor);
    if (todo == FAIL) return -1;
    if (part(todo, 2) == 1) {
        ssize_t result = REAL(write)(descriptor, pieces[0].iov_base, part(todo, pieces[0].iov_len));
        finish(todo);
        return result;
    }
    return REAL(writev)(descriptor, pieces, count);
}

/* The C library takes care of short writes behind this one, which never writes less without an error. */
size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file) {
    int todo = meet_file(WRITE, "write", fileno(file));
    if (todo == FAIL) return 0;
    if (todo == KILL_AFTER && size == 1) {
        REAL(fwrite)(bytes, size, part(todo, count), file);
        REAL(fflush)(file);
        finish(todo);
    }
    return REAL(fwrite)(bytes, size, count, file);
}

static int is_written(FILE *file) { return file && (fcntl(fileno(file), F_GETFL) & O_ACCMODE) != O_RDONLY; }

int fflush(FILE *file) {
    int todo = is_written(file) ? meet_file(WRITE, "flush", fileno(file)) : COUNT;
    if (todo == FAIL) return EOF;
    int result = REAL(fflush)(file);
    finish(todo);
    return result;
}

int fclose(FILE *file) {
    int todo = is_written(file) ? meet_file(WRITE, "close", fileno(file)) : COUNT;
    int result = REAL(fclose)(file);
    finish(todo);
    if (todo == FAIL) { errno = control->number; return EOF; }
    return result;
}

ssize_t sendfile(int to, int from, off_t *place, size_t size) {
    int todo = meet_file(WRITE, "write", to);
    if (todo == FAIL) return -1;
    ssize_t result = REAL(sendfile)(to, from, place, part(todo, size));
    finish(todo);
    return result;
}

#define ON_FILE(kind, name, ...)                                                                     \
    {                                                                                               \
        int todo = meet_file(kind, #name, descriptor);                                              \
        if (todo == FAIL) return -1;                                                                \
        int result = REAL(name)(__VA_ARGS__);                                                       \
        finish(todo);                                                                               \
        return result;                                                                              \
    }

int ftruncate(int descriptor, off_t size) ON_FILE(WRITE, ftruncate, descriptor, size)
int ftruncate64(int descriptor, off64_t size) ON_FILE(WRITE, ftruncate64, descriptor, size)
int fsync(int descriptor) ON_FILE(SYNC, fsync, descriptor)
int fdatasync(int descriptor) ON_FILE(SYNC, fdatasync, descriptor)

/* Names that are given, changed and taken away. */

#define ON_PATH(kind, name, old, folder, path, ...)                                                       \
    {                                                                                               \
        int todo = meet_path(kind, #name, old, folder, path);                                            \
        if (todo == FAIL) return -1;                                                                \
        int result = REAL(name)(__VA_ARGS__);                                                       \
        finish(todo);                                                                               \
        return result;                                                                              \
    }

int rename(const char *from, const char *to) ON_PATH(NAME, rename, from, AT_FDCWD, to, from, to)
int renameat(int f, const char *from, int t, const char *to) ON_PATH(NAME, renameat, from, t, to, f, from, t, to)
int renameat2(int f, const char *from, int t, const char *to, unsigned flags)
    ON_PATH(NAME, renameat2, from, t, to, f, from, t, to, flags)
int link(const char *from, const char *to) ON_PATH(NAME, link, from, AT_FDCWD, to, from, to)
int linkat(int f, const char *from, int t, const char *to, int flags)
    ON_PATH(NAME, linkat, from, t, to, f, from, t, to, flags)
int symlink(const char *target, const char *path) ON_PATH(NAME, symlink, NULL, AT_FDCWD, path, target, path)
int unlink(const char *path) ON_PATH(REMOVE, unlink, NULL, AT_FDCWD, path, path)
int unlinkat(int folder, const char *path, int flags) ON_PATH(REMOVE, unlinkat, NULL, folder, path, folder, path, flags)
int rmdir(const char *path) ON_PATH(REMOVE, rmdir, NULL, AT_FDCWD, path, path)
int remove(const char *path) ON_PATH(REMOVE, remove, NULL, AT_FDCWD, path, path)
