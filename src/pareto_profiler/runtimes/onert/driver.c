/* onert through its C API, from 1.17 on. */
#include "driver.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OUTPUT_BYTES ((size_t)1 << 30)
/* The text of one call: the lists of long models are told in parts. */
#define MAX_MAP_ENTRIES 1000
#define FIRST_OUTPUT_BYTES 4096 /* of what is known only after a run */

typedef struct nnfw_session nnfw_session;
typedef struct {
  int dtype;
  int32_t rank;
  int32_t dims[6];
} tensorinfo;

enum { NNFW_OUT_OF_MEMORY = 4, NNFW_INSUFFICIENT_OUTPUT = 5 };

/* NNFW_TYPE_TENSOR_*, in its order */
static const int type_of[] = {FLOAT32, INT32, UINT8, BOOL, UINT8, INT64, INT8, INT16};
#define KNOWN_TYPES ((int)(sizeof type_of / sizeof *type_of))

static struct {
  int (*create_session)(nnfw_session **);
  int (*close_session)(nnfw_session *);
  int (*load_model_from_file)(nnfw_session *, const char *);
  int (*set_available_backends)(nnfw_session *, const char *);
  int (*set_backends_per_operation)(nnfw_session *, const char *);
  int (*prepare)(nnfw_session *);
  int (*run)(nnfw_session *);
  int (*input_size)(nnfw_session *, uint32_t *);
  int (*output_size)(nnfw_session *, uint32_t *);
  int (*input_tensorinfo)(nnfw_session *, uint32_t, tensorinfo *);
  int (*output_tensorinfo)(nnfw_session *, uint32_t, tensorinfo *);
  int (*set_input_tensorinfo)(nnfw_session *, uint32_t, const tensorinfo *);
  int (*set_input)(nnfw_session *, uint32_t, int, const void *, size_t);
  int (*set_output)(nnfw_session *, uint32_t, int, void *, size_t);
  int (*query_info_u32)(nnfw_session *, int, uint32_t *);
} nnfw;

static nnfw_session *session;
static struct {
  int dtype;
  size_t bytes;
  void *data;
} outputs[MAX_TENSORS];

static int neutral(int status) { return status == NNFW_OUT_OF_MEMORY ? OUT_OF_MEMORY : status; }

static void check(const char *stage, int status) {
  if (status) fail(stage, neutral(status));
}

const char *driver_open(const request *asked) {
  static char version[32];
  uint32_t number = 0;
  void *library = open_library(asked->library);
#define BIND(name, mangled)                                              \
  do {                                                                   \
    void *found = dlsym(library, "nnfw_" #name);                         \
    if (!found && mangled) found = dlsym(library, mangled);              \
    *(void **)&nnfw.name = found;                                        \
    if (!found) {                                                        \
      fprintf(stderr, "%s: no symbol nnfw_%s\n", asked->library, #name); \
      fail("open_library", OTHER_STATUS);                                \
    }                                                                    \
  } while (0)
  BIND(create_session, "");
  BIND(close_session, "");
  BIND(load_model_from_file, "");
  BIND(set_available_backends, "");
  /* Experimental functions were C++-mangled before 1.24. */
  BIND(set_backends_per_operation, "_Z31nnfw_set_backends_per_operationP12nnfw_sessionPKc");
  BIND(prepare, "");
  BIND(run, "");
  BIND(input_size, "");
  BIND(output_size, "");
  BIND(input_tensorinfo, "");
  BIND(output_tensorinfo, "");
  BIND(set_input_tensorinfo, "");
  BIND(set_input, "");
  BIND(set_output, "");
  BIND(query_info_u32, "");
#undef BIND
  nnfw.query_info_u32(NULL, 0, &number);
  snprintf(version, sizeof version, "%u.%u.%u", number >> 24, number >> 8 & 0xffff, number & 0xff);
  return version;
}

void driver_opened(FILE *answer) { (void)answer; }

void driver_load(const request *asked) {
  check("create_session", nnfw.create_session(&session));
  check("load", nnfw.load_model_from_file(session, asked->model));
}

/* In texts of the call's form, "0=cpu;1=ruy", of MAX_MAP_ENTRIES at most. */
static void tell_operations(const request *asked) {
  size_t longest = 0;
  for (int i = 0; i < asked->backend_count; i++)
    if (strlen(asked->backends[i].name) > longest) longest = strlen(asked->backends[i].name);
  char *text = malloc((longest + 24) * MAX_MAP_ENTRIES), *end = text;
  int count = 0;
  if (!text) fail("set_backends_per_operation", OUT_OF_MEMORY);
  for (long i = 0; i < asked->place[0].count; i++) {
    uint64_t backends = asked->place[0].backends[i];
    if (!backends) continue;
    end += sprintf(end, "%s%ld=%s", count ? ";" : "", i, asked->backends[__builtin_ctzll(backends)].name);
    if (++count < MAX_MAP_ENTRIES) continue;
    check("set_backends_per_operation", nnfw.set_backends_per_operation(session, text));
    end = text;
    count = 0;
  }
  if (count) check("set_backends_per_operation", nnfw.set_backends_per_operation(session, text));
  free(text);
}

void driver_place(const request *asked) {
  char named[4096] = "";
  for (int i = 0; i < asked->backend_count; i++) {
    size_t used = strlen(named);
    if (snprintf(named + used, sizeof named - used, "%s%s", used ? ";" : "", asked->backends[i].name) >= (int)(sizeof named - used))
      refuse_request("backends: too long");
  }
  for (int i = 1; i < MAX_SUBGRAPHS; i++)
    if (asked->place[i].count) refuse_request("place: onert has one map for all subgraphs, got subgraph %d", i);
  if (*named) check("set_backends", nnfw.set_available_backends(session, named));
  tell_operations(asked);
}

/* A model may leave sizes of its inputs free, whatever stands in their place: they become those of the given data. */
static void fix_free_sizes(const request *asked) {
  uint32_t count;
  check("inputs", nnfw.input_size(session, &count));
  for (uint32_t i = 0; i < count && (int)i < asked->input_count; i++) {
    tensorinfo info;
    check("inputs", nnfw.input_tensorinfo(session, i, &info));
    int is_other = info.rank != asked->inputs[i].rank;
    for (int d = 0; d < info.rank && d < 6 && !is_other; d++) is_other = info.dims[d] != asked->inputs[i].dims[d];
    if (!is_other || !asked->inputs[i].rank) continue;
    info.rank = 0;
    for (; info.rank < asked->inputs[i].rank && info.rank < 6; info.rank++)
      info.dims[info.rank] = (int32_t)asked->inputs[i].dims[info.rank];
    check("inputs", nnfw.set_input_tensorinfo(session, i, &info));
  }
}

void driver_prepare(const request *asked) {
  fix_free_sizes(asked);
  check("prepare", nnfw.prepare(session));
}

/* A backend that cannot be loaded is skipped by the runtime without a word: those that were are
 * found among the mapped files. */
void driver_placed(FILE *answer) {
  char line[4096], before[64] = "";
  int count = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  fputs(", \"placed\": null, \"loaded_backends\": [", answer);
  while (maps && fgets(line, sizeof line, maps)) {
    const char *found = strstr(line, "/libbackend_");
    char name[64];
    if (!found || sscanf(found, "/libbackend_%63[a-z0-9_].so", name) != 1) continue;
    if (strcmp(name, before)) fprintf(answer, "%s\"%s\"", count++ ? ", " : "", name);
    memcpy(before, name, sizeof before);
  }
  if (maps) fclose(maps);
  fputs("]", answer);
}

static tensor told(const char *stage, const tensorinfo *info) {
  if (info->dtype < 0 || info->dtype >= KNOWN_TYPES || info->rank < 0 || info->rank > 6) {
    fprintf(stderr, "tensor of type %d and rank %d is unknown\n", info->dtype, (int)info->rank);
    fail(stage, OTHER_STATUS);
  }
  tensor found = {.type = type_of[info->dtype], .bytes = element_bytes(type_of[info->dtype])};
  for (int d = 0; d < info->rank; d++) {
    if (info->dims[d] <= 0) found.bytes = 0; /* known only after a run */
    if (__builtin_mul_overflow(found.bytes, (size_t)info->dims[d], &found.bytes)) fail(stage, OUT_OF_MEMORY);
  }
  return found;
}

int driver_input(int i, tensor *input) {
  uint32_t count;
  tensorinfo info;
  check("inputs", nnfw.input_size(session, &count));
  if (i >= (int)count) return 0;
  check("inputs", nnfw.input_tensorinfo(session, (uint32_t)i, &info));
  if (input->data) check("inputs", nnfw.set_input(session, (uint32_t)i, info.dtype, input->data, input->bytes));
  else *input = told("inputs", &info);
  return 1;
}

static void set_output(int i, size_t bytes) {
  free(outputs[i].data);
  outputs[i].bytes = bytes;
  outputs[i].data = calloc(1, bytes ? bytes : 1);
  if (!outputs[i].data) fail("outputs", OUT_OF_MEMORY);
  check("outputs", nnfw.set_output(session, (uint32_t)i, outputs[i].dtype, outputs[i].data, bytes));
}

int driver_output(int i, tensor *output) {
  uint32_t count;
  tensorinfo info;
  check("outputs", nnfw.output_size(session, &count));
  if (i >= (int)count || i >= MAX_TENSORS) return i < (int)count;
  check("outputs", nnfw.output_tensorinfo(session, (uint32_t)i, &info));
  *output = told("outputs", &info);
  if (!outputs[i].data) {
    outputs[i].dtype = info.dtype;
    set_output(i, output->bytes ? output->bytes : FIRST_OUTPUT_BYTES);
  }
  if (!output->bytes || output->bytes > outputs[i].bytes) output->bytes = outputs[i].bytes;
  output->data = outputs[i].data;
  return 1;
}

/* The shape of a dynamic output is known only by running: its buffer grows until it fits. */
int driver_run(void) {
  int status = nnfw.run(session);
  if (status != NNFW_INSUFFICIENT_OUTPUT) return neutral(status);
  for (int i = 0; i < MAX_TENSORS && outputs[i].data; i++) {
    if (outputs[i].bytes >= MAX_OUTPUT_BYTES) return status;
    set_output(i, outputs[i].bytes * 2);
  }
  return RUN_AGAIN;
}

/* Traced by variables of the environment, into a file. */
void driver_profile(FILE *answer, long runs) {
  (void)runs;
  fputs(", \"operations\": []", answer);
}

void driver_close(void) { nnfw.close_session(session); }
