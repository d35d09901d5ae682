/* request: one JSON object that says what to measure, read into a struct. */
#include "driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 32

static const char *cursor;

_Noreturn static void no_json(const char *expected) {
  refuse_request("the request is no JSON: expected %s before '%.20s'", expected, cursor);
}

static void *room(size_t bytes) {
  void *space = calloc(1, bytes);
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

json *json_read(const char *text) {
  cursor = text;
  json *value = read_value(0);
  skip_blanks();
  if (*cursor) no_json("the end");
  return value;
}

const json *json_member(const json *object, const char *key) {
  if (!object || object->kind != JSON_OBJECT) return NULL;
  for (const json *at = object->child; at; at = at->next)
    if (!strcmp(at->key, key)) return at->kind == JSON_NULL ? NULL : at;
  return NULL;
}

const char *json_text(const json *object, const char *key) {
  const json *found = json_member(object, key);
  if (found && found->kind != JSON_TEXT) refuse_request("%s: expected a text", key);
  return found ? found->text : NULL;
}

static long whole_of(const json *value, const char *key, long most) {
  if (value->kind != JSON_NUMBER || value->number < 0 || value->number > (double)most ||
      value->number != (double)(long)value->number)
    refuse_request("%s: expected a whole number from 0 to %ld", key, most);
  return (long)value->number;
}

long json_whole(const json *object, const char *key, long otherwise) {
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

int next_range(const char **at, long *subgraph, long *first, long *last) {
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

void read_request(const char *text, request *asked) {
  const json *all = json_read(text);
  if (all->kind != JSON_OBJECT) refuse_request("the request is no JSON object");
  if (json_whole(all, "protocol", 0) != PROTOCOL)
    refuse_request("protocol %ld: this driver speaks %d", json_whole(all, "protocol", 0), PROTOCOL);
  *asked = (request){
      .library = json_text(all, "library"),
      .model = json_text(all, "model"),
      .cpus = json_text(all, "cpus"),
      .write_outputs = json_text(all, "write_outputs"),
      .reference = json_text(all, "reference"),
      .settings = of_kind(all, "settings", JSON_OBJECT),
      .backends = of_kind(all, "backends", JSON_OBJECT),
      .place = of_kind(all, "place", JSON_LIST),
      .threads = json_whole(all, "threads", 1),
      .run_time_ms = json_whole(all, "run_time_ms", 0),
      .precision = (double)json_whole(all, "precision_ppm", 0) / 1e6,
      .time_limit_s = json_whole(all, "time_limit_s", 0),
      .profile_runs = json_whole(all, "profile_runs", 0),
      .memory_limit_bytes = 1024LL * json_whole(all, "memory_limit_kib", 0),
      .min_runs = 1,
      .max_runs = 1,
  };
  for (const json *at = asked->place ? asked->place->child : NULL; at; at = at->next) {
    const json *pair = at->kind == JSON_LIST ? at->child : NULL;
    if (!pair || pair->kind != JSON_TEXT || !pair->next || pair->next->kind != JSON_TEXT)
      refuse_request("place: expected pairs of operations and a backend");
  }
  asked->prepare_only = is_true(all, "prepare_only");
  asked->version_only = is_true(all, "version_only");
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
    asked->energy[asked->energy_count++] = at->text;
  }
  read_inputs(all, asked);
}
