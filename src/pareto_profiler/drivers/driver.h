/* driver: what a runtime adds to the harness. Eleven functions; those that cannot go on call fail(). */
#ifndef PARETO_DRIVER_H
#define PARETO_DRIVER_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PROTOCOL 6
#define MAX_RANK 8
#define MAX_TENSORS 64
#define MAX_SENSORS 16
#define MAX_BACKENDS 64
#define MAX_SUBGRAPHS 64

/* Types of elements, by the names that answers have. */
enum { FLOAT32, FLOAT64, FLOAT16, INT64, INT32, INT16, INT8, UINT32, UINT8, BOOL, TYPE_COUNT };
size_t element_bytes(int type);

typedef struct {
  const char *file;
  int rank; /* of its shape; 0 dimensions for a scalar */
  long dims[MAX_RANK];
} given_input;

typedef struct {
  const char *name, *options; /* options NULL where it has none */
} given_backend;

/* Of each operation of a subgraph the backends that it is placed on, as bits by their positions. Its size
 * is told by the request, so that what an assignment looks like does not show in the memory it takes. */
typedef struct {
  uint64_t *backends;
  long count;
} given_place;

typedef struct {
  const char *library, *model, *cpus, *write_outputs, *reference;
  given_backend backends[MAX_BACKENDS];
  given_place place[MAX_SUBGRAPHS];
  given_input inputs[MAX_TENSORS];
  const char *energy[MAX_SENSORS];
  int backend_count, input_count, energy_count;
  /* warmups: -1 until the samples say so. */
  long warmups, min_runs, max_runs, run_time_ms, time_limit_s, profile_runs, threads;
  int prepare_only, version_only;
  double precision;
  long long memory_limit_bytes;
} request;

typedef struct {
  int type;
  size_t bytes; /* 0 where it is known only after a run */
  void *data;
} tensor;

enum { OTHER_STATUS = 0, OUT_OF_MEMORY = -1, RUN_AGAIN = -2 };
/* The runtime refused: the answer's last line names the stage and the status. */
_Noreturn void fail(const char *stage, int status);
/* The request cannot be used, in words. */
_Noreturn void refuse_request(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The library of the request with all that is bound of it, or fail("open_library", …). */
void *open_library(const char *path);
int64_t now_ns(void);
/* Of GPUs; 0 where none is used, -1 where there is none or its driver does not tell. */
long device_memory_kib(void);
/* Starts the program anew with these words where its addresses are not as they are to be. */
void set_addresses(char **argv);

/* In the order in which the harness calls them: */
const char *driver_open(const request *asked);   /* opens the library; its version, "" for none told */
void driver_opened(FILE *answer);                /* adds members to the line `opened` */
void driver_load(const request *asked);          /* opens the model */
void driver_place(const request *asked);         /* takes in what runs where */
void driver_prepare(const request *asked);       /* makes it ready to run */
void driver_placed(FILE *answer);                /* adds members to the line `prepared` */
int driver_input(int i, tensor *input);          /* data NULL: tells type and bytes; else takes the
                                                    data, which stays. 0: there is no i-th input */
int driver_output(int i, tensor *output);        /* type and bytes, after a run the data, too; called
                                                    before the first run and after the last */
int driver_run(void);                            /* 0, RUN_AGAIN with larger outputs, or a status */
void driver_profile(FILE *answer, long runs);    /* adds members to the line `profiled` */
void driver_close(void);
#endif
