/* driver: what a runtime adds to the harness. Ten functions; those that cannot go on call fail(). */
#ifndef PARETO_DRIVER_H
#define PARETO_DRIVER_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PROTOCOL 6
#define MAX_RANK 8
#define MAX_TENSORS 64
#define MAX_SENSORS 16

/* What was read of a JSON text: a tree of values. */
typedef struct json {
  enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } kind;
  char *key, *text; /* key: of a member of an object; text: of a text, or the digits of a number */
  double number;
  struct json *child, *next; /* first of a list or an object; the one behind */
} json;

json *json_read(const char *text); /* refuses the request where it is no JSON */
const json *json_member(const json *object, const char *key); /* NULL where there is none */
const char *json_text(const json *object, const char *key);   /* NULL where there is none */
long json_whole(const json *object, const char *key, long otherwise);

/* Types of elements, by the names that answers have. */
enum { FLOAT32, FLOAT64, FLOAT16, INT64, INT32, INT16, INT8, UINT32, UINT8, BOOL, TYPE_COUNT };
size_t element_bytes(int type);

typedef struct {
  const char *file;
  int rank; /* of its shape; 0 dimensions for a scalar */
  long dims[MAX_RANK];
} given_input;

typedef struct {
  const char *library, *model, *cpus, *write_outputs, *reference;
  const json *settings, *backends; /* objects; NULL where the request has none */
  const json *place;               /* list of [operations, backend]; NULL where it has none */
  given_input inputs[MAX_TENSORS];
  const char *energy[MAX_SENSORS];
  int input_count, energy_count;
  /* warmups: -1 until the samples say so. */
  long warmups, min_runs, max_runs, run_time_ms, time_limit_s, profile_runs, threads;
  int prepare_only, version_only;
  double precision;
  long long memory_limit_bytes;
} request;

/* One set of operations of a request's place, such as "0-3,7" or "1:4" of subgraph 1; refuses what
 * is none. Begin with *at the text, subgraph 0; returns 0 behind the last range. */
int next_range(const char **at, long *subgraph, long *first, long *last);

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

/* In the order in which the harness calls them: */
const char *driver_open(const request *asked);   /* opens the library; its version, "" for none told */
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
