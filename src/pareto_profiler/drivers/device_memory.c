/* device_memory: what this process holds of the memory of GPUs, as their drivers tell it.
 *
 * Open drivers tell by the keys drm-…-REGION of each client in /proc/self/fdinfo (the kernel's
 * Documentation/gpu/drm-usage-stats.rst), NVIDIA's by its library for management. */
#define _GNU_SOURCE
#include "driver.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CLIENTS 64
#define MAX_PROCESSES 1024

typedef struct {
  char device[64], id[32];
} client;

/* Memory of its own, or on a system on a chip what the GPU has of the only one. */
static int is_region(const char *name) {
  return !strncmp(name, "vram", 4) || !strncmp(name, "local", 5) || !strcmp(name, "memory");
}

static int64_t kib_of(const char *text) {
  char *end;
  int64_t number = strtoll(text, &end, 10);
  while (isspace((unsigned char)*end)) end++;
  return !strncmp(end, "MiB", 3) ? number * 1024 : !strncmp(end, "KiB", 3) ? number : number / 1024;
}

/* -1 where the file is of no such client, -2 of one that does not tell its memory. Several files may be of one. */
static int64_t client_kib(const char *path, client *found) {
  static const char *const prefixes[] = {"drm-resident-", "drm-memory-", "drm-total-"};
  int64_t sums[] = {-1, -1, -1};
  int is_client = 0;
  char line[256];
  memset(found, 0, sizeof *found);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) {
    char *value = strchr(line, ':');
    if (!value) continue;
    *value++ = 0;
    while (isspace((unsigned char)*value)) value++;
    value[strcspn(value, "\n")] = 0;
    is_client |= !strcmp(line, "drm-driver");
    if (!strcmp(line, "drm-pdev")) snprintf(found->device, sizeof found->device, "%s", value);
    if (!strcmp(line, "drm-client-id")) snprintf(found->id, sizeof found->id, "%s", value);
    for (int i = 0; i < 3; i++) {
      size_t length = strlen(prefixes[i]);
      if (!strncmp(line, prefixes[i], length) && is_region(line + length))
        sums[i] = (sums[i] < 0 ? 0 : sums[i]) + kib_of(value);
    }
  }
  if (file) fclose(file);
  for (int i = 0; i < 3; i++)
    if (sums[i] >= 0) return sums[i];
  return is_client ? -2 : -1;
}

typedef struct {
  unsigned pid;
  unsigned long long bytes;
  unsigned instance, compute_instance;
} nvidia_process;

typedef int (*list_processes)(void *device, unsigned *count, nvidia_process *processes);

static int64_t listed_kib(list_processes list, void *device) {
  static nvidia_process there[MAX_PROCESSES];
  unsigned count = MAX_PROCESSES;
  if (!list || list(device, &count, there)) return -1;
  for (unsigned i = 0; i < count; i++)
    if (there[i].pid == (unsigned)getpid() && there[i].bytes != ~0ULL) return (int64_t)(there[i].bytes / 1024);
  return -1;
}

/* -1 where it does not tell: in a container, it has other numbers for processes. */
static int64_t nvidia_kib(void) {
  void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return -1;
  int (*init)(void), (*get_count)(unsigned *), (*get_device)(unsigned, void **);
  list_processes computing, drawing;
  *(void **)&init = dlsym(library, "nvmlInit_v2");
  *(void **)&get_count = dlsym(library, "nvmlDeviceGetCount_v2");
  *(void **)&get_device = dlsym(library, "nvmlDeviceGetHandleByIndex_v2");
  *(void **)&computing = dlsym(library, "nvmlDeviceGetComputeRunningProcesses_v3");
  *(void **)&drawing = dlsym(library, "nvmlDeviceGetGraphicsRunningProcesses_v3");
  unsigned count;
  if (!init || !get_count || !get_device || init() || get_count(&count)) return -1;
  int64_t sum = -1;
  for (unsigned i = 0; i < count; i++) {
    void *device;
    if (get_device(i, &device)) continue;
    int64_t one = listed_kib(computing, device), other = listed_kib(drawing, device);
    if (one < other) one = other;
    if (one >= 0) sum = (sum < 0 ? 0 : sum) + one;
  }
  return sum;
}

static int is_open(const char *folder, const char *name, const char *device) {
  char path[300], target[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  ssize_t length = readlink(path, target, sizeof target - 1);
  return length > 0 && !strncmp(target, device, strlen(device));
}

long device_memory_kib(void) {
  client seen[MAX_CLIENTS];
  int count = 0, untold = 0, is_nvidia = 0;
  int64_t sum = 0;
  DIR *files = opendir("/proc/self/fdinfo");
  for (struct dirent *entry; files && (entry = readdir(files));) {
    char path[300];
    client found;
    is_nvidia |= is_open("/proc/self/fd", entry->d_name, "/dev/nvidia");
    snprintf(path, sizeof path, "/proc/self/fdinfo/%s", entry->d_name);
    int64_t kib = client_kib(path, &found);
    if (kib == -1) continue;
    int known = 0;
    for (int i = 0; i < count; i++)
      known |= !strcmp(seen[i].id, found.id) && !strcmp(seen[i].device, found.device);
    if (known) continue;
    if (count < MAX_CLIENTS) seen[count++] = found;
    if (kib < 0) untold = 1;
    else sum += kib;
  }
  if (files) closedir(files);
  if (is_nvidia) { /* its clients of the kernel's interface tell nothing, too */
    int64_t kib = nvidia_kib();
    return kib < 0 ? -1 : (long)(sum + kib);
  }
  if (untold) return -1;
  return count || !access("/dev/dri", F_OK) || !access("/dev/nvidiactl", F_OK) ? (long)sum : -1;
}
