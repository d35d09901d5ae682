/* ncnn through its C API, which builds of libncnn.so have and the wheel has not. What a layer may take stands
 * in the .param file, which the host has written; the rest are lines of "key = value". */
#include "driver.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 16
#define NO_MEMORY -100

typedef void *handle;

#define FUNCTIONS(F)                                                              \
  F(const char *, version, (void))                                                \
  F(handle, net_create, (void))                                                   \
  F(handle, net_get_option, (handle net))                                         \
  F(int, net_load_param, (handle net, const char *path))                          \
  F(int, net_load_model, (handle net, const char *path))                          \
  F(void, option_set_num_threads, (handle option, int count))                     \
  F(handle, extractor_create, (handle net))                                       \
  F(void, extractor_destroy, (handle extractor))                                  \
  F(int, extractor_input, (handle extractor, const char *name, handle mat))       \
  F(int, extractor_extract, (handle extractor, const char *name, handle *mat))    \
  F(handle, mat_create_1d, (int w, handle allocator))                             \
  F(handle, mat_create_2d, (int w, int h, handle allocator))                      \
  F(handle, mat_create_3d, (int w, int h, int c, handle allocator))               \
  F(handle, mat_create_4d, (int w, int h, int d, int c, handle allocator))        \
  F(void, mat_destroy, (handle mat))                                              \
  F(int, mat_get_w, (handle mat))                                                 \
  F(int, mat_get_h, (handle mat))                                                 \
  F(int, mat_get_d, (handle mat))                                                 \
  F(int, mat_get_c, (handle mat))                                                 \
  F(int, mat_get_dims, (handle mat))                                              \
  F(size_t, mat_get_elemsize, (handle mat))                                       \
  F(handle, mat_get_data, (handle mat))                                           \
  F(handle, mat_get_channel_data, (handle mat, int channel))

#define DECLARE(result, name, arguments) static result(*ncnn_##name) arguments;
FUNCTIONS(DECLARE)
#undef DECLARE

static handle library, net;
static const char *weights;
static char *input_names[MAX_TENSORS], *output_names[MAX_TENSORS], **layer_tops;
static struct {
  char *name;
  int value;
} options[MAX_OPTIONS];
static size_t output_bytes[MAX_TENSORS]; /* 0 where they are not known */
static int input_count, output_count, option_count, layer_count;
static handle inputs[MAX_TENSORS];
static given_input shapes[MAX_TENSORS];
static tensor outputs[MAX_TENSORS];

static void check(const char *stage, int status) {
  if (!status) return;
  fprintf(stderr, "%s: status %d\n", stage, status);
  fail(stage, status == NO_MEMORY ? OUT_OF_MEMORY : status);
}

const char *driver_open(const request *asked) {
  library = open_library(asked->library);
#define BIND(result, name, arguments)                                          \
  *(void **)&ncnn_##name = dlsym(library, "ncnn_" #name);                      \
  if (!ncnn_##name) {                                                          \
    fprintf(stderr, "%s: no ncnn_%s: no ncnn with its C API\n", asked->library, #name); \
    fail("open_library", OTHER_STATUS);                                        \
  }
  FUNCTIONS(BIND)
#undef BIND
  return ncnn_version();
}

void driver_opened(FILE *answer) { (void)answer; }

static void take(char *key, char *value) {
  if (!strcmp(key, "weights")) weights = value;
  else if (!strcmp(key, "layer")) layer_tops[layer_count++] = value;
  else if (!strcmp(key, "input") && input_count < MAX_TENSORS) input_names[input_count++] = value;
  else if (!strcmp(key, "output") && output_count < MAX_TENSORS) {
    char *space;
    output_bytes[output_count] = strtoul(value, &space, 10);
    output_names[output_count++] = space + (*space == ' ');
  } else if (!strncmp(key, "use_", 4) && option_count < MAX_OPTIONS) {
    options[option_count].name = key;
    options[option_count++].value = atoi(value);
  } else refuse_request("%s = %s: not taken", key, value);
}

static void read_options(const char *text) {
  char *rest = strdup(text);
  size_t lines = 1;
  for (const char *at = text; (at = strchr(at, '\n')); at++) lines++;
  layer_tops = calloc(lines, sizeof *layer_tops);
  if (!rest || !layer_tops) fail("load", OUT_OF_MEMORY);
  for (char *line; (line = strsep(&rest, "\n"));) {
    char *equals = strstr(line, " = ");
    if (!equals) continue;
    *equals = 0;
    take(line, equals + 3);
  }
}

void driver_load(const request *asked) {
  if (asked->backend_count < 1 || !asked->backends[0].options) refuse_request("expected options of the net");
  read_options(asked->backends[0].options);
  memcpy(shapes, asked->inputs, sizeof shapes);
  if (asked->input_count != input_count) refuse_request("%d inputs are given, the model has %d", asked->input_count, input_count);
  net = ncnn_net_create();
  handle option = ncnn_net_get_option(net);
  ncnn_option_set_num_threads(option, (int)asked->threads);
  for (int i = 0; i < option_count; i++) {
    char symbol[128];
    void (*set)(handle, int);
    snprintf(symbol, sizeof symbol, "ncnn_option_set_%s", options[i].name);
    *(void **)&set = dlsym(library, symbol);
    if (!set) {
      fprintf(stderr, "the C API of this ncnn has no option %s\n", options[i].name);
      fail("load", OTHER_STATUS);
    }
    set(option, options[i].value);
  }
  check("load_param", ncnn_net_load_param(net, asked->model));
}

void driver_place(const request *asked) { (void)asked; }

void driver_prepare(const request *asked) {
  (void)asked;
  check("load_model", ncnn_net_load_model(net, weights));
}

void driver_placed(FILE *answer) { (void)answer; }

static handle mat_of(const given_input *shape) {
  const long *n = shape->dims;
  switch (shape->rank) {
  case 1: return ncnn_mat_create_1d((int)n[0], NULL);
  case 2: return ncnn_mat_create_2d((int)n[1], (int)n[0], NULL);
  case 3: return ncnn_mat_create_3d((int)n[2], (int)n[1], (int)n[0], NULL);
  case 4: return ncnn_mat_create_4d((int)n[3], (int)n[2], (int)n[1], (int)n[0], NULL);
  default: refuse_request("an input of %d dimensions: ncnn takes 1 to 4", shape->rank);
  }
}

/* Bytes of a channel, of which there are so many; they may lie apart. */
static size_t channel_bytes(handle mat, int *count) {
  int is_deep = ncnn_mat_get_dims(mat) >= 3;
  *count = is_deep ? ncnn_mat_get_c(mat) : 1;
  return (size_t)ncnn_mat_get_w(mat) * (size_t)ncnn_mat_get_h(mat) * (size_t)ncnn_mat_get_d(mat) * ncnn_mat_get_elemsize(mat);
}

static char *channel(handle mat, int i) {
  return ncnn_mat_get_dims(mat) >= 3 ? ncnn_mat_get_channel_data(mat, i) : ncnn_mat_get_data(mat);
}

int driver_input(int i, tensor *input) {
  if (i >= input_count) return 0;
  if (!input->data) {
    *input = (tensor){.type = FLOAT32, .bytes = element_bytes(FLOAT32)};
    for (int d = 0; d < shapes[i].rank; d++)
      if (__builtin_mul_overflow(input->bytes, (size_t)shapes[i].dims[d], &input->bytes)) fail("inputs", OUT_OF_MEMORY);
    return 1;
  }
  int count;
  inputs[i] = mat_of(&shapes[i]);
  if (!inputs[i] || !ncnn_mat_get_data(inputs[i])) fail("inputs", OUT_OF_MEMORY);
  size_t bytes = channel_bytes(inputs[i], &count);
  for (int c = 0; c < count; c++) memcpy(channel(inputs[i], c), (char *)input->data + (size_t)c * bytes, bytes);
  return 1;
}

/* As one piece of memory, which is as large as in the run before. */
static int keep(int i, handle mat) {
  if (ncnn_mat_get_elemsize(mat) != element_bytes(FLOAT32)) {
    fprintf(stderr, "output %s has elements of %zu bytes, which are not handled\n", output_names[i], ncnn_mat_get_elemsize(mat));
    return OTHER_STATUS + 1;
  }
  int count;
  size_t bytes = channel_bytes(mat, &count), all = bytes * (size_t)count;
  if (output_bytes[i] && all != output_bytes[i]) {
    fprintf(stderr, "output %d has %zu bytes, the model's has %zu: ncnn computes another model\n", i, all, output_bytes[i]);
    return OTHER_STATUS + 1;
  }
  if (all != outputs[i].bytes) {
    free(outputs[i].data);
    outputs[i] = (tensor){.type = FLOAT32, .bytes = all, .data = malloc(all ? all : 1)};
    if (!outputs[i].data) return OUT_OF_MEMORY;
  }
  for (int c = 0; c < count; c++) memcpy((char *)outputs[i].data + (size_t)c * bytes, channel(mat, c), bytes);
  return 0;
}

int driver_output(int i, tensor *output) {
  if (i >= output_count) return 0;
  *output = outputs[i];
  output->type = FLOAT32;
  return 1;
}

static int give_inputs(handle extractor) {
  for (int i = 0; i < input_count; i++) {
    int status = ncnn_extractor_input(extractor, input_names[i], inputs[i]);
    if (!status) continue;
    fprintf(stderr, "input %s: status %d\n", input_names[i], status);
    return status;
  }
  return 0;
}

int driver_run(void) {
  handle extractor = ncnn_extractor_create(net), mat;
  int status = give_inputs(extractor);
  for (int i = 0; i < output_count && !status; i++) {
    status = ncnn_extractor_extract(extractor, output_names[i], &mat);
    if (status) {
      fprintf(stderr, "extract %s: status %d\n", output_names[i], status);
      status = status == NO_MEMORY ? OUT_OF_MEMORY : status;
      break;
    }
    status = keep(i, mat);
    ncnn_mat_destroy(mat);
  }
  ncnn_extractor_destroy(extractor);
  return status;
}

/* Layer after layer from one extractor: each takes what the ones before it made. */
void driver_profile(FILE *answer, long runs) {
  int64_t *taken = calloc((size_t)layer_count * (size_t)runs + 1, sizeof *taken);
  if (!taken) fail("profile", OUT_OF_MEMORY);
  for (long run = 0; run < runs; run++) {
    handle extractor = ncnn_extractor_create(net), mat;
    check("profile", give_inputs(extractor));
    for (int i = 0; i < layer_count; i++) {
      int64_t start = now_ns();
      check("profile", ncnn_extractor_extract(extractor, layer_tops[i], &mat));
      taken[i * runs + run] = now_ns() - start;
      ncnn_mat_destroy(mat);
    }
    ncnn_extractor_destroy(extractor);
  }
  fputs(", \"layer_ns\": [", answer);
  for (int i = 0; i < layer_count; i++) {
    fputs(i ? ", [" : "[", answer);
    for (long run = 0; run < runs; run++) fprintf(answer, run ? ", %lld" : "%lld", (long long)taken[i * runs + run]);
    fputs("]", answer);
  }
  fputs("]", answer);
}

void driver_close(void) {
  fflush(stderr);
  _Exit(0);
}
