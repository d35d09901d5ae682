/* request: one JSON object that says what to measure, read into a struct.
 *
 * What is read on the way lies in memory of its own, which is given back: requests are of different
 * length, and nothing of that may show in a measurement. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_DEPTH 32
#define MAX_OPERATIONS 1000000
/* Of the tree, at most, for each byte of text: the shortest value is a digit and its comma. */
#define TREE_PER_BYTE 64

typedef struct json {
  enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } kind;
  char *key, *text; /* key: of a member of an object; text: of a text */
  double number;
  struct json *child, *next; /* first of a list or an object; the one behind */
} json;

static const char *cursor;
static char *tree, *tree_end;

_Noreturn static void no_json(const char *expected) {
  refuse_request("the request is no JSON: expected %s before '%.20s'", expected, cursor);
}

static void *room(size_t bytes) {
  void *space = tree;
  tree += (bytes + 15) / 16 * 16;
  if (tree > tree_end) refuse_request("no memory for the request");
  return space;
}

static void *kept(size_t bytes) {
  void *space = calloc(1, bytes ? bytes : 1);
  if (!space) refuse_request("no memory for the request");
  return space;
}

static void skip_blanks(void) { cursor += strspn(cursor, " \t\r\n"); }

static unsigned hex4(void) {
  unsigned value = 0;
  for (int i = 0; i < 4; i++, cursor++) {
    const char *digits = "0123456789abcdef", *digit = *cursor ? strchr(digits, *cursor | 0x20) : NULL;
    if (!digit) no_json("four hex digits");
    value = value << 4 | (unsigned)(digit - digits);
  }
  return value;
}

static char *put_utf8(char *to, unsigned code) {
  if (code < 0x80) {
    *to++ = (char)code;
    return to;
  }
  if (code < 0x800) *to++ = (char)(0xC0 | code >> 6);
  else {
    if (code < 0x10000) *to++ = (char)(0xE0 | code >> 12);
    else {
      *to++ = (char)(0xF0 | code >> 18);
      *to++ = (char)(0x80 | (code >> 12 & 0x3F));
    }
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
  }
  *to++ = (char)(0x80 | (code & 0x3F));
  return to;
}

static char *read_text(void) {
  if (*cursor != '"') no_json("a text");
  const char *end = ++cursor;
  while (*end && *end != '"') end += end[0] == '\\' && end[1] ? 2 : 1;
  char *text = room((size_t)(end - cursor) + 1), *to = text;
  while (*cursor && *cursor != '"') {
    if (*cursor != '\\') {
      *to++ = *cursor++;
      continue;
    }
    const char *plain = "\"\\/bfnrt", *means = "\"\\/\b\f\n\r\t";
    const char *which = cursor[1] ? strchr(plain, cursor[1]) : NULL;
    if (which) {
      *to++ = means[which - plain];
      cursor += 2;
    } else if (cursor[1] == 'u') {
      cursor += 2;
      unsigned code = hex4();
      if (code >= 0xD800 && code < 0xDC00 && cursor[0] == '\\' && cursor[1] == 'u') {
        cursor += 2;
        code = 0x10000 + ((code - 0xD800) << 10) + ((hex4() - 0xDC00) & 0x3FF);
      }
      to = put_utf8(to, code);
    } else no_json("an escape");
  }
  if (*cursor++ != '"') no_json("a closing quote");
  return text;
}

static json *read_value(int depth) {
  json *value = room(sizeof *value);
  skip_blanks();
  if (depth > MAX_DEPTH) no_json("less depth");
  if (*cursor == '{' || *cursor == '[') {
    char closing = *cursor == '{' ? '}' : ']';
    value->kind = *cursor++ == '{' ? JSON_OBJECT : JSON_LIST;
    json **last = &value->child;
    for (skip_blanks(); *cursor != closing; skip_blanks()) {
      char *key = NULL;
      if (value->child && *cursor++ != ',') no_json("a comma");
      skip_blanks();
      if (value->kind == JSON_OBJECT) {
        key = read_text();
        skip_blanks();
        if (*cursor++ != ':') no_json("a colon");
      }
      *last = read_value(depth + 1);
      (*last)->key = key;
      last = &(*last)->next;
    }
    cursor++;
    return value;
  }
  if (*cursor == '"') {
    value->kind = JSON_TEXT;
    value->text = read_text();
    return value;
  }
  static const struct {
    const char *word;
    int kind;
  } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
  for (int i = 0; i < 3; i++) {
    size_t length = strlen(words[i].word);
    if (strncmp(cursor, words[i].word, length)) continue;
    cursor += length;
    value->kind = words[i].kind;
    return value;
  }
  char *end;
  value->kind = JSON_NUMBER;
  value->number = strtod(cursor, &end);
  if (end == cursor) no_json("a value");
  cursor = end;
  return value;
}

static json *json_read(const char *text) {
  cursor = text;
  json *value = read_value(0);
  skip_blanks();
  if (*cursor) no_json("the end");
  return value;
}

static const json *json_member(const json *object, const char *key) {
  if (!object || object->kind != JSON_OBJECT) return NULL;
  for (const json *at = object->child; at; at = at->next)
    if (!strcmp(at->key, key)) return at->kind == JSON_NULL ? NULL : at;
  return NULL;
}

static const char *json_text(const json *object, const char *key) {
  const json *found = json_member(object, key);
  if (found && found->kind != JSON_TEXT) refuse_request("%s: expected a text", key);
  return found ? strcpy(kept(strlen(found->text) + 1), found->text) : NULL;
}

static long whole_of(const json *value, const char *key, long most) {
  if (value->kind != JSON_NUMBER || value->number < 0 || value->number > (double)most ||
      value->number != (double)(long)value->number)
    refuse_request("%s: expected a whole number from 0 to %ld", key, most);
  return (long)value->number;
}

static long json_whole(const json *object, const char *key, long otherwise) {
  const json *found = json_member(object, key);
  return found ? whole_of(found, key, 2000000000) : otherwise;
}

static int is_true(const json *object, const char *key) {
  const json *found = json_member(object, key);
  if (found && found->kind != JSON_TRUE && found->kind != JSON_FALSE)
    refuse_request("%s: expected true or false", key);
  return found && found->kind == JSON_TRUE;
}

static const json *of_kind(const json *object, const char *key, int kind) {
  const json *found = json_member(object, key);
  if (found && (int)found->kind != kind)
    refuse_request("%s: expected %s", key, kind == JSON_LIST ? "a list" : "an object");
  return found;
}

/* One set of operations, such as "0-3,7" or "1:4" of subgraph 1. Begin with *at the text, subgraph 0;
 * 0 behind the last range. */
static int next_range(const char **at, long *subgraph, long *first, long *last) {
  char *end;
  if (!**at) return 0;
  const char *range = *at;
  *first = *last = strtol(range, &end, 10);
  if (end != range && *end == ':') {
    *subgraph = *first;
    range = end + 1;
    *first = *last = strtol(range, &end, 10);
  }
  if (end != range && *end == '-') *last = strtol(range = end + 1, &end, 10);
  if (end == range || (*end && *end != ',') || *first < 0 || *last < *first)
    refuse_request("place: expected something like 0-3,7, got '%.40s'", *at);
  *at = *end ? end + 1 : end;
  return 1;
}

static void read_inputs(const json *all, request *asked) {
  const json *list = of_kind(all, "inputs", JSON_LIST);
  for (const json *at = list ? list->child : NULL; at; at = at->next) {
    if (asked->input_count == MAX_TENSORS) refuse_request("inputs: more than %d", MAX_TENSORS);
    given_input *input = &asked->inputs[asked->input_count++];
    input->file = json_text(at, "file");
    if (!input->file) refuse_request("inputs: expected objects with a file");
    const json *shape = of_kind(at, "shape", JSON_LIST);
    for (const json *size = shape ? shape->child : NULL; size; size = size->next) {
      if (input->rank == MAX_RANK) refuse_request("shape: more than %d dimensions", MAX_RANK);
      input->dims[input->rank++] = whole_of(size, "shape", 2000000000);
    }
  }
}

static void read_backends(const json *all, request *asked) {
  const json *backends = of_kind(all, "backends", JSON_OBJECT);
  for (const json *at = backends ? backends->child : NULL; at; at = at->next) {
    if (asked->backend_count == MAX_BACKENDS) refuse_request("backends: more than %d", MAX_BACKENDS);
    given_backend *one = &asked->backends[asked->backend_count++];
    one->name = strcpy(kept(strlen(at->key) + 1), at->key);
    one->options = json_text(at, "options");
  }
}

static void put(request *asked, long subgraph, long first, long last, int backend) {
  if (subgraph < 0 || subgraph >= MAX_SUBGRAPHS || last >= MAX_OPERATIONS)
    refuse_request("place: operation %ld of subgraph %ld is too large", last, subgraph);
  given_place *of = &asked->place[subgraph];
  if (last >= of->count) {
    uint64_t *larger = kept(sizeof *larger * (size_t)(last + 1));
    if (of->count) memcpy(larger, of->backends, sizeof *larger * (size_t)of->count);
    free(of->backends);
    *of = (given_place){larger, last + 1};
  }
  for (long i = first; i <= last; i++) of->backends[i] |= (uint64_t)1 << backend;
}

static void read_place(const json *all, request *asked) {
  const json *place = of_kind(all, "place", JSON_LIST);
  long operations = json_whole(all, "operations", 0);
  if (operations > MAX_OPERATIONS) refuse_request("operations: more than %d", MAX_OPERATIONS);
  if (operations) asked->place[0] = (given_place){kept(sizeof(uint64_t) * (size_t)operations), operations};
  for (const json *at = place ? place->child : NULL; at; at = at->next) {
    const json *pair = at->kind == JSON_LIST ? at->child : NULL;
    if (!pair || pair->kind != JSON_TEXT || !pair->next || pair->next->kind != JSON_TEXT)
      refuse_request("place: expected pairs of operations and a backend");
    int backend = 0;
    while (backend < asked->backend_count && strcmp(asked->backends[backend].name, pair->next->text)) backend++;
    if (backend == asked->backend_count) refuse_request("place: %.40s is none of the backends", pair->next->text);
    const char *ranges = pair->text;
    long subgraph = 0, first, last;
    while (next_range(&ranges, &subgraph, &first, &last)) put(asked, subgraph, first, last, backend);
  }
}

static void read_all(const json *all, request *asked) {
  if (all->kind != JSON_OBJECT) refuse_request("the request is no JSON object");
  if (json_whole(all, "protocol", 0) != PROTOCOL)
    refuse_request("protocol %ld: this driver speaks %d", json_whole(all, "protocol", 0), PROTOCOL);
  *asked = (request){
      .library = json_text(all, "library"),
      .model = json_text(all, "model"),
      .cpus = json_text(all, "cpus"),
      .write_outputs = json_text(all, "write_outputs"),
      .reference = json_text(all, "reference"),
      .threads = json_whole(all, "threads", 1),
      .run_time_ms = json_whole(all, "run_time_ms", 0),
      .precision = (double)json_whole(all, "precision_ppm", 0) / 1e6,
      .time_limit_s = json_whole(all, "time_limit_s", 0),
      .profile_runs = json_whole(all, "profile_runs", 0),
      .memory_limit_bytes = 1024LL * json_whole(all, "memory_limit_kib", 0),
      .prepare_only = is_true(all, "prepare_only"),
      .version_only = is_true(all, "version_only"),
      .min_runs = 1,
      .max_runs = 1,
  };
  if (!asked->library || (!asked->model && !asked->version_only))
    refuse_request("library and model are required");
  const json *warmups = json_member(all, "warmups");
  if (warmups) {
    int is_auto = warmups->kind == JSON_TEXT && !strcmp(warmups->text, "auto");
    asked->warmups = is_auto ? -1 : whole_of(warmups, "warmups", 1000000);
  }
  const json *runs = of_kind(all, "runs", JSON_LIST);
  if (runs) {
    if (!runs->child || !runs->child->next) refuse_request("runs: expected [least, most]");
    asked->min_runs = whole_of(runs->child, "runs", 1000000);
    asked->max_runs = whole_of(runs->child->next, "runs", 1000000);
  }
  const json *energy = of_kind(all, "energy", JSON_LIST);
  for (const json *at = energy ? energy->child : NULL; at; at = at->next) {
    if (asked->energy_count == MAX_SENSORS || at->kind != JSON_TEXT)
      refuse_request("energy: expected at most %d names of files", MAX_SENSORS);
    asked->energy[asked->energy_count++] = strcpy(kept(strlen(at->text) + 1), at->text);
  }
  read_inputs(all, asked);
  read_backends(all, asked);
  read_place(all, asked);
}

void read_request(const char *text, request *asked) {
  size_t bytes = TREE_PER_BYTE * (strlen(text) + 64);
  char *space = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED) refuse_request("no memory for the request");
  tree = space;
  tree_end = space + bytes;
  read_all(json_read(text), asked);
  munmap(space, bytes);
}
