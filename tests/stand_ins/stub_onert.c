/* A libonert.so whose runs take as long as STUB_RUN_US says: microseconds, comma-separated, the last
 * one for all further runs. It waits without using a processor; preloaded, with STUB_CLOCK, it moves the
 * clock of its process instead, which stands still otherwise. STUB_COUNTER names a file whose
 * number grows by 1500 with every run, as a counter of microjoules. With STUB_SAY_WHERE it says where
 * the heap is. To prepare it touches STUB_KEEP_KIB and STUB_GIVE_BACK_KIB of memory. Preloaded, with
 * STUB_FDINFO, standard input and output are one client of a GPU, of which that file tells; with
 * STUB_NVIDIA_KIB they are NVIDIA's device, whose library tells that the process has so much. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  int dtype;
  int32_t rank;
  int32_t dims[6];
} tensorinfo;

static const char *next_run;
static long long moved_ns;

/* The processor time of all processors: what is not idle then was ours. */
int clock_gettime(clockid_t id, struct timespec *now) {
  if (!getenv("STUB_CLOCK")) return (int)syscall(SYS_clock_gettime, id, now);
  long long ns = moved_ns * (id == CLOCK_PROCESS_CPUTIME_ID ? sysconf(_SC_NPROCESSORS_ONLN) : 1);
  now->tv_sec = ns / 1000000000;
  now->tv_nsec = ns % 1000000000;
  return 0;
}

/* As it is called where files may be large. */
FILE *fopen64(const char *path, const char *mode) {
  FILE *(*real)(const char *, const char *);
  *(void **)&real = dlsym(RTLD_NEXT, "fopen64");
  int is_first = !strcmp(path, "/proc/self/fdinfo/0") || !strcmp(path, "/proc/self/fdinfo/1");
  const char *file = getenv("STUB_FDINFO");
  return real(is_first && file ? file : path, mode);
}

ssize_t readlink(const char *restrict path, char *restrict target, size_t size) {
  if (strcmp(path, "/proc/self/fd/0") || !getenv("STUB_NVIDIA_KIB")) return syscall(SYS_readlink, path, target, size);
  return snprintf(target, size, "/dev/nvidia0");
}

typedef struct {
  unsigned pid;
  unsigned long long bytes;
  unsigned instance, compute_instance;
} nvidia_process;

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { (void)i; *device = NULL; return 0; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, nvidia_process *there) {
  (void)device;
  *count = 2;
  there[0] = (nvidia_process){.pid = 1, .bytes = 1ULL << 30};
  there[1] = (nvidia_process){.pid = (unsigned)getpid(), .bytes = strtoull(getenv("STUB_NVIDIA_KIB"), NULL, 10) * 1024};
  return 0;
}

int nnfw_create_session(void **session) {
  *session = malloc(1);
  next_run = getenv("STUB_RUN_US");
  if (getenv("STUB_SAY_WHERE")) fprintf(stderr, "at %p\n", *session);
  return 0;
}
int nnfw_close_session(void *session) { free(session); return 0; }
int nnfw_load_model_from_file(void *session, const char *path) { (void)session; (void)path; return 0; }
int nnfw_set_available_backends(void *session, const char *names) { (void)session; (void)names; return 0; }
int nnfw_set_backends_per_operation(void *session, const char *map) { (void)session; (void)map; return 0; }
static size_t touch(const char *how_much, char **where) {
  size_t bytes = getenv(how_much) ? strtoul(getenv(how_much), NULL, 10) * 1024 : 0;
  if (!bytes) return 0;
  *where = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(*where, 1, bytes);
  return bytes;
}
int nnfw_prepare(void *session) {
  (void)session;
  char *kept, *given_back;
  touch("STUB_KEEP_KIB", &kept);
  size_t bytes = touch("STUB_GIVE_BACK_KIB", &given_back);
  if (bytes) munmap(given_back, bytes);
  return 0;
}
int nnfw_input_size(void *session, uint32_t *count) { (void)session; *count = 0; return 0; }
int nnfw_output_size(void *session, uint32_t *count) { (void)session; *count = 0; return 0; }
int nnfw_input_tensorinfo(void *s, uint32_t i, tensorinfo *t) { (void)s; (void)i; (void)t; return 1; }
int nnfw_output_tensorinfo(void *s, uint32_t i, tensorinfo *t) { (void)s; (void)i; (void)t; return 1; }
int nnfw_set_input_tensorinfo(void *s, uint32_t i, const tensorinfo *t) { (void)s; (void)i; (void)t; return 1; }
int nnfw_set_input(void *s, uint32_t i, int d, const void *p, size_t n) { (void)s; (void)i; (void)d; (void)p; (void)n; return 1; }
int nnfw_set_output(void *s, uint32_t i, int d, void *p, size_t n) { (void)s; (void)i; (void)d; (void)p; (void)n; return 1; }
int nnfw_query_info_u32(void *s, int id, uint32_t *value) { (void)s; (void)id; *value = 30 << 8 | 1 << 24; return 0; }

int nnfw_run(void *session) {
  (void)session;
  long us = next_run ? atol(next_run) : 0;
  const char *comma = next_run ? strchr(next_run, ',') : NULL;
  if (comma) next_run = comma + 1;
  struct timespec pause = {us / 1000000, us % 1000000 * 1000};
  moved_ns += us * 1000LL;
  if (!getenv("STUB_CLOCK")) nanosleep(&pause, NULL);
  const char *counter = getenv("STUB_COUNTER");
  if (counter) {
    long long value = 0;
    FILE *file = fopen(counter, "r+");
    if (!file || fscanf(file, "%lld", &value) != 1) return 1;
    rewind(file);
    fprintf(file, "%lld\n", value + 1500);
    fclose(file);
  }
  return 0;
}
