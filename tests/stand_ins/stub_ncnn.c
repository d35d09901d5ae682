/* A libncnn.so with the part of ncnn's C API that the driver calls. Blob "same…" is twice the input, whose
 * channels lie apart as ncnn's do; "out…" are ten numbers; "wide…" are of half the size; all others are the input. A
 * .param file with the word "broken" is refused; with "none" in it there is no memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  int dims, w, h, d, c;
  size_t element, step; /* of a channel, in elements */
  char *data;
} mat;

static int threads, packing = 1, no_memory;

const char *ncnn_version(void) { return "1.0.20260526"; }
void *ncnn_net_create(void) { return malloc(1); }
void *ncnn_net_get_option(void *net) { return net; }
void ncnn_option_set_num_threads(void *option, int count) { (void)option; threads = count; }
void ncnn_option_set_use_packing_layout(void *option, int on) { (void)option; packing = on; }

int ncnn_net_load_param(void *net, const char *path) {
  char text[4096] = {0};
  FILE *file = fopen(path, "r");
  (void)net;
  if (!file) return -1;
  fread(text, 1, sizeof text - 1, file);
  fclose(file);
  no_memory = strstr(text, "none") != NULL;
  return strstr(text, "broken") ? -1 : 0;
}
int ncnn_net_load_model(void *net, const char *path) {
  (void)net;
  FILE *file = fopen(path, "r");
  if (file) fclose(file);
  return file ? 0 : -1;
}

static mat *made(int dims, int w, int h, int d, int c, size_t element) {
  mat *one = malloc(sizeof *one);
  *one = (mat){dims, w, h, d, c, element, 0, NULL};
  one->step = ((size_t)w * (size_t)h * (size_t)d * element + 15) / 16 * 16 / element;
  one->data = calloc(one->step * (size_t)c, element);
  return one;
}
void *ncnn_mat_create_1d(int w, void *a) { (void)a; return made(1, w, 1, 1, 1, 4); }
void *ncnn_mat_create_2d(int w, int h, void *a) { (void)a; return made(2, w, h, 1, 1, 4); }
void *ncnn_mat_create_3d(int w, int h, int c, void *a) { (void)a; return made(3, w, h, 1, c, 4); }
void *ncnn_mat_create_4d(int w, int h, int d, int c, void *a) { (void)a; return made(4, w, h, d, c, 4); }
void ncnn_mat_destroy(mat *one) { free(one->data); free(one); }
int ncnn_mat_get_w(const mat *one) { return one->w; }
int ncnn_mat_get_h(const mat *one) { return one->h; }
int ncnn_mat_get_d(const mat *one) { return one->d; }
int ncnn_mat_get_c(const mat *one) { return one->c; }
int ncnn_mat_get_dims(const mat *one) { return one->dims; }
size_t ncnn_mat_get_elemsize(const mat *one) { return one->element; }
void *ncnn_mat_get_data(const mat *one) { return one->data; }
void *ncnn_mat_get_channel_data(const mat *one, int c) { return one->data + (size_t)c * one->step * one->element; }

static const mat *given;
void *ncnn_extractor_create(void *net) { return net; }
void ncnn_extractor_destroy(void *extractor) { (void)extractor; }
int ncnn_extractor_input(void *extractor, const char *name, const mat *input) {
  (void)extractor;
  given = input;
  return strcmp(name, "in0") ? -1 : 0;
}
int ncnn_extractor_extract(void *extractor, const char *name, mat **out) {
  (void)extractor;
  if (no_memory) return -100;
  int is_same = !strncmp(name, "same", 4), is_out = !strncmp(name, "out", 3), is_half = !strncmp(name, "wide", 4);
  *out = is_out ? made(1, 10, 1, 1, 1, 4) : made(given->dims, given->w, given->h, given->d, given->c, is_half ? 2 : 4);
  if (is_half) return 0;
  float sum = 0;
  for (int c = 0; c < given->c; c++)
    for (int i = 0; i < given->w * given->h * given->d; i++) {
      float value = ((const float *)ncnn_mat_get_channel_data(given, c))[i];
      if (!is_out) ((float *)ncnn_mat_get_channel_data(*out, c))[i] = (is_same ? 2 : 1) * value;
      sum += value;
    }
  for (int i = 0; is_out && i < 10; i++) ((float *)(*out)->data)[i] = sum * (float)(i + 1);
  return 0;
}
