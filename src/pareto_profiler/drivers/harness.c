/* harness: measure one assignment in one fresh process, through a runtime's driver, and answer in JSON
 * lines.
 *
 * The library is opened at run time, so that one binary serves many versions of a runtime. What the
 * runtime prints on stdout (logs, custom kernels) is sent to stderr; stdout carries the answer only,
 * one JSON object per stage reached, so that a crash still tells how far the run came.
 *
 * Times are nanoseconds, memory KiB, sizes bytes. Exit status: 0 measured; 1 the runtime refused
 * (the last line names the stage); 2 the request is not usable. */
#define _GNU_SOURCE
#include "driver.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(rlim_t) == 8, "limits beyond 4 GiB: build with -D_FILE_OFFSET_BITS=64");
#define MAX_THREADS 256
/* Warm-up is judged by blocks of this many runs and of at least this time. */
#define BLOCK_RUNS 5
#define BLOCK_NS 20000000
#define MOST_WARMUPS 1000
/* Idle time comes in ticks of 10 ms: shorter windows say nothing about what else was running. */
#define WINDOW_NS 100000000
#define TICK_NS 10000000
/* More of a processor taken by others than this, and the runs of a window count as disturbed. */
#define QUIET_CPUS 0.2

static const struct {
  const char *name;
  size_t bytes;
} types[TYPE_COUNT] = {
    [FLOAT32] = {"float32", 4}, [FLOAT64] = {"float64", 8}, [FLOAT16] = {"float16", 2}, [INT64] = {"int64", 8},
    [INT32] = {"int32", 4},     [INT16] = {"int16", 2},     [INT8] = {"int8", 1},       [UINT32] = {"uint32", 4},
    [UINT8] = {"uint8", 1},     [BOOL] = {"bool", 1},
};

void read_request(const char *text, request *asked); /* request.c */

static FILE *answer;

void refuse_request(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("driver: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  fflush(stderr);
  _exit(2); /* not exit(): see fail() */
}

void fail(const char *stage, int status) {
  /* On a line of its own, whatever was begun. */
  fprintf(answer, "\n{\"event\": \"refused\", \"stage\": \"%s\", \"status\": %d}\n", stage, status);
  fflush(answer);
  /* Not exit(): the destructors of a half-built runtime may crash and hide the reason. */
  fflush(stderr);
  _exit(1);
}

static int64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

size_t element_bytes(int type) { return types[type].bytes; }

/* Adds the kB of a line "Key:   123 kB" to a sum, which is -1 before the first one. */
static void add_kib(const char *line, const char *key, long *sum) {
  long kib;
  size_t length = strlen(key);
  if (!strncmp(line, key, length) && line[length] == ':' && sscanf(line + length + 1, "%ld kB", &kib) == 1)
    *sum = (*sum < 0 ? 0 : *sum) + kib;
}

typedef struct {
  long all, anonymous, proportional;
} resident_kib;

/* What is resident, from the page tables; -1 where the kernel does not show them. */
static resident_kib resident_now(void) {
  resident_kib found = {-1, -1, -1};
  char line[256];
  FILE *file = fopen("/proc/self/smaps_rollup", "re");
  if (!file) file = fopen("/proc/self/smaps", "re"); /* before Linux 4.14 */
  while (file && fgets(line, sizeof line, file)) {
    add_kib(line, "Rss", &found.all);
    add_kib(line, "Anonymous", &found.anonymous);
    add_kib(line, "Pss", &found.proportional);
  }
  if (file) fclose(file);
  return found;
}

/* The kernel's own peak lacks what threads have not reported yet: each its last 64 page faults, on older kernels. */
static long peak_kib(resident_kib now) {
  static long peak = -1;
  long marked = -1;
  char line[256];
  FILE *file = fopen("/proc/self/status", "re");
  while (file && fgets(line, sizeof line, file)) add_kib(line, "VmHWM", &marked);
  if (file) fclose(file);
  if (marked > peak) peak = marked;
  if (now.all > peak) peak = now.all;
  return peak;
}

void *open_library(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library) return library;
  fprintf(stderr, "%s\n", dlerror());
  fail("open_library", OTHER_STATUS);
}

static void *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rbe");
  if (!file) refuse_request("%s: %s", path, strerror(errno));
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  void *data = malloc(size > 0 ? (size_t)size : 1);
  if (!data) fail("inputs", OUT_OF_MEMORY);
  if (size < 0 || fread(data, 1, (size_t)size, file) != (size_t)size) refuse_request("%s: cannot be read", path);
  fclose(file);
  *bytes = (size_t)size;
  return data;
}

static void set_inputs(const request *asked) {
  tensor input = {0};
  int count = 0;
  while (count < MAX_TENSORS && driver_input(count, &input)) {
    size_t bytes;
    int i = count++;
    if (i >= asked->input_count) continue;
    void *data = read_file(asked->inputs[i].file, &bytes);
    if (input.bytes && bytes != input.bytes)
      refuse_request("%s: %zu bytes, input %d takes %zu", asked->inputs[i].file, bytes, i, input.bytes);
    input.bytes = bytes;
    input.data = data;
    driver_input(i, &input);
    input = (tensor){0};
  }
  if (count != asked->input_count)
    refuse_request("the model has %d inputs, %d were given", count, asked->input_count);
}

static int count_outputs(void) {
  tensor output;
  int count = 0;
  while (driver_output(count, &output))
    if (++count > MAX_TENSORS) refuse_request("the model has more than %d outputs", MAX_TENSORS);
  return count;
}

static struct {
  int file[MAX_THREADS], count;
} threads;

/* Open what tells how long each thread waited: opening it for every run would cost more than small
 * models take. */
static void watch_threads(void) {
  for (int i = 0; i < threads.count; i++) close(threads.file[i]);
  threads.count = 0;
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return;
  for (struct dirent *task; (task = readdir(tasks)) && threads.count < MAX_THREADS;) {
    char path[64];
    if (!isdigit((unsigned char)task->d_name[0])) continue;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/schedstat", task->d_name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) threads.file[threads.count++] = file;
  }
  closedir(tasks);
}

/* Time that threads of this process were ready to run and did not, summed over them; -1 where the
 * kernel does not count it. */
static int64_t run_delay_ns(void) {
  int64_t sum = -1;
  for (int i = 0; i < threads.count; i++) {
    char text[80];
    long long on_cpu, waiting;
    ssize_t length = pread(threads.file[i], text, sizeof text - 1, 0);
    if (length <= 0) continue;
    text[length] = 0;
    if (sscanf(text, "%lld %lld", &on_cpu, &waiting) == 2) sum = (sum < 0 ? 0 : sum) + waiting;
  }
  return sum;
}

static long involuntary_switches(void) {
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) ? 0 : usage.ru_nivcsw;
}

/* Idle and stolen time of the processors this process may use, and how many they are. */
typedef struct {
  int64_t idle_ns, steal_ns;
  int cpus;
} machine_time;

static machine_time machine_now(void) {
  static char text[1 << 16];
  static cpu_set_t allowed;
  static int file = -1, is_known;
  machine_time now = {0, 0, 0};
  if (!is_known) {
    is_known = 1;
    file = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    if (sched_getaffinity(0, sizeof allowed, &allowed)) file = -1;
  }
  ssize_t length = file < 0 ? 0 : pread(file, text, sizeof text - 1, 0);
  if (length <= 0) return now;
  text[length] = 0;
  int64_t tick_ns = 1000000000 / sysconf(_SC_CLK_TCK);
  for (char *line = text; line && !strncmp(line, "cpu", 3); line = strchr(line, '\n'), line += line != NULL) {
    unsigned cpu;
    long long idle, waiting, stolen = 0;
    if (sscanf(line, "cpu%u %*d %*d %*d %lld %lld %*d %*d %lld", &cpu, &idle, &waiting, &stolen) < 3) continue;
    if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed)) continue;
    now.idle_ns += (idle + waiting) * tick_ns;
    now.steal_ns += stolen * tick_ns;
    now.cpus++;
  }
  return now;
}

typedef struct {
  int64_t *wall, *cpu, *delay, *switches; /* one a run, warm-ups included */
  int64_t *others;                        /* thousandths of a processor that others used meanwhile */
  int64_t *power_uw;
  long count, judged; /* runs made; those of closed windows */
  int64_t window_start, window_cpu, began, last_delay;
  long last_switches;
  const request *sensors; /* of power, read after each run; NULL for none */
  int64_t energy[2][MAX_SENSORS]; /* before the last two blocks */
  machine_time window_machine, first_machine;
} timings;

static void open_window(timings *taken) {
  taken->window_machine = machine_now();
  taken->window_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  taken->window_start = clock_ns(CLOCK_MONOTONIC);
}

/* What was neither idle nor ours was used by others; -1 where the machine does not tell. */
static void close_window(timings *taken) {
  machine_time now = machine_now();
  int64_t wall = clock_ns(CLOCK_MONOTONIC) - taken->window_start;
  int64_t own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - taken->window_cpu;
  int64_t idle = now.idle_ns - taken->window_machine.idle_ns;
  /* Each processor's idle time is cut to ticks at both ends: independent errors. */
  int64_t slack = (int64_t)(TICK_NS * sqrt(now.cpus > 0 ? now.cpus : 1));
  int64_t others = wall * now.cpus - idle - own - slack;
  int64_t share = now.cpus && wall > 0 ? (others > 0 ? others * 1000 / wall : 0) : -1;
  if (share >= 0 && (double)share <= 1000 * QUIET_CPUS && (double)slack > QUIET_CPUS * (double)wall)
    /* Too short to tell; the end of a measurement is as what was before it. */
    share = taken->judged > 0 ? taken->others[taken->judged - 1] : -1;
  for (; taken->judged < taken->count; taken->judged++) taken->others[taken->judged] = share;
  open_window(taken);
}

/* A sensor of power, as hwmon's power1_input in microwatts, and no counter of energy. */
static int is_power(const char *path) {
  const char *name = strrchr(path, '/');
  return !strncmp(name ? name + 1 : path, "power", 5);
}

static int64_t power_now(const request *asked) {
  int64_t sum = 0;
  for (int i = 0; i < asked->energy_count; i++) {
    long long value = 0;
    FILE *file = is_power(asked->energy[i]) ? fopen(asked->energy[i], "re") : NULL;
    if (!file) continue;
    if (fscanf(file, "%lld", &value) == 1) sum += value;
    fclose(file);
  }
  return sum;
}

static void time_run(const char *stage, timings *taken) {
  long i = taken->count;
  int64_t cpu_start = clock_ns(CLOCK_PROCESS_CPUTIME_ID), start = clock_ns(CLOCK_MONOTONIC);
  int status = driver_run();
  int64_t end = clock_ns(CLOCK_MONOTONIC);
  taken->wall[i] = end - start;
  taken->cpu[i] = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
  int64_t delay = run_delay_ns();
  long switches = involuntary_switches();
  taken->switches[i] = switches - taken->last_switches;
  taken->delay[i] = delay < 0 || delay < taken->last_delay ? -1 : delay - taken->last_delay;
  taken->last_delay = delay;
  taken->last_switches = switches;
  if (taken->sensors) taken->power_uw[i] = power_now(taken->sensors);
  taken->count++;
  if (status) fail(stage, status);
  if (end - taken->window_start >= WINDOW_NS) close_window(taken);
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* Whether the last `block` runs are faster than as many before them: Mann and Whitney's test, one
 * side, 5 %. */
static int is_getting_faster(const timings *taken, long block) {
  const int64_t *last = taken->wall + taken->count - block, *before = last - block;
  double faster = 0, n = (double)block;
  for (long i = 0; i < block; i++)
    for (long j = 0; j < block; j++) faster += last[i] < before[j] ? 1.0 : last[i] == before[j] ? 0.5 : 0.0;
  return faster - n * n / 2 > 1.645 * sqrt(n * n * (2 * n + 1) / 12);
}

/* Microjoules that the counters show; a power sensor has no counter. */
static void read_energy(const request *asked, int64_t *uj) {
  for (int i = 0; i < asked->energy_count; i++) {
    long long value = -1;
    FILE *file = fopen(asked->energy[i], "re");
    if (!file || fscanf(file, "%lld", &value) != 1) refuse_request("energy %s: cannot be read", asked->energy[i]);
    fclose(file);
    uj[i] = value;
  }
}

/* Runs until a block is no faster than the one before it; returns where the first of the two began:
 * nothing that is steady is thrown away. */
static long warm_up(const request *asked, timings *taken) {
  if (asked->warmups >= 0) {
    while (taken->count < asked->warmups) time_run("warmup", taken);
    read_energy(asked, taken->energy[0]);
    return taken->count;
  }
  read_energy(asked, taken->energy[0]);
  time_run("warmup", taken);
  long block = BLOCK_NS / (taken->wall[0] + 1) + 1;
  block = block < BLOCK_RUNS ? BLOCK_RUNS : block > 50 ? 50 : block;
  while (taken->count < block) time_run("warmup", taken);
  read_energy(asked, taken->energy[1]);
  while (taken->count < 2 * block) time_run("warmup", taken);
  while (is_getting_faster(taken, block) && taken->count + block <= MOST_WARMUPS &&
         clock_ns(CLOCK_MONOTONIC) - taken->began < (int64_t)asked->run_time_ms * 2000000)
  {
    memcpy(taken->energy[0], taken->energy[1], sizeof taken->energy[0]);
    read_energy(asked, taken->energy[1]);
    for (long i = 0; i < block; i++) time_run("warmup", taken);
  }
  return taken->count - 2 * block;
}

/* The value at a rank from 0, between two values where it lies between two ranks. */
static double at_rank(const int64_t *sorted, long n, double rank) {
  rank = rank < 0 ? 0 : rank > (double)(n - 1) ? (double)(n - 1) : rank;
  long below = (long)rank, above = below + 1 < n ? below + 1 : below;
  return (double)sorted[below] + (rank - (double)below) * (double)(sorted[above] - sorted[below]);
}

/* Whether the median of the undisturbed runs is known well enough: its standard error from the order
 * statistics one standard error of rank to both sides. */
static int is_precise(const timings *taken, long from, const request *asked, int64_t *sorted) {
  long n = 0;
  for (long i = from; i < taken->count; i++)
    if (i >= taken->judged || (double)taken->others[i] <= 1000 * QUIET_CPUS) sorted[n++] = taken->wall[i];
  if (n < asked->min_runs || n < 2) return 0;
  qsort(sorted, (size_t)n, sizeof *sorted, ascending);
  double middle = (double)(n - 1) / 2, reach = sqrt((double)n) / 2;
  double error = (at_rank(sorted, n, middle + reach) - at_rank(sorted, n, middle - reach)) / 2;
  /* Below and not at: 0 asks for all the runs, even where a coarse clock has them alike. */
  return error < asked->precision * (double)sorted[n / 2];
}

static void time_runs(const request *asked, long from, timings *taken, int64_t *scratch) {
  int64_t start = clock_ns(CLOCK_MONOTONIC), already = 0;
  for (long i = from; i < taken->count; i++) already += taken->wall[i];
  for (long next = asked->min_runs;;) {
    long made = taken->count - from;
    if (made >= asked->max_runs) break;
    if (made >= asked->min_runs) {
      if (already + clock_ns(CLOCK_MONOTONIC) - start >= (int64_t)asked->run_time_ms * 1000000) break;
      if (made >= next) {
        if (is_precise(taken, from, asked, scratch)) break;
        next = made + made / 5 + 1;
      }
    }
    time_run("run", taken);
  }
  if (taken->judged < taken->count) close_window(taken);
}

/* Largest value in files of a folder of /sys whose names begin and end so; -1 where there is none. */
static long long largest_of(const char *folder, const char *begin, const char *leaf) {
  long long largest = -1;
  DIR *entries = opendir(folder);
  if (!entries) return largest;
  for (struct dirent *entry; (entry = readdir(entries));) {
    char path[512];
    long long value;
    if (strncmp(entry->d_name, begin, strlen(begin))) continue;
    snprintf(path, sizeof path, "%s/%.100s/%s", folder, entry->d_name, leaf);
    FILE *file = fopen(path, "re");
    if (!file) continue;
    if (fscanf(file, "%lld", &value) == 1 && value > largest) largest = value;
    fclose(file);
  }
  closedir(entries);
  return largest;
}

/* A counter begins anew at its range. */
static int64_t counted(const char *path, int64_t before, int64_t after) {
  char beside[4096];
  const char *slash = strrchr(path, '/');
  long long range = 0;
  if (after >= before) return after - before;
  snprintf(beside, sizeof beside, "%.*s/max_energy_range_uj", (int)(slash ? slash - path : 0), path);
  FILE *file = fopen(beside, "re");
  if (!file || fscanf(file, "%lld", &range) != 1) refuse_request("energy %s: the counter went back", path);
  fclose(file);
  return after - before + range;
}

static void print_list(const char *key, const int64_t *values, long count) {
  fprintf(answer, ", \"%s\": [", key);
  for (long i = 0; i < count; i++) fprintf(answer, i ? ", %lld" : "%lld", (long long)values[i]);
  fputs("]", answer);
}

static double of_half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                : exponent     ? ldexp(1024 + fraction, exponent - 25)
                               : ldexp(fraction, -24);
  return bits >> 15 ? -size : size;
}

static double element(const tensor *of, size_t i) {
  switch (of->type) {
    case FLOAT32: return ((const float *)of->data)[i];
    case FLOAT64: return ((const double *)of->data)[i];
    case FLOAT16: return of_half(((const uint16_t *)of->data)[i]);
    case INT64: return (double)((const int64_t *)of->data)[i];
    case INT32: return ((const int32_t *)of->data)[i];
    case INT16: return ((const int16_t *)of->data)[i];
    case INT8: return ((const int8_t *)of->data)[i];
    case UINT32: return ((const uint32_t *)of->data)[i];
    default: return ((const uint8_t *)of->data)[i];
  }
}

static void output_path(char *path, size_t size, const char *prefix, int i) {
  if (snprintf(path, size, "%s.%d", prefix, i) >= (int)size) refuse_request("%s: path too long", prefix);
}

/* As JSON has it, which has no infinity: the largest number stands for what is larger, or is none. */
static double told(double value) {
  return isfinite(value) ? value : value < 0 ? -DBL_MAX : DBL_MAX;
}

static void print_output(const request *asked, int i, const tensor *output) {
  char path[4096];
  size_t count = output->bytes / types[output->type].bytes;
  uint64_t digest = 14695981039346656037u; /* FNV-1a */
  for (size_t b = 0; b < output->bytes; b++)
    digest = (digest ^ ((const unsigned char *)output->data)[b]) * 1099511628211u;
  double squares = 0, least = INFINITY, most = -INFINITY;
  size_t nonfinite = 0;
  for (size_t e = 0; e < count; e++) {
    double value = element(output, e);
    if (!isfinite(value)) nonfinite++;
    else {
      squares += value * value;
      if (value < least) least = value;
      if (value > most) most = value;
    }
  }
  if (least > most) least = most = 0; /* nothing finite in it */
  fprintf(answer, "%s{\"dtype\": \"%s\", \"bytes\": %zu, \"digest\": \"%016llx\", \"l2_norm\": %.17g, \"min\": %.17g, \"max\": %.17g, \"nonfinite\": %zu",
          i ? ", " : "", types[output->type].name, output->bytes, (unsigned long long)digest, told(sqrt(squares)), least, most, nonfinite);
  if (asked->reference) {
    tensor wanted = {.type = output->type};
    output_path(path, sizeof path, asked->reference, i);
    wanted.data = read_file(path, &wanted.bytes);
    double worst = 0, low = INFINITY, high = -INFINITY, top = -INFINITY, divergence = 0;
    double dot = 0, own_squares = 0, wanted_squares = 0, difference_squares = 0;
    size_t disagreeing = 0; /* a NaN or an infinity on one side only */
    size_t own_top = 0, wanted_top = 0;
    for (size_t e = 0; wanted.bytes == output->bytes && e < count; e++) {
      double a = element(output, e), b = element(&wanted, e);
      if (isfinite(b)) {
        if (b < low) low = b;
        if (b > high) high = b, wanted_top = e;
      }
      if (isfinite(a) && a > top) top = a, own_top = e;
      if (isfinite(a) && isfinite(b)) {
        worst = fabs(a - b) > worst ? fabs(a - b) : worst;
        dot += a * b;
        own_squares += a * a;
        wanted_squares += b * b;
        difference_squares += (a - b) * (a - b);
        if (b > 0) divergence += b * (log(b) - log(a > DBL_MIN ? a : DBL_MIN));
      } else if (!(isnan(a) && isnan(b)) && a != b) disagreeing++;
    }
    fprintf(answer, ", \"reference_bytes\": %zu, \"max_abs_error\": %.17g, \"reference_range\": %.17g, \"nonfinite_mismatches\": %zu",
            wanted.bytes, told(worst), told(high >= low ? high - low : 0.0), disagreeing);
    fprintf(answer, ", \"dot\": %.17g, \"squares\": %.17g, \"reference_squares\": %.17g, \"difference_squares\": %.17g",
            told(dot), told(own_squares), told(wanted_squares), told(difference_squares));
    fprintf(answer, ", \"is_top1_same\": %s, \"divergence\": %.17g", own_top == wanted_top ? "true" : "false", told(divergence));
    free(wanted.data);
  }
  fputs("}", answer);
  if (asked->write_outputs) {
    output_path(path, sizeof path, asked->write_outputs, i);
    FILE *file = fopen(path, "wbe");
    if (!file || fwrite(output->data, 1, output->bytes, file) != output->bytes || fclose(file))
      refuse_request("%s: cannot be written: %s", path, strerror(errno));
  }
}

/* Where the loader and the heap put things decides how many pages are touched: with the usual
 * randomisation peak memory scatters by some 100 KiB from process to process, without it by some
 * 10 KiB. Where it cannot be switched off or on, the measurement goes on and the answer says so. */
void set_addresses(char **argv) {
  unsigned wanted = ADDR_NO_RANDOMIZE;
  for (char **word = argv; *word; word++)
    if (!strcmp(*word, "--random-addresses")) wanted = 0;
  int now = personality(0xffffffff);
  if (now == -1 || ((unsigned)now & ADDR_NO_RANDOMIZE) == wanted) return;
  if (personality(((unsigned)now & ~(unsigned)ADDR_NO_RANDOMIZE) | wanted) == -1) return;
  /* Else this would go round for ever. */
  if (((unsigned)personality(0xffffffff) & ADDR_NO_RANDOMIZE) != wanted) return;
  execv("/proc/self/exe", argv);
  personality((unsigned)now); /* what it is, since it did not start anew */
}

static const char *addresses(void) {
  int now = personality(0xffffffff);
  int is_off = 0;
  FILE *file = fopen("/proc/sys/kernel/randomize_va_space", "re");
  if (file) {
    is_off = fgetc(file) == '0';
    fclose(file);
  }
  return is_off || (now != -1 && (now & ADDR_NO_RANDOMIZE)) ? "fixed" : "random";
}

/* The processors this process and its threads may use, as in "0,4-7". */
static void pin(const char *list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const char *at = list; *at;) {
    char *end;
    long first = strtol(at, &end, 10), last = first;
    if (end != at && *end == '-') last = strtol(at = end + 1, &end, 10);
    if (end == at || first < 0 || last < first || last >= CPU_SETSIZE || (*end && *end != ','))
      refuse_request("cpus: expected something like 0,4-7, got '%s'", list);
    for (long cpu = first; cpu <= last; cpu++) CPU_SET((size_t)cpu, &set);
    at = *end ? end + 1 : end;
  }
  if (sched_setaffinity(0, sizeof set, &set))
    refuse_request("cpus %s: %s", list, errno == EINVAL ? "there are no such processors here" : strerror(errno));
}

static void begin(const request *asked) {
  /* When the host is killed, its measurement must not go on and disturb the next one. */
  pid_t host = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != host) _exit(2);
  if (asked->time_limit_s) alarm((unsigned)asked->time_limit_s);
  if (asked->cpus) pin(asked->cpus);
  if (asked->memory_limit_bytes) {
    struct rlimit limit = {(rlim_t)asked->memory_limit_bytes, (rlim_t)asked->memory_limit_bytes};
    if (setrlimit(RLIMIT_DATA, &limit)) refuse_request("memory_limit_kib: %s", strerror(errno));
  }
  int out = dup(STDOUT_FILENO);
  answer = out < 0 ? NULL : fdopen(out, "w");
  if (!answer || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) refuse_request("stdout: %s", strerror(errno));
}

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(answer, format, arguments);
  va_end(arguments);
}

static void end_line(void) {
  fputs("}\n", answer);
  fflush(answer);
}

static void load(const request *asked) {
  const char *version = driver_open(asked);
  say("{\"event\": \"opened\", \"protocol\": %d, \"runtime_version\": \"%s\", \"addresses\": \"%s\", \"peak_before_load_kib\": %ld",
      PROTOCOL, version, addresses(), peak_kib(resident_now()));
  driver_opened(answer);
  end_line();
  if (asked->version_only) _exit(0);
  int64_t start = now_ns();
  driver_load(asked);
  int64_t end = now_ns();
  driver_place(asked);
  say("{\"event\": \"loaded\", \"load_ns\": %lld, \"peak_after_load_kib\": %ld", (long long)(end - start),
      peak_kib(resident_now()));
  end_line();
  start = now_ns();
  driver_prepare(asked);
  end = now_ns();
  say("{\"event\": \"prepared\", \"prepare_ns\": %lld, \"peak_after_prepare_kib\": %ld", (long long)(end - start),
      peak_kib(resident_now()));
  driver_placed(answer);
  end_line();
  if (asked->prepare_only) _exit(0);
}

/* A file's text, in memory that can be given back. */
static char *read_text(const char *path, size_t *bytes) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
  if (size < 0) refuse_request("%s: %s", path, strerror(errno));
  *bytes = (size_t)size + 1;
  char *text = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (text == MAP_FAILED || pread(file, text, (size_t)size, 0) != size) refuse_request("%s: cannot be read", path);
  close(file);
  return text;
}

int main(int argc, char **argv) {
  static request asked;
  char *text = NULL;
  size_t bytes = 0;
  set_addresses(argv);
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--random-addresses")) continue; /* seen before anything else */
    if (strcmp(argv[i], "--request") || ++i == argc) refuse_request("expected --request JSON or --request FILE, got %s", argv[i]);
    text = argv[i][0] == '{' ? argv[i] : read_text(argv[i], &bytes);
  }
  if (!text) refuse_request("expected --request JSON or --request FILE");
  read_request(text, &asked);
  if (bytes) munmap(text, bytes);
  begin(&asked);
  load(&asked);

  long all = (asked.warmups < 0 ? MOST_WARMUPS : asked.warmups) + 100 + asked.max_runs;
  int64_t *taken = calloc(7 * (size_t)all, sizeof *taken);
  if (!taken) fail("inputs", OUT_OF_MEMORY);
  timings times = {.wall = taken, .cpu = taken + all, .delay = taken + 2 * all, .switches = taken + 3 * all,
                   .others = taken + 4 * all, .power_uw = taken + 5 * all};
  int64_t energy_after[MAX_SENSORS];
  for (int i = 0; i < asked.energy_count; i++)
    if (is_power(asked.energy[i])) times.sensors = &asked;
  set_inputs(&asked);
  int output_count = count_outputs();

  int64_t start, end;
  int status;
  do {
    start = now_ns();
    status = driver_run();
    end = now_ns();
    if (status == RUN_AGAIN) fputs("driver: runs again\n", stderr); /* what was said so far is no failure */
  } while (status == RUN_AGAIN);
  if (status) fail("first_run", status);
  say("{\"event\": \"first_run\", \"first_run_ns\": %lld", (long long)(end - start));
  end_line();

  watch_threads();
  times.last_delay = run_delay_ns();
  times.last_switches = involuntary_switches();
  times.first_machine = machine_now();
  open_window(&times);
  times.began = times.window_start;
  long from = warm_up(&asked, &times);
  long energy_from = from;
  if (times.count - from > asked.max_runs) from = times.count - asked.max_runs;
  time_runs(&asked, from, &times, taken + 6 * all);
  read_energy(&asked, energy_after);
  long long clock_khz = largest_of("/sys/devices/system/cpu", "cpu", "cpufreq/scaling_cur_freq");
  long long milli_degrees = largest_of("/sys/class/thermal", "thermal_zone", "temp");
  machine_time last_machine = machine_now();
  resident_kib resident = resident_now();
  long after_runs_kib = peak_kib(resident);
  long runs = times.count - from;
  fprintf(answer, "{\"event\": \"measured\", \"peak_after_runs_kib\": %ld", after_runs_kib);
  fprintf(answer, ", \"rss_anon_kib\": %ld, \"rss_file_kib\": %ld, \"pss_kib\": %ld", resident.anonymous,
          resident.all < 0 || resident.anonymous < 0 ? -1 : resident.all - resident.anonymous,
          resident.proportional);
  fprintf(answer, ", \"vram_kib\": %ld", device_memory_kib());
  fprintf(answer, ", \"steal_ns\": %lld, \"clock_khz\": %lld, \"milli_degrees\": %lld",
          (long long)(last_machine.steal_ns - times.first_machine.steal_ns), clock_khz, milli_degrees);
  print_list("warmup_wall_ns", times.wall, from);
  print_list("warmup_cpu_ns", times.cpu, from);
  print_list("run_wall_ns", times.wall + from, runs);
  print_list("run_cpu_ns", times.cpu + from, runs);
  print_list("run_delay_ns", times.delay + from, runs);
  print_list("run_involuntary_switches", times.switches + from, runs);
  print_list("run_milli_cpus_of_others", times.others + from, runs);
  if (asked.energy_count && times.count > energy_from) {
    /* Counters move every millisecond or less often: the mean over all runs. */
    double joules = 0;
    for (int i = 0; i < asked.energy_count; i++)
      if (!is_power(asked.energy[i])) joules += (double)counted(asked.energy[i], times.energy[0][i], energy_after[i]) / 1e6;
    joules /= (double)(times.count - energy_from);
    double watts = 0, seconds = 0;
    for (long i = energy_from; i < times.count; i++) {
      watts += (double)times.power_uw[i] / 1e6 / (double)(times.count - energy_from);
      seconds += (double)times.wall[i] / 1e9 / (double)(times.count - energy_from);
    }
    fprintf(answer, ", \"energy_j\": %.17g", joules + watts * seconds);
  }
  fputs(", \"outputs\": [", answer);
  for (int i = 0; i < output_count; i++) {
    tensor output = {0};
    driver_output(i, &output);
    print_output(&asked, i, &output);
  }
  fputs("]", answer);
  end_line();
  if (asked.profile_runs) {
    say("{\"event\": \"profiled\"");
    driver_profile(answer, asked.profile_runs);
    end_line();
  }
  driver_close();
  return 0;
}
