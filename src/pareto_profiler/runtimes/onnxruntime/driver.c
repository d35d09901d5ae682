/* ONNX Runtime through its C API. What runs where stands in the model file, which the host has rewritten: a
 * node whose weights can be overridden keeps them as they are. The session says which those are.
 *
 * OrtGetApiBase gives a table of functions that is only ever appended to, so no header is needed: positions
 * below are those of every version since 1.17, and of 1.24 for what is asked of providers. */
#include "driver.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The table is asked for by the version that has all positions used here; a newer library has them, too. */
#define API_VERSION 17
#define API_THAT_TELLS_PROVIDERS 24
#define ONLY_FATAL 4 /* errors come as a status, too */
#define ALL_OPTIMIZATIONS 99
#define ARENA 1
#define DEFAULT_MEMORY 0
#define MAX_RANK_THERE 16

typedef void *handle;
typedef struct {
  void *const *(*get_api)(uint32_t version);
  const char *(*get_version)(void);
} api_base;

static void *library;
static void *const *api;
static const char *version;
static int tells_providers, has_provider;

/* Position in the table, name, arguments; each returns a status, NULL for success. */
#define FUNCTIONS(F)                                                                                                       \
  F(3, CreateEnv, (int, const char *, handle *))                                                                           \
  F(7, CreateSession, (handle, const char *, handle, handle *))                                                            \
  F(9, Run, (handle, handle, const char *const *, const handle *, size_t, const char *const *, size_t, handle *))          \
  F(10, CreateSessionOptions, (handle *))                                                                                  \
  F(11, SetOptimizedModelFilePath, (handle, const char *))                                                                 \
  F(14, EnableProfiling, (handle, const char *))                                                                           \
  F(17, DisableMemPattern, (handle))                                                                                       \
  F(19, DisableCpuMemArena, (handle))                                                                                      \
  F(23, SetSessionGraphOptimizationLevel, (handle, int))                                                                   \
  F(24, SetIntraOpNumThreads, (handle, int))                                                                               \
  F(25, SetInterOpNumThreads, (handle, int))                                                                               \
  F(30, SessionGetInputCount, (handle, size_t *))                                                                          \
  F(31, SessionGetOutputCount, (handle, size_t *))                                                                         \
  F(32, SessionGetOverridableInitializerCount, (handle, size_t *))                                                         \
  F(33, SessionGetInputTypeInfo, (handle, size_t, handle *))                                                               \
  F(34, SessionGetOutputTypeInfo, (handle, size_t, handle *))                                                              \
  F(36, SessionGetInputName, (handle, size_t, handle, char **))                                                            \
  F(37, SessionGetOutputName, (handle, size_t, handle, char **))                                                           \
  F(38, SessionGetOverridableInitializerName, (handle, size_t, handle, char **))                                           \
  F(49, CreateTensorWithDataAsOrtValue, (handle, void *, size_t, const int64_t *, size_t, int, handle *))                  \
  F(50, IsTensor, (handle, int *))                                                                                         \
  F(51, GetTensorMutableData, (handle, void **))                                                                           \
  F(55, CastTypeInfoToTensorInfo, (handle, handle *))                                                                      \
  F(60, GetTensorElementType, (handle, int *))                                                                             \
  F(61, GetDimensionsCount, (handle, size_t *))                                                                            \
  F(62, GetDimensions, (handle, int64_t *, size_t))                                                                        \
  F(64, GetTensorShapeElementCount, (handle, size_t *))                                                                    \
  F(65, GetTensorTypeAndShape, (handle, handle *))                                                                         \
  F(69, CreateCpuMemoryInfo, (int, int, handle *))                                                                         \
  F(78, GetAllocatorWithDefaultOptions, (handle *))                                                                        \
  F(110, SessionEndProfiling, (handle, handle, char **))                                                                   \
  F(125, GetAvailableProviders, (char ***, int *))                                                                         \
  F(130, AddSessionConfigEntry, (handle, const char *, const char *))                                                      \
  F(216, SessionOptionsAppendExecutionProvider, (handle, const char *, const char *const *, const char *const *, size_t))

/* Which nodes each provider got, in groups. */
#define PROVIDER_FUNCTIONS(F)                                                                                              \
  F(407, Session_GetEpGraphAssignmentInfo, (handle, const handle **, size_t *))                                            \
  F(408, EpAssignedSubgraph_GetEpName, (handle, const char **))                                                            \
  F(409, EpAssignedSubgraph_GetNodes, (handle, const handle **, size_t *))                                                 \
  F(410, EpAssignedNode_GetName, (handle, const char **))

#define DECLARE(position, name, arguments) static handle(*ort_##name) arguments;
FUNCTIONS(DECLARE)
PROVIDER_FUNCTIONS(DECLARE)
#undef DECLARE
/* These two return no status. */
#define ERROR_CODE 1
#define ERROR_MESSAGE 2
#define RELEASE_STATUS 93

static handle environment, memory, allocator, session;
static size_t input_count, output_count;
static char *input_names[MAX_TENSORS], *output_names[MAX_TENSORS];
static handle inputs[MAX_TENSORS], outputs[MAX_TENSORS];
static struct {
  int type; /* of this API */
  size_t rank;
  int64_t dims[MAX_RANK_THERE];
} input_types[MAX_TENSORS];

/* Says why on stderr; a number that fail() understands. */
static int explained(handle status) {
  if (!status) return 0;
  const char *words = ((const char *(*)(handle))api[ERROR_MESSAGE])(status);
  int code = ((int (*)(handle))api[ERROR_CODE])(status);
  /* It has no code for it. */
  int is_memory = strstr(words, "bad_alloc") || strstr(words, "Failed to allocate memory");
  fprintf(stderr, "%s\n", words);
  ((void (*)(handle))api[RELEASE_STATUS])(status);
  return is_memory ? OUT_OF_MEMORY : code ? code : 1;
}

static void check(const char *stage, handle status) {
  int code = explained(status);
  if (code) fail(stage, code);
}

const char *driver_open(const request *asked) {
  library = open_library(asked->library);
  api_base *(*get_base)(void);
  *(void **)&get_base = dlsym(library, "OrtGetApiBase");
  api_base *base = get_base ? get_base() : NULL;
  api = base ? base->get_api(API_THAT_TELLS_PROVIDERS) : NULL;
  tells_providers = api != NULL;
  if (base && !api) api = base->get_api(API_VERSION);
  if (!api) {
    fprintf(stderr, "%s: no ONNX Runtime of version 1.%d or newer\n", asked->library, API_VERSION);
    fail("open_library", OTHER_STATUS);
  }
#define BIND(position, name, arguments) *(void **)&ort_##name = api[position];
  FUNCTIONS(BIND)
  if (tells_providers) {
    PROVIDER_FUNCTIONS(BIND)
  }
#undef BIND
  version = base->get_version();
  /* Before the memory of a model is counted: it is 12 MB, whatever the model. */
  if (!asked->version_only) check("open", ort_CreateEnv(ONLY_FATAL, "pareto-profiler", &environment));
  return version;
}

static void print_name(FILE *answer, const char *name) {
  fputc('"', answer);
  for (const unsigned char *at = (const unsigned char *)name; *at; at++)
    if (*at < 0x20 || *at == '"' || *at == '\\') fprintf(answer, "\\u%04x", *at);
    else fputc(*at, answer);
  fputc('"', answer);
}

/* The execution providers that the library was built with. */
void driver_opened(FILE *answer) {
  char **names;
  int count;
  check("open", ort_GetAvailableProviders(&names, &count));
  fputs(", \"providers\": [", answer);
  for (int i = 0; i < count; i++) {
    if (i) fputs(", ", answer);
    print_name(answer, names[i]);
  }
  fputs("]", answer);
}

/* A session loads and prepares in one: all of it is preparing, since it depends on what runs where. */
void driver_load(const request *asked) {
  FILE *there = fopen(asked->model, "re");
  if (!there) refuse_request("%s: cannot be read", asked->model);
  fclose(there);
  check("load", ort_CreateCpuMemoryInfo(ARENA, DEFAULT_MEMORY, &memory));
  check("load", ort_GetAllocatorWithDefaultOptions(&allocator));
}

void driver_place(const request *asked) { (void)asked; }

/* Some have a function of their own, which the library exports only where it has them. */
static void append_provider(handle options, const char *name) {
  char symbol[128];
  handle (*append)(handle, int);
  snprintf(symbol, sizeof symbol, "OrtSessionOptionsAppendExecutionProvider_%s", name);
  *(void **)&append = dlsym(library, symbol);
  check("prepare", append ? append(options, 0) : ort_SessionOptionsAppendExecutionProvider(options, name, NULL, NULL, 0));
  has_provider = 1;
}

/* Names with a space between them. */
static void append_providers(handle options, const char *names) {
  char *copy = strdup(names), *rest = copy;
  if (!copy) fail("prepare", OUT_OF_MEMORY);
  for (char *name; (name = strsep(&rest, " "));) append_provider(options, name);
  free(copy);
}

static void set_option(handle options, const char *key, const char *value) {
  if (!strcmp(key, "level")) check("prepare", ort_SetSessionGraphOptimizationLevel(options, atoi(value)));
  else if (!strcmp(key, "save")) check("prepare", ort_SetOptimizedModelFilePath(options, value));
  else if (!strcmp(key, "provider")) append_providers(options, value);
  else if (!strcmp(key, "arena")) {
    if (!strcmp(value, "off")) check("prepare", ort_DisableCpuMemArena(options));
  } else if (!strcmp(key, "memory_pattern")) {
    if (!strcmp(value, "off")) check("prepare", ort_DisableMemPattern(options));
  } else check("prepare", ort_AddSessionConfigEntry(options, key, value));
}

/* Lines of "key = value". */
static void set_options(handle options, const char *text) {
  char *copy = strdup(text), *rest = copy;
  if (!copy) fail("prepare", OUT_OF_MEMORY);
  for (char *line; (line = strsep(&rest, "\n"));) {
    char *equals = strstr(line, " = ");
    if (!equals) continue;
    *equals = 0;
    set_option(options, line, equals + 3);
  }
  free(copy);
}

static void read_input(const request *asked, size_t i) {
  handle info, tensor_info = NULL;
  check("inputs", ort_SessionGetInputName(session, i, allocator, &input_names[i]));
  check("inputs", ort_SessionGetInputTypeInfo(session, i, &info));
  check("inputs", ort_CastTypeInfoToTensorInfo(info, &tensor_info));
  if (!tensor_info) {
    fprintf(stderr, "input %s is no tensor\n", input_names[i]);
    fail("inputs", OTHER_STATUS);
  }
  check("inputs", ort_GetTensorElementType(tensor_info, &input_types[i].type));
  check("inputs", ort_GetDimensionsCount(tensor_info, &input_types[i].rank));
  if (input_types[i].rank > MAX_RANK_THERE) refuse_request("input %zu has %zu dimensions", i, input_types[i].rank);
  check("inputs", ort_GetDimensions(tensor_info, input_types[i].dims, input_types[i].rank));
  /* What the model leaves free is as large as what is given. */
  if ((int)i >= asked->input_count || (size_t)asked->inputs[i].rank != input_types[i].rank) return;
  for (size_t d = 0; d < input_types[i].rank; d++)
    if (input_types[i].dims[d] < 0) input_types[i].dims[d] = asked->inputs[i].dims[d];
}

void driver_prepare(const request *asked) {
  handle options;
  check("prepare", ort_CreateSessionOptions(&options));
  check("prepare", ort_SetIntraOpNumThreads(options, (int)asked->threads));
  check("prepare", ort_SetInterOpNumThreads(options, 1));
  check("prepare", ort_SetSessionGraphOptimizationLevel(options, ALL_OPTIMIZATIONS));
  for (int i = 0; i < asked->backend_count; i++)
    if (asked->backends[i].options) set_options(options, asked->backends[i].options);
  if (asked->profile_runs) check("prepare", ort_EnableProfiling(options, asked->model));
  check("prepare", ort_CreateSession(environment, asked->model, options, &session));
  check("prepare", ort_SessionGetInputCount(session, &input_count));
  check("prepare", ort_SessionGetOutputCount(session, &output_count));
  if (input_count > MAX_TENSORS || output_count > MAX_TENSORS) refuse_request("more than %d inputs or outputs", MAX_TENSORS);
  for (size_t i = 0; i < input_count; i++) read_input(asked, i);
  for (size_t i = 0; i < output_count; i++) check("prepare", ort_SessionGetOutputName(session, i, allocator, &output_names[i]));
}

/* Pairs of a node's name and the provider that got it. */
static void print_providers(FILE *answer) {
  const handle *groups, *nodes;
  size_t group_count, node_count, printed = 0;
  const char *provider, *name;
  fputs(", \"placed\": [", answer);
  check("prepare", ort_Session_GetEpGraphAssignmentInfo(session, &groups, &group_count));
  for (size_t g = 0; g < group_count; g++) {
    check("prepare", ort_EpAssignedSubgraph_GetEpName(groups[g], &provider));
    check("prepare", ort_EpAssignedSubgraph_GetNodes(groups[g], &nodes, &node_count));
    for (size_t n = 0; n < node_count; n++) {
      check("prepare", ort_EpAssignedNode_GetName(nodes[n], &name));
      fputs(printed++ ? ", [" : "[", answer);
      print_name(answer, name);
      fputs(", ", answer);
      print_name(answer, provider);
      fputs("]", answer);
    }
  }
  fputs("]", answer);
}

/* What the session takes for weights that can be overridden. */
void driver_placed(FILE *answer) {
  size_t count;
  if (has_provider && tells_providers) print_providers(answer);
  check("prepare", ort_SessionGetOverridableInitializerCount(session, &count));
  fputs(", \"overridable\": [", answer);
  for (size_t i = 0; i < count; i++) {
    char *name;
    check("prepare", ort_SessionGetOverridableInitializerName(session, i, allocator, &name));
    if (i) fputs(", ", answer);
    print_name(answer, name);
  }
  fputs("]", answer);
}

static const struct {
  int there, type;
} types[] = {{1, FLOAT32}, {2, UINT8}, {3, INT8},     {5, INT16},   {6, INT32},
             {7, INT64},   {9, BOOL},  {10, FLOAT16}, {11, FLOAT64}, {12, UINT32}};

static int neutral_type(const char *stage, int there) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].there == there) return types[i].type;
  fprintf(stderr, "tensors of type %d are not handled\n", there);
  fail(stage, OTHER_STATUS);
}

int driver_input(int i, tensor *input) {
  if (i >= (int)input_count) return 0;
  if (!input->data) {
    *input = (tensor){.type = neutral_type("inputs", input_types[i].type)};
    input->bytes = element_bytes(input->type);
    for (size_t d = 0; d < input_types[i].rank; d++) {
      if (input_types[i].dims[d] < 0) refuse_request("input %d has free sizes, and none are given", i);
      if (__builtin_mul_overflow(input->bytes, (size_t)input_types[i].dims[d], &input->bytes)) fail("inputs", OUT_OF_MEMORY);
    }
    return 1;
  }
  check("inputs", ort_CreateTensorWithDataAsOrtValue(memory, input->data, input->bytes, input_types[i].dims, input_types[i].rank,
                                                     input_types[i].type, &inputs[i]));
  return 1;
}

int driver_output(int i, tensor *output) {
  handle info, shape = NULL;
  int type, is_tensor = 1;
  size_t count;
  if (i >= (int)output_count) return 0;
  if (!outputs[i]) { /* sizes are known after a run */
    check("outputs", ort_SessionGetOutputTypeInfo(session, (size_t)i, &info));
    check("outputs", ort_CastTypeInfoToTensorInfo(info, &shape));
    if (shape) check("outputs", ort_GetTensorElementType(shape, &type));
    else is_tensor = 0;
  } else {
    check("outputs", ort_IsTensor(outputs[i], &is_tensor));
    if (is_tensor) check("outputs", ort_GetTensorTypeAndShape(outputs[i], &shape));
  }
  if (!is_tensor) {
    fprintf(stderr, "output %s is no tensor\n", output_names[i]);
    fail("outputs", OTHER_STATUS);
  }
  check("outputs", ort_GetTensorElementType(shape, &type));
  *output = (tensor){.type = neutral_type("outputs", type)};
  if (!outputs[i]) return 1;
  check("outputs", ort_GetTensorShapeElementCount(shape, &count));
  check("outputs", ort_GetTensorMutableData(outputs[i], &output->data));
  output->bytes = count * element_bytes(output->type);
  return 1;
}

/* The first run makes the outputs; later ones write to the same. */
int driver_run(void) {
  return explained(ort_Run(session, NULL, (const char *const *)input_names, inputs, input_count,
                           (const char *const *)output_names, output_count, outputs));
}

/* The session writes a file of its own, which the host reads. */
void driver_profile(FILE *answer, long runs) {
  char *file;
  for (long run = 0; run < runs; run++)
    if (driver_run()) fail("profile", OTHER_STATUS);
  check("profile", ort_SessionEndProfiling(session, allocator, &file));
  fputs(", \"file\": ", answer);
  print_name(answer, file);
}

void driver_close(void) {
  fflush(stderr);
  _Exit(0);
}
