/* A driver whose functions are given by whoever opens this library: Python, for a runtime that has
 * nothing else. The harness is the same as for every other runtime. */
#include "driver.h"

/* In the order of driver.h; texts are members of the answer's line, with a comma before each. */
typedef struct {
  const char *(*open)(void);
  void (*load)(void), (*place)(void), (*prepare)(void);
  const char *(*placed)(void);
  int (*input)(int, tensor *), (*output)(int, tensor *);
  int (*run)(void);
  const char *(*profile)(long);
  void (*close)(void);
} callbacks;

static callbacks given;

void set_callbacks(const callbacks *all) { given = *all; }

const char *driver_open(const request *asked) {
  (void)asked;
  return given.open();
}

void driver_opened(FILE *answer) { (void)answer; }

void driver_load(const request *asked) {
  (void)asked;
  given.load();
}

void driver_place(const request *asked) {
  (void)asked;
  given.place();
}

void driver_prepare(const request *asked) {
  (void)asked;
  given.prepare();
}

void driver_placed(FILE *answer) { fputs(given.placed(), answer); }

int driver_input(int i, tensor *input) { return given.input(i, input); }

int driver_output(int i, tensor *output) { return given.output(i, output); }

int driver_run(void) { return given.run(); }

void driver_profile(FILE *answer, long runs) { fputs(given.profile(runs), answer); }

void driver_close(void) { given.close(); }
