/* LiteRT through the C API of libLiteRt.so, with a delegate of its own for each set of operations.
 *
 * LiteRT applies the delegates of registered accelerators in the order of registration; each asks the
 * interpreter for its plan and claims what it can. So each set of operations gets an accelerator that
 * hands out LiteRT's own XNNPACK delegate, whose Prepare sees a plan with these operations alone. What
 * it claimed is read back; the rest is left to the builtin kernels.
 *
 * There are no headers of this API to build against: types and positions below are those of versions
 * 2.1.6 to 2.3.0, on 64 bits. */
#include "driver.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LITERT_OUT_OF_MEMORY 2
/* Environment options, and the types of their values. */
#define AUTO_REGISTER 24
#define LOG_SEVERITY 25
#define LIBRARY_FOLDER 22
#define ONLY_ERRORS 3
#define INTEGER 2
#define STRING 8
#define CPU 1
#define GPU 2
#define HOST_MEMORY 1
enum { READ = 0, WRITE = 1 };
/* Types of events in a profile. */
#define BUILTIN_INVOKED 2
#define DELEGATE_STEP 8

/* How options of a backend begin that is the GPU's. */
#define GPU_OPTIONS "webgpu"
#define GPU_LIBRARY "/libLiteRtWebGpuAccelerator.so"

typedef void *handle;
typedef struct {
  uint32_t rank; /* its low 7 bits */
  int32_t dims[8];
  uint32_t strides[8];
} layout;
typedef struct {
  int element;
  layout layout;
} tensor_type;
typedef struct {
  const char *tag;
  int type;
  uint64_t start_us, elapsed_us;
  size_t memory[6];
  uint64_t number, subgraph;
  int source;
} profile_event;

/* Of the interpreter underneath, as far as it is used. */
typedef struct {
  int size, data[];
} int_array;
typedef struct context context;
typedef struct delegate delegate;
struct delegate {
  void *data;
  int (*prepare)(context *, delegate *);
};
struct context {
  size_t tensors_size;
  int (*get_plan)(context *, int_array **);
  void *tensors, *impl, *resize_tensor, *report_error, *add_tensors;
  int (*get_node)(context *, int, void *, void *);
};
typedef struct {
  delegate *owner;
  int_array *replaced; /* operations of the file that it stands for */
} delegate_params;
typedef struct {
  int_array *inputs, *outputs, *intermediates, *temporaries;
  void *user_data;
  delegate_params *builtin_data;
  const void *custom_data;
  int custom_size;
  delegate *delegate;
} node;
typedef struct {
  char header[8];
  void *get_name, *get_version, *get_hardware, *is_jit;
  int (*create_delegate)(void *runtime, handle env, handle accelerator, handle options, handle *wrapper);
} accelerator_definition;

#define FUNCTIONS(F)                                                                      \
  F(CreateEnvironment, (int, const void *, handle *))                                     \
  F(CreateModelFromFile, (handle, const char *, handle *))                                \
  F(CreateModelFromFd, (void))                                                            \
  F(CreateOptions, (handle *))                                                            \
  F(SetOptionsHardwareAccelerators, (handle, int))                                        \
  F(CreateOpaqueOptions, (const char *, void *, void (*)(void *), handle *))              \
  F(AddOpaqueOptions, (handle, handle))                                                   \
  F(CreateCompiledModel, (handle, handle, handle, handle *))                              \
  F(GetNumModelSignatures, (handle, size_t *))                                            \
  F(GetModelSignature, (handle, size_t, handle *))                                        \
  F(GetSignatureSubgraph, (handle, handle *))                                             \
  F(GetModelSubgraph, (handle, size_t, handle *))                                         \
  F(GetNumSubgraphOps, (handle, size_t *))                                                \
  F(GetNumSubgraphInputs, (handle, size_t *))                                             \
  F(GetNumSubgraphOutputs, (handle, size_t *))                                            \
  F(GetSubgraphInput, (handle, size_t, handle *))                                         \
  F(GetSubgraphOutput, (handle, size_t, handle *))                                        \
  F(GetNumSignatureInputs, (handle, size_t *))                                            \
  F(GetNumSignatureOutputs, (handle, size_t *))                                           \
  F(GetSignatureInputTensorByIndex, (handle, size_t, handle *))                           \
  F(GetSignatureOutputTensorByIndex, (handle, size_t, handle *))                          \
  F(GetRankedTensorType, (handle, tensor_type *))                                         \
  F(GetCompiledModelInputBufferRequirements, (handle, size_t, size_t, handle *))          \
  F(GetCompiledModelOutputBufferRequirements, (handle, size_t, size_t, handle *))         \
  F(CompiledModelResizeInputTensor, (handle, size_t, size_t, const int *, size_t))        \
  F(GetCompiledModelOutputTensorLayouts, (handle, size_t, size_t, layout *, _Bool))       \
  F(GetTensorBufferRequirementsBufferSize, (handle, size_t *))                            \
  F(CreateManagedTensorBuffer, (handle, int, const tensor_type *, size_t, handle *))      \
  F(LockTensorBuffer, (handle, void **, int))                                             \
  F(UnlockTensorBuffer, (handle))                                                         \
  F(RunCompiledModel, (handle, size_t, size_t, handle *, size_t, handle *))               \
  F(CompiledModelGetProfiler, (handle, handle *))                                         \
  F(StartProfiler, (handle))                                                              \
  F(StopProfiler, (handle))                                                               \
  F(ResetProfiler, (handle))                                                              \
  F(GetNumProfilerEvents, (handle, int *))                                                \
  F(GetProfilerEvents, (handle, int, profile_event *))                                    \
  F(CreateAccelerator, (handle *))                                                        \
  F(RegisterAccelerator, (handle, handle, void *, void (*)(void *)))                      \
  F(GetNumAccelerators, (handle, size_t *))                                               \
  F(GetAccelerator, (handle, size_t, handle *))                                           \
  F(SetAcceleratorGetName, (handle, void *))                                              \
  F(SetAcceleratorGetVersion, (handle, void *))                                           \
  F(SetAcceleratorGetHardwareSupport, (handle, void *))                                   \
  F(SetIsAcceleratorDelegateResponsibleForJitCompilation, (handle, void *))               \
  F(SetDelegateFunction, (handle, void *))                                                \
  F(UnwrapDelegate, (handle, delegate **))

#define DECLARE(name, arguments) static int(*lrt_##name) arguments;
FUNCTIONS(DECLARE)
#undef DECLARE

static const accelerator_definition *xnnpack, *gpu;
static char gpu_folder[4096]; /* of the runtime's library, beside which the GPU's may lie */
static handle environment, model, compiled, signature, subgraph;
static size_t signature_number, input_count, output_count;
static size_t input_places[MAX_TENSORS], output_places[MAX_TENSORS]; /* of the subgraph's, in the signature */
static handle inputs[MAX_TENSORS], outputs[MAX_TENSORS];
static tensor_type input_types[MAX_TENSORS];
static layout output_layouts[MAX_TENSORS]; /* in the signature's order */

typedef struct {
  const given_backend *backend;
  int position; /* of the backend, in the request's place */
  delegate *delegate;
  int (*prepare)(context *, delegate *);
} set;
static set sets[MAX_BACKENDS];
static const given_place *places;
static int set_count, made_count;

/* What was claimed: one partition each, in the order of being claimed. */
typedef struct {
  const set *by;
  int subgraph, node, size;
  int *operations;
} partition;
static partition *partitions;
static int partition_count;
static int_array *last_plan; /* of the first subgraph, after the last delegate: the order of execution */

static int (*real_plan)(context *, int_array **);
static const set *current;
static int current_subgraph;
static const context *contexts[MAX_SUBGRAPHS]; /* of the subgraphs, as far as they were seen */
static int_array *shortened;

static void check(const char *stage, int status) {
  if (status) fail(stage, status == LITERT_OUT_OF_MEMORY ? OUT_OF_MEMORY : status);
}

static void *room(size_t bytes) {
  void *space = calloc(1, bytes ? bytes : 1);
  if (!space) fail("place", OUT_OF_MEMORY);
  return space;
}

const char *driver_open(const request *asked) {
  void *library = open_library(asked->library);
  const char *end = strrchr(asked->library, '/');
  snprintf(gpu_folder, sizeof gpu_folder, "%.*s", end ? (int)(end - asked->library) : 1, end ? asked->library : ".");
#define BIND(name, arguments)                                                                          \
  *(void **)&lrt_##name = dlsym(library, "LiteRt" #name);                                              \
  if (!lrt_##name) {                                                                                   \
    fprintf(stderr, "%s: no symbol LiteRt%s: versions 2.1.6 to 2.3.0 are known to work\n", asked->library, #name); \
    fail("open_library", OTHER_STATUS);                                                                \
  }
  FUNCTIONS(BIND)
#undef BIND
  accelerator_definition **linked = dlsym(library, "LiteRtStaticLinkedAcceleratorCpuDef");
  xnnpack = linked ? *linked : NULL;
  if (!xnnpack) {
    fprintf(stderr, "%s: no XNNPACK in it: versions 2.1.6 to 2.3.0 are known to work\n", asked->library);
    fail("open_library", OTHER_STATUS);
  }
  return "";
}

static int is_on_gpu(const given_backend *backend) {
  return backend->options && !strncmp(backend->options, GPU_OPTIONS, strlen(GPU_OPTIONS));
}

/* The GPU's accelerator has a library of its own beside the runtime's. */
static void open_gpu(void) {
  char file[sizeof gpu_folder + sizeof GPU_LIBRARY];
  snprintf(file, sizeof file, "%s" GPU_LIBRARY, gpu_folder);
  gpu = dlsym(open_library(file), "LiteRtAcceleratorImpl");
  if (gpu) return;
  fprintf(stderr, "%s: no symbol LiteRtAcceleratorImpl: versions 2.1.6 to 2.3.0 are known to work\n", file);
  fail("open_library", OTHER_STATUS);
}

/* An option is {int tag; {int type; 8 bytes of value}}, the value aligned to 8. The GPU's accelerator is
 * registered by the runtime itself, which brings what its buffers need. */
static void make_environment(void) {
  struct {
    int tag;
    struct {
      int type;
      union {
        int64_t number;
        const char *text;
      } value;
    } any;
  } options[] = {{AUTO_REGISTER, {INTEGER, {.number = gpu ? GPU : 0}}},
                 {LOG_SEVERITY, {INTEGER, {.number = ONLY_ERRORS}}},
                 {LIBRARY_FOLDER, {STRING, {.text = gpu_folder}}}};
  check("create_environment", lrt_CreateEnvironment(gpu ? 3 : 2, options, &environment));
}

/* The signature of the first subgraph, which is the one that is told of; a model without signatures
 * has a default one. */
static void find_signature(void) {
  size_t count;
  check("load", lrt_GetModelSubgraph(model, 0, &subgraph));
  check("load", lrt_GetNumModelSignatures(model, &count));
  for (signature_number = 0; signature_number < count; signature_number++) {
    handle of;
    check("load", lrt_GetModelSignature(model, signature_number, &signature));
    check("load", lrt_GetSignatureSubgraph(signature, &of));
    if (of == subgraph) return;
  }
  fputs("no signature of the model runs its first subgraph\n", stderr);
  fail("load", OTHER_STATUS);
}

/* Signatures have an order of their own. */
static void find_places(void) {
  check("load", lrt_GetNumSubgraphInputs(subgraph, &input_count));
  check("load", lrt_GetNumSubgraphOutputs(subgraph, &output_count));
  if (input_count > MAX_TENSORS || output_count > MAX_TENSORS) refuse_request("more than %d inputs or outputs", MAX_TENSORS);
  for (int way = 0; way < 2; way++) {
    size_t wanted = way ? output_count : input_count, there;
    check("load", way ? lrt_GetNumSignatureOutputs(signature, &there) : lrt_GetNumSignatureInputs(signature, &there));
    for (size_t i = 0; i < wanted; i++) {
      handle own, other = NULL;
      size_t j = 0;
      check("load", way ? lrt_GetSubgraphOutput(subgraph, i, &own) : lrt_GetSubgraphInput(subgraph, i, &own));
      for (; j < there && other != own; j++)
        check("load", way ? lrt_GetSignatureOutputTensorByIndex(signature, j, &other) : lrt_GetSignatureInputTensorByIndex(signature, j, &other));
      if (other != own || there != wanted) {
        fprintf(stderr, "the model's signature has other %s than its first subgraph\n", way ? "outputs" : "inputs");
        fail("load", OTHER_STATUS);
      }
      (way ? output_places : input_places)[i] = j - 1;
    }
  }
}

void driver_opened(FILE *answer) {
  char file[sizeof gpu_folder + sizeof GPU_LIBRARY];
  snprintf(file, sizeof file, "%s" GPU_LIBRARY, gpu_folder);
  fprintf(answer, ", \"has_gpu\": %s", access(file, R_OK) ? "false" : "true");
}

void driver_load(const request *asked) {
  for (int i = 0; i < asked->backend_count && !gpu; i++)
    if (is_on_gpu(&asked->backends[i])) open_gpu();
  make_environment();
  check("load", lrt_CreateModelFromFile(environment, asked->model, &model));
  find_signature();
  find_places();
}

/* The plan as the current set sees it. */
static int plan_of_set(context *of, int_array **plan) {
  int_array *whole;
  int status = real_plan(of, &whole);
  if (status) return status;
  const given_place *given = &places[current_subgraph];
  free(shortened);
  shortened = room(sizeof(int) * ((size_t)whole->size + 1));
  for (int i = 0; i < whole->size; i++) {
    int operation = whole->data[i];
    if (operation < given->count && given->backends[operation] >> current->position & 1) shortened->data[shortened->size++] = operation;
  }
  *plan = shortened;
  return 0;
}

static void read_back(context *of, delegate *by) {
  int_array *plan;
  if (real_plan(of, &plan)) return;
  if (!current_subgraph) {
    free(last_plan);
    last_plan = room(sizeof(int) * ((size_t)plan->size + 1));
    memcpy(last_plan, plan, sizeof(int) * ((size_t)plan->size + 1));
  }
  for (int i = 0; i < plan->size; i++) {
    node *found;
    void *registration;
    if (of->get_node(of, plan->data[i], &found, &registration) || found->delegate != by) continue;
    const int_array *replaced = found->builtin_data->replaced;
    partitions = realloc(partitions, sizeof *partitions * (size_t)(partition_count + 1));
    if (!partitions) fail("prepare", OUT_OF_MEMORY);
    partition *new = &partitions[partition_count++];
    *new = (partition){current, current_subgraph, plan->data[i], replaced->size, room(sizeof(int) * (size_t)replaced->size)};
    memcpy(new->operations, replaced->data, sizeof(int) * (size_t)replaced->size);
  }
}

/* Subgraphs come in their order, but for those that the runtime leaves out: the first delegate sees whole
 * plans, which tell them apart by their length. Whoever comes again is known. -1 where that fails. */
static int subgraph_of(context *of) {
  int_array *plan;
  int at = 0;
  while (at < MAX_SUBGRAPHS && contexts[at]) {
    if (contexts[at] == of) return at;
    at++;
  }
  if (of->get_plan(of, &plan)) return -1;
  for (; at < MAX_SUBGRAPHS; at++) {
    handle one;
    size_t operations;
    if (lrt_GetModelSubgraph(model, (size_t)at, &one) || lrt_GetNumSubgraphOps(one, &operations)) return -1;
    contexts[at] = of;
    if (operations == (size_t)plan->size) return at;
    contexts[at] = (context *)contexts; /* left out */
  }
  return -1;
}

/* Preparing again, as after a change of sizes, takes the place of what was. */
static void forget(const set *by) {
  int kept = 0;
  for (int i = 0; i < partition_count; i++)
    if (partitions[i].by != by || partitions[i].subgraph != current_subgraph) partitions[kept++] = partitions[i];
    else free(partitions[i].operations);
  partition_count = kept;
}

static int prepare_set(context *of, delegate *by) {
  set *mine = sets;
  while (mine < sets + made_count && mine->delegate != by) mine++;
  if (mine == sets + made_count || (current_subgraph = subgraph_of(of)) < 0) return 1;
  current = mine;
  forget(mine);
  real_plan = of->get_plan;
  of->get_plan = plan_of_set;
  int status = mine->prepare(of, by);
  of->get_plan = real_plan;
  if (!status) read_back(of, by);
  return status;
}

static int name_of(handle accelerator, const char **name) {
  (void)accelerator;
  *name = "set of operations";
  return 0;
}

static int version_of(handle accelerator, int *version) {
  (void)accelerator;
  version[0] = 1;
  version[1] = version[2] = 0;
  return 0;
}

static int hardware_of(handle accelerator, int *hardware) {
  (void)accelerator;
  *hardware = CPU;
  return 0;
}

static int compiles(handle accelerator, _Bool *does) {
  (void)accelerator;
  *does = 1;
  return 0;
}

static void keep(void *text) { (void)text; }

static int create_delegate(void *runtime, handle env, handle accelerator, handle options, handle *wrapper) {
  set *mine = &sets[made_count++];
  int is_gpu = is_on_gpu(mine->backend);
  handle own = options, opaque;
  if (!is_gpu) {
    check("place", lrt_CreateOptions(&own));
    check("place", lrt_SetOptionsHardwareAccelerators(own, CPU));
    check("place", lrt_CreateOpaqueOptions("xnnpack", (void *)mine->backend->options, keep, &opaque));
    check("place", lrt_AddOpaqueOptions(own, opaque));
  }
  int status = (is_gpu ? gpu : xnnpack)->create_delegate(runtime, env, accelerator, own, wrapper);
  if (status || !*wrapper) return status;
  check("place", lrt_UnwrapDelegate(*wrapper, &mine->delegate));
  mine->prepare = mine->delegate->prepare;
  mine->delegate->prepare = prepare_set;
  return 0;
}

/* The one accelerator that is there already: its delegate is to see operations of its set alone. */
static void place_on_gpu(const given_backend *backend) {
  handle accelerator;
  size_t there;
  check("place", lrt_GetNumAccelerators(environment, &there));
  if (!there) {
    fprintf(stderr, "%s: no Vulkan device that WebGPU can use\n", backend->name);
    fail("place", OTHER_STATUS);
  }
  check("place", lrt_GetAccelerator(environment, 0, &accelerator));
  check("place", lrt_SetDelegateFunction(accelerator, create_delegate));
}

static void place_on_cpu(void) {
  handle accelerator;
  check("place", lrt_CreateAccelerator(&accelerator));
  check("place", lrt_SetAcceleratorGetName(accelerator, name_of));
  check("place", lrt_SetAcceleratorGetVersion(accelerator, version_of));
  check("place", lrt_SetAcceleratorGetHardwareSupport(accelerator, hardware_of));
  check("place", lrt_SetDelegateFunction(accelerator, create_delegate));
  check("place", lrt_SetIsAcceleratorDelegateResponsibleForJitCompilation(accelerator, compiles));
  check("place", lrt_RegisterAccelerator(environment, accelerator, NULL, NULL));
}

/* A backend with options is a set of its own; one without is the builtin kernels. Delegates are made in
 * the order of registration, the GPU's first. */
void driver_place(const request *asked) {
  places = asked->place;
  for (int on_gpu = 1; on_gpu >= 0; on_gpu--)
    for (int i = 0; i < asked->backend_count; i++) {
      const given_backend *backend = &asked->backends[i];
      if (!backend->options || is_on_gpu(backend) != on_gpu) continue;
      sets[set_count++] = (set){.backend = backend, .position = i};
      if (on_gpu) place_on_gpu(backend);
      else place_on_cpu();
    }
}

static void add_options(handle options, const char *id, const char *text) {
  handle opaque;
  check("prepare", lrt_CreateOpaqueOptions(id, strdup(text), free, &opaque));
  check("prepare", lrt_AddOpaqueOptions(options, opaque));
}

static int is_resized;

/* A model may leave sizes of its inputs free, whatever stands in their place: they become those of the given data. */
static void fix_free_sizes(const request *asked) {
  for (size_t i = 0; i < input_count; i++) {
    handle own;
    layout *of = &input_types[i].layout;
    int is_other = 0;
    check("inputs", lrt_GetSubgraphInput(subgraph, i, &own));
    check("inputs", lrt_GetRankedTensorType(own, &input_types[i]));
    if ((int)i >= asked->input_count || asked->inputs[i].rank != (int)(of->rank & 127)) continue;
    for (unsigned d = 0; d < (of->rank & 127) && d < 8; d++) is_other |= of->dims[d] != (int32_t)asked->inputs[i].dims[d];
    if (!is_other) continue;
    for (unsigned d = 0; d < (of->rank & 127); d++) of->dims[d] = (int32_t)asked->inputs[i].dims[d];
    is_resized = 1;
    check("inputs", lrt_CompiledModelResizeInputTensor(compiled, signature_number, input_places[i], of->dims, of->rank & 127));
  }
}

void driver_prepare(const request *asked) {
  handle options;
  char threads[64];
  check("prepare", lrt_CreateOptions(&options));
  check("prepare", lrt_SetOptionsHardwareAccelerators(options, gpu ? CPU | GPU : CPU));
  /* Of the builtin kernels, too. */
  snprintf(threads, sizeof threads, "num_threads = %ld\n", asked->threads);
  add_options(options, "xnnpack", threads);
  if (asked->profile_runs) add_options(options, "runtime_options_string", "enable_profiling = true\n");
  check("prepare", lrt_CreateCompiledModel(environment, model, options, &compiled));
  fix_free_sizes(asked);
}

static void print_operations(FILE *answer, const partition *one) {
  if (one->subgraph) fprintf(answer, "%d:", one->subgraph);
  for (int k = 0, start = 0; k < one->size; k++) {
    if (k + 1 < one->size && one->operations[k + 1] == one->operations[k] + 1) continue;
    fprintf(answer, start ? ",%d" : "%d", one->operations[start]);
    if (k > start) fprintf(answer, "-%d", one->operations[k]);
    start = k + 1;
  }
}

void driver_placed(FILE *answer) {
  fputs(", \"placed\": [", answer);
  for (int i = 0; i < partition_count; i++) {
    fputs(i ? ", [\"" : "[\"", answer);
    print_operations(answer, &partitions[i]);
    fprintf(answer, "\", \"%s\"]", partitions[i].by->backend->name);
  }
  fprintf(answer, "], \"partitions\": %d", partition_count);
}

static const struct {
  int element, type;
} types[] = {{1, FLOAT32}, {2, INT32}, {3, UINT8}, {4, INT64}, {6, BOOL}, {7, INT16}, {9, INT8}, {10, FLOAT16}, {11, FLOAT64}};

/* The tensor's own bytes: a buffer may be larger. */
static tensor told(const char *stage, const tensor_type *type) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (types[i].element != type->element) continue;
    tensor found = {.type = types[i].type, .bytes = element_bytes(types[i].type)};
    for (unsigned d = 0; d < (type->layout.rank & 127) && d < 8; d++) {
      if (type->layout.dims[d] <= 0) found.bytes = 0; /* known only after a run */
      if (__builtin_mul_overflow(found.bytes, (size_t)type->layout.dims[d], &found.bytes)) fail(stage, OUT_OF_MEMORY);
    }
    return found;
  }
  fprintf(stderr, "tensors of type %d are not handled\n", type->element);
  fail(stage, OTHER_STATUS);
}

static handle buffer_of(const char *stage, int is_output, size_t place, const tensor_type *type) {
  handle required, buffer;
  size_t bytes;
  check(stage, is_output ? lrt_GetCompiledModelOutputBufferRequirements(compiled, signature_number, place, &required)
                         : lrt_GetCompiledModelInputBufferRequirements(compiled, signature_number, place, &required));
  check(stage, lrt_GetTensorBufferRequirementsBufferSize(required, &bytes));
  check(stage, lrt_CreateManagedTensorBuffer(environment, HOST_MEMORY, type, bytes, &buffer));
  return buffer;
}

int driver_input(int i, tensor *input) {
  void *there;
  if (i >= (int)input_count) return 0;
  if (!input->data) {
    *input = told("inputs", &input_types[i]);
    return 1;
  }
  handle *buffer = &inputs[input_places[i]];
  *buffer = buffer_of("inputs", 0, input_places[i], &input_types[i]);
  check("inputs", lrt_LockTensorBuffer(*buffer, &there, WRITE));
  memcpy(there, input->data, input->bytes);
  check("inputs", lrt_UnlockTensorBuffer(*buffer));
  free(input->data);
  return 1;
}

int driver_output(int i, tensor *output) {
  handle own;
  tensor_type type;
  if (i >= (int)output_count) return 0;
  check("outputs", lrt_GetSubgraphOutput(subgraph, (size_t)i, &own));
  check("outputs", lrt_GetRankedTensorType(own, &type));
  handle *buffer = &outputs[output_places[i]];
  *output = told("outputs", &type);
  /* Sizes may be known only after a run. Where the model fixes them, asking would allocate everything again. */
  if (is_resized || !output->bytes) {
    check("outputs", lrt_GetCompiledModelOutputTensorLayouts(compiled, signature_number, output_count, output_layouts, !*buffer));
    type.layout = output_layouts[output_places[i]];
  }
  *output = told("outputs", &type);
  if (*buffer && !output->bytes) {
    fprintf(stderr, "output %d has a size that cannot be told\n", i);
    fail("outputs", OTHER_STATUS);
  }
  if (!*buffer) *buffer = buffer_of("outputs", 1, output_places[i], &type);
  else check("outputs", lrt_LockTensorBuffer(*buffer, &output->data, READ)); /* until a profile */
  return 1;
}

int driver_run(void) {
  int status = lrt_RunCompiledModel(compiled, signature_number, input_count, inputs, output_count, outputs);
  return status == LITERT_OUT_OF_MEMORY ? OUT_OF_MEMORY : status;
}

/* Partitions of the first subgraph in the order of execution; how many. */
static int in_order(const partition **found) {
  int count = 0;
  for (int i = 0; last_plan && i < last_plan->size; i++)
    for (int k = 0; k < partition_count; k++)
      if (!partitions[k].subgraph && partitions[k].node == last_plan->data[i]) found[count++] = &partitions[k];
  return count;
}

/* One run's events of the main subgraph (of loops there is not room for all): steps of partitions, which begin with number 0, and builtin operations. */
static int read_events(const profile_event *events, int count, int64_t *of_partitions, int partitions_here, int64_t *of_builtins,
                       long run, long runs, int operations) {
  int at = -1;
  for (int i = 0; i < count; i++) {
    int64_t ns = 1000 * (int64_t)events[i].elapsed_us;
    if (events[i].subgraph) continue;
    if (events[i].type == DELEGATE_STEP) {
      if (!events[i].number) at++;
      if (at < 0 || at >= partitions_here) return 0;
      of_partitions[at * runs + run] += ns;
    } else if (events[i].type == BUILTIN_INVOKED && events[i].number < (uint64_t)operations) {
      int64_t *sum = &of_builtins[(long)events[i].number * runs + run];
      *sum = (*sum < 0 ? 0 : *sum) + ns;
    }
  }
  return at + 1 == partitions_here;
}

static void print_times(FILE *answer, const char *backend, const int64_t *ns, long runs) {
  fprintf(answer, "\", \"backend\": \"%s\", \"ns\": [", backend);
  for (long run = 0; run < runs; run++) fprintf(answer, run ? ", %lld" : "%lld", (long long)ns[run]);
  fputs("]}", answer);
}

/* Where steps cannot be told apart, nothing is said. */
void driver_profile(FILE *answer, long runs) {
  handle profiler;
  size_t operations;
  int told_apart = 1, printed = 0;
  check("profile", lrt_GetNumSubgraphOps(subgraph, &operations));
  const partition **order = room(sizeof *order * ((size_t)partition_count + 1));
  int count = in_order(order);
  int64_t *of_partitions = room(sizeof *of_partitions * ((size_t)count + 1) * (size_t)runs);
  int64_t *of_builtins = room(sizeof *of_builtins * (operations + 1) * (size_t)runs);
  for (size_t i = 0; i < operations * (size_t)runs; i++) of_builtins[i] = -1;
  for (size_t i = 0; i < output_count; i++) check("profile", lrt_UnlockTensorBuffer(outputs[i]));
  check("profile", lrt_CompiledModelGetProfiler(compiled, &profiler));
  for (long run = 0; run < runs; run++) {
    int events_count;
    check("profile", lrt_ResetProfiler(profiler));
    check("profile", lrt_StartProfiler(profiler));
    check("profile", driver_run());
    check("profile", lrt_StopProfiler(profiler));
    check("profile", lrt_GetNumProfilerEvents(profiler, &events_count));
    profile_event *events = room(sizeof *events * ((size_t)events_count + 1));
    check("profile", lrt_GetProfilerEvents(profiler, events_count, events));
    told_apart &= read_events(events, events_count, of_partitions, count, of_builtins, run, runs, (int)operations);
    free(events);
  }
  fputs(", \"resolution_ns\": 1000, \"operations\": [", answer);
  for (int i = 0; told_apart && i < count; i++) {
    fputs(printed++ ? ", {\"at\": \"" : "{\"at\": \"", answer);
    print_operations(answer, order[i]);
    print_times(answer, order[i]->by->backend->name, of_partitions + i * runs, runs);
  }
  for (size_t i = 0; i < operations; i++) {
    if (of_builtins[i * (size_t)runs] < 0) continue;
    fprintf(answer, "%s{\"at\": \"%zu", printed++ ? ", " : "", i);
    print_times(answer, "", of_builtins + i * (size_t)runs, runs);
  }
  fputs("]", answer);
}

/* Not by returning: destructors would free what XNNPACK still holds. */
void driver_close(void) {
  fflush(stderr);
  _Exit(0);
}
