/*
 * Stands between a process and its disk (LD_PRELOAD). For paths that begin with $TORTURE_ROOT it
 *   - keeps a journal of everything that changes them, in $TORTURE_JOURNAL (if set), and
 *   - fails the k-th call of a kind with an errno, once, when it was armed.
 * LevelDB writes by stdio, Node by plain calls: both are here. Opening "/torture-control/..." never
 * opens anything but gives a command:
 *   arm/KIND/K/ERRNO   fail the K-th KIND from now     off        disarm and forget
 *   fired              EEXIST if it has failed a call  violated   EEXIST if a failed file was written on
 *   note/TEXT          puts TEXT into the journal
 *   room/BYTES         the disk has so many bytes free from now on, -1: as many as it has
 *   late/BYTES         the same on a disk that looks for room at fsync only: all bytes land before
 * $TORTURE_ROOM says the same from the start. What grows below the root takes of it, the last write
 * that finds any lands in part, what is removed gives back, and statfs tells.
 * A record of the journal: u8 op, i32 fd, i64 number, u32 length, bytes; little endian.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* They may be macros. */
#undef fwrite_unlocked
#undef fflush_unlocked

#define REAL(ret, name, ...)                                                        \
  static ret (*real_##name)(__VA_ARGS__);                                           \
  if (real_##name == NULL) real_##name = (ret(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
#define FILES 65536
#define FOLDER_BYTES 4096

enum kind { OPEN, WRITE, FLUSH, FSYNC, RENAME, UNLINK, KINDS };
static const char *const kinds[KINDS] = {"open", "write", "flush", "fsync", "rename", "unlink"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static size_t root_length;
static int journal = -1;
static char *paths[FILES];
static char broken[FILES];
static int armed = -1, armed_errno, fired, violated;
static long left;
static int64_t room = -1;
static int limited, late;

__attribute__((constructor)) static void begin(void) {
  root = getenv("TORTURE_ROOT");
  root_length = root == NULL ? 0 : strlen(root);
  const char *bytes = getenv("TORTURE_ROOM");
  if (bytes != NULL && *bytes != 0) room = atoll(bytes), limited = 1;
  const char *path = getenv("TORTURE_JOURNAL");
  if (path != NULL && *path != 0)
    journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static int ours(const char *path) {
  return root_length > 0 && path != NULL && strncmp(path, root, root_length) == 0;
}

/* LevelDB's own log for people: it ignores what fails there. */
static int chatter(const char *path) {
  const char *name = strrchr(path, '/');
  return name != NULL && (strcmp(name, "/LOG") == 0 || strcmp(name, "/LOG.old") == 0);
}

static const char *path_of(int fd) { return fd >= 0 && fd < FILES ? paths[fd] : NULL; }

static void put(const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t done = syscall(SYS_write, journal, at, length);
    if (done <= 0) abort();
    at += done;
    length -= (size_t)done;
  }
}

/* The lock is held. */
static void record(char op, int fd, int64_t number, const void *bytes, size_t length) {
  if (journal < 0) return;
  unsigned char head[17];
  int32_t file = fd;
  uint32_t size = (uint32_t)length;
  head[0] = (unsigned char)op;
  memcpy(head + 1, &file, 4);
  memcpy(head + 5, &number, 8);
  memcpy(head + 13, &size, 4);
  put(head, sizeof head);
  put(bytes, length);
}

static void note(char op, int fd, int64_t number, const void *bytes, size_t length) {
  int saved = errno;
  pthread_mutex_lock(&lock);
  record(op, fd, number, bytes, length);
  pthread_mutex_unlock(&lock);
  errno = saved;
}

/* Whether this call is the one that fails; sets errno then. */
static int strikes(enum kind kind, const char *path, int fd) {
  if (!ours(path) || chatter(path)) return 0;
  int hit = 0;
  pthread_mutex_lock(&lock);
  if (fd >= 0 && fd < FILES && broken[fd] && (kind == WRITE || kind == FLUSH || kind == FSYNC)) violated = 1;
  if (armed == (int)kind && --left == 0) {
    armed = -1;
    fired = 1;
    hit = 1;
    /* Each write of the slots stands alone, and nobody relies on it. */
    if (fd >= 0 && fd < FILES && kind != OPEN && strstr(path, "/slots") == NULL) broken[fd] = 1;
  }
  pthread_mutex_unlock(&lock);
  if (hit) errno = armed_errno;
  return hit;
}

/* Takes up to `bytes` of what is free, and at least `least` or nothing; returns how many. */
static int64_t take(int64_t bytes, int64_t least) {
  pthread_mutex_lock(&lock);
  int64_t taken = !limited || late || bytes < room ? bytes : room;
  if (taken < least) taken = 0;
  if (limited) room -= taken;
  pthread_mutex_unlock(&lock);
  return taken;
}

static void give(int64_t bytes) {
  pthread_mutex_lock(&lock);
  if (limited) room += bytes;
  pthread_mutex_unlock(&lock);
}

/* Bytes that go when the name does. */
static int64_t held(const char *path) {
  struct stat found;
  int saved = errno;
  int64_t bytes = 0;
  if (ours(path) && lstat(path, &found) == 0)
    bytes = S_ISDIR(found.st_mode) ? FOLDER_BYTES : S_ISREG(found.st_mode) && found.st_nlink == 1 ? found.st_size : 0;
  errno = saved;
  return bytes;
}

/* How much of a write there is room for; 0 with errno where there is none. offset -1: where the file stands. */
static size_t granted(int fd, int64_t offset, size_t length) {
  struct stat found;
  if (path_of(fd) == NULL || length == 0) return length;
  int saved = errno;
  int64_t at = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
  int64_t growth = fstat(fd, &found) == 0 && at >= 0 ? at + (int64_t)length - found.st_size : (int64_t)length;
  errno = saved;
  if (growth <= 0) return length;
  if (growth > (int64_t)length) growth = (int64_t)length;
  size_t fits = length - (size_t)growth + (size_t)take(growth, 0);
  if (fits == 0) errno = ENOSPC;
  return fits;
}

static int command(const char *path) {
  static const char prefix[] = "/torture-control/";
  if (path == NULL || strncmp(path, prefix, sizeof prefix - 1) != 0) return 0;
  const char *text = path + sizeof prefix - 1;
  char kind[16];
  long k;
  int error;
  errno = ENOENT;
  if (strcmp(text, "fired") == 0) {
    if (fired) errno = EEXIST;
  } else if (strcmp(text, "violated") == 0) {
    if (violated) errno = EEXIST;
  } else if (strncmp(text, "note/", 5) == 0) {
    note('N', -1, 0, text + 5, strlen(text + 5));
    errno = ENOENT;
  } else if (strncmp(text, "room/", 5) == 0 || strncmp(text, "late/", 5) == 0) {
    pthread_mutex_lock(&lock);
    room = atoll(text + 5);
    limited = room >= 0;
    late = text[0] == 'l';
    pthread_mutex_unlock(&lock);
  } else {
    pthread_mutex_lock(&lock);
    armed = -1;
    fired = violated = 0;
    memset(broken, 0, sizeof broken);
    if (sscanf(text, "arm/%15[a-z]/%ld/%d", kind, &k, &error) == 3)
      for (int i = 0; i < KINDS; i++)
        if (strcmp(kind, kinds[i]) == 0) {
          left = k;
          armed_errno = error;
          armed = i;
        }
    pthread_mutex_unlock(&lock);
    errno = ENOENT;
  }
  return 1;
}

static void closing(int fd);

static void opened(int fd, const char *path, int flags) {
  /* Not every way to close a file comes by here. */
  closing(fd);
  if (fd < 0 || fd >= FILES || !ours(path)) return;
  int saved = errno;
  pthread_mutex_lock(&lock);
  free(paths[fd]);
  paths[fd] = strdup(path);
  broken[fd] = 0;
  record('O', fd, flags, path, strlen(path));
  pthread_mutex_unlock(&lock);
  errno = saved;
}

static void closing(int fd) {
  if (path_of(fd) == NULL) return;
  pthread_mutex_lock(&lock);
  record('C', fd, 0, "", 0);
  free(paths[fd]);
  paths[fd] = NULL;
  broken[fd] = 0;
  pthread_mutex_unlock(&lock);
}

int open64(const char *path, int flags, ...) {
  REAL(int, open64, const char *, int, ...);
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list list;
    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
  }
  if (command(path) || strikes(OPEN, path, -1)) return -1;
  int64_t cut = (flags & O_TRUNC) != 0 ? held(path) : 0;
  int fd = real_open64(path, flags, mode);
  if (fd >= 0) give(cut);
  opened(fd, path, flags);
  return fd;
}

int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list list;
    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
  }
  return open64(path, flags, mode);
}

FILE *fopen64(const char *path, const char *mode) {
  REAL(FILE *, fopen64, const char *, const char *);
  if (strikes(OPEN, path, -1)) return NULL;
  int64_t cut = mode[0] == 'w' ? held(path) : 0;
  FILE *file = real_fopen64(path, mode);
  if (file != NULL) {
    give(cut);
    int flags = mode[0] == 'r' ? 0 : mode[0] == 'w' ? O_CREAT | O_TRUNC : O_CREAT | O_APPEND;
    opened(fileno(file), path, flags);
  }
  return file;
}

FILE *fopen(const char *path, const char *mode) { return fopen64(path, mode); }

int close(int fd) {
  REAL(int, close, int);
  closing(fd);
  return real_close(fd);
}

int fclose(FILE *file) {
  REAL(int, fclose, FILE *);
  closing(fileno(file));
  return real_fclose(file);
}

/* offset -1: where the file stands, which for all of ours is its end. */
static void wrote(int fd, int64_t offset, const void *bytes, ssize_t length) {
  if (length > 0 && path_of(fd) != NULL) note('W', fd, offset, bytes, (size_t)length);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(ssize_t, write, int, const void *, size_t);
  if (strikes(WRITE, path_of(fd), fd)) return -1;
  size_t fits = granted(fd, -1, length);
  if (fits == 0 && length > 0) return -1;
  ssize_t done = real_write(fd, bytes, fits);
  wrote(fd, -1, bytes, done);
  return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
  if (strikes(WRITE, path_of(fd), fd)) return -1;
  size_t fits = granted(fd, offset, length);
  if (fits == 0 && length > 0) return -1;
  ssize_t done = real_pwrite64(fd, bytes, fits, offset);
  wrote(fd, offset, bytes, done);
  return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec *, int);
  if (strikes(WRITE, path_of(fd), fd)) return -1;
  size_t length = 0;
  for (int i = 0; i < count; i++) length += parts[i].iov_len;
  /* All or nothing: nobody of ours writes so. */
  if (granted(fd, -1, length) < length) {
    errno = ENOSPC;
    return -1;
  }
  ssize_t done = real_writev(fd, parts, count);
  ssize_t rest = done;
  for (int i = 0; i < count && rest > 0; i++) {
    ssize_t length = (ssize_t)parts[i].iov_len < rest ? (ssize_t)parts[i].iov_len : rest;
    wrote(fd, -1, parts[i].iov_base, length);
    rest -= length;
  }
  return done;
}

static size_t stdio_write(size_t (*real)(const void *, size_t, size_t, FILE *), const void *bytes,
                          size_t size, size_t count, FILE *file) {
  int fd = fileno(file);
  if (strikes(WRITE, path_of(fd), fd)) return 0;
  /* These only ever append; what stdio still holds back is taken already. */
  size_t length = size * count;
  size_t fits = path_of(fd) == NULL ? length : (size_t)take((int64_t)length, 0);
  size_t done = fits == length ? real(bytes, size, count, file) : real(bytes, 1, fits, file) / size;
  wrote(fd, -1, bytes, (ssize_t)(fits == length ? done * size : fits));
  if (fits < length) errno = ENOSPC;
  return done;
}

size_t fwrite_unlocked(const void *bytes, size_t size, size_t count, FILE *file) {
  REAL(size_t, fwrite_unlocked, const void *, size_t, size_t, FILE *);
  return stdio_write(real_fwrite_unlocked, bytes, size, count, file);
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file) {
  REAL(size_t, fwrite, const void *, size_t, size_t, FILE *);
  return stdio_write(real_fwrite, bytes, size, count, file);
}

int fflush_unlocked(FILE *file) {
  REAL(int, fflush_unlocked, FILE *);
  if (file != NULL && strikes(FLUSH, path_of(fileno(file)), fileno(file))) return EOF;
  return real_fflush_unlocked(file);
}

/* A disk that looks late has found no room for what was written. */
static int short_of_room(int fd) {
  pthread_mutex_lock(&lock);
  int is_short = limited && late && room < 0 && path_of(fd) != NULL;
  pthread_mutex_unlock(&lock);
  if (is_short) errno = ENOSPC;
  return is_short;
}

static int synced(int fd, int result) {
  if (result == 0 && path_of(fd) != NULL) note('S', fd, 0, "", 0);
  return result;
}

int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  if (strikes(FSYNC, path_of(fd), fd) || short_of_room(fd)) return -1;
  return synced(fd, path_of(fd) != NULL && getenv("TORTURE_FAST") != NULL ? 0 : real_fdatasync(fd));
}

int fsync(int fd) {
  REAL(int, fsync, int);
  if (strikes(FSYNC, path_of(fd), fd) || short_of_room(fd)) return -1;
  return synced(fd, path_of(fd) != NULL && getenv("TORTURE_FAST") != NULL ? 0 : real_fsync(fd));
}

int ftruncate64(int fd, off64_t size) {
  REAL(int, ftruncate64, int, off64_t);
  struct stat found;
  if (path_of(fd) != NULL && fstat(fd, &found) == 0) {
    int64_t growth = size - found.st_size;
    if (growth <= 0) give(-growth);
    else if (take(growth, growth) < growth) {
      errno = ENOSPC;
      return -1;
    }
  }
  int result = real_ftruncate64(fd, size);
  if (result == 0 && path_of(fd) != NULL) note('T', fd, size, "", 0);
  return result;
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  if (strikes(RENAME, from, -1)) return -1;
  int64_t replaced = held(to);
  int result = real_rename(from, to);
  if (result == 0) give(replaced);
  if (result == 0 && ours(from)) {
    char both[8192];
    int length = snprintf(both, sizeof both, "%s\n%s", from, to);
    note('R', -1, 0, both, (size_t)length);
  }
  return result;
}

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  if (strikes(UNLINK, path, -1)) return -1;
  int64_t bytes = held(path);
  int result = real_unlink(path);
  if (result == 0) give(bytes);
  if (result == 0 && ours(path)) note('U', -1, 0, path, strlen(path));
  return result;
}

int rmdir(const char *path) {
  REAL(int, rmdir, const char *);
  if (strikes(UNLINK, path, -1)) return -1;
  int64_t bytes = held(path);
  int result = real_rmdir(path);
  if (result == 0) give(bytes);
  if (result == 0 && ours(path)) note('U', -1, 0, path, strlen(path));
  return result;
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, mkdir, const char *, mode_t);
  if (ours(path) && access(path, F_OK) != 0 && take(FOLDER_BYTES, FOLDER_BYTES) == 0) {
    errno = ENOSPC;
    return -1;
  }
  int result = real_mkdir(path, mode);
  if (result == 0 && ours(path)) note('M', -1, 0, path, strlen(path));
  return result;
}

int statfs64(const char *path, struct statfs64 *found) {
  REAL(int, statfs64, const char *, struct statfs64 *);
  int result = real_statfs64(path, found);
  pthread_mutex_lock(&lock);
  if (result == 0 && limited && ours(path))
    found->f_bfree = found->f_bavail = (unsigned long)(room < 0 ? 0 : room) / (unsigned long)found->f_bsize;
  pthread_mutex_unlock(&lock);
  return result;
}
