/* A server's way to a SavedModel, in C: no Python, nothing of ig_tf.
 *
 *     c_client MODEL SIGNATURE REQUEST ANSWER
 *
 * TF_LoadSessionFromSavedModel reads the model, as TensorFlow Serving does; the signature is looked
 * up in the MetaGraphDef that this function hands back. REQUEST and ANSWER are tensors one after
 * another, in the byte order of the machine:
 *
 *     uint32 length of the key, the key, uint32 TF_DataType, uint32 rank, int64 sizes[rank],
 *     then the numbers as they lie in memory, or for each string a uint64 length and its bytes
 *
 * The keys of REQUEST are those of the signature's inputs; ANSWER gets all of its outputs.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MAX_TENSORS 256
#define MAX_RANK 16

static void fail(const char* what, const char* detail) {
  fprintf(stderr, "%s: %s\n", what, detail);
  exit(1);
}

static void check(TF_Status* status, const char* what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

/* The little of protocol buffers that finding a signature needs ------------------------------ */

typedef struct {
  const uint8_t* at;
  const uint8_t* end;
} Span;

static uint64_t read_varint(Span* in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (in->at >= in->end) fail("MetaGraphDef", "ends within a number");
    uint8_t byte = *in->at++;
    value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return value;
  }
  fail("MetaGraphDef", "a number is too long");
  return 0;
}

/* The next field with bytes (text or a message); 0 where there is none. Others are passed by. */
static int next_field(Span* in, Span* found) {
  while (in->at < in->end) {
    uint64_t tag = read_varint(in);
    uint64_t size = 0;
    switch (tag & 7) {
      case 0: read_varint(in); continue;
      case 1: size = 8; break;
      case 2: size = read_varint(in); break;
      case 5: size = 4; break;
      default: fail("MetaGraphDef", "a wire type that no field has");
    }
    if (size > (uint64_t)(in->end - in->at)) fail("MetaGraphDef", "ends within a field");
    found->at = in->at;
    found->end = in->at + size;
    in->at += size;
    if ((tag & 7) == 2) return (int)(tag >> 3);
  }
  return 0;
}

/* Field `number` of a message; an empty span where it has none. */
static Span field(Span message, int number) {
  Span found;
  for (int each; (each = next_field(&message, &found));)
    if (each == number) return found;
  return (Span){NULL, NULL};
}

static int same(Span text, const char* wanted) {
  size_t size = (size_t)(text.end - text.at);
  return size == strlen(wanted) && memcmp(text.at, wanted, size) == 0;
}

/* The value under a key in field `number`, which is a map of strings to messages. */
static Span entry(Span message, int number, const char* key) {
  Span found;
  for (int each; (each = next_field(&message, &found));)
    if (each == number && same(field(found, 1), key)) return field(found, 2);
  fail("no such key", key);
  return message;
}

/* Tensors of the signature ------------------------------------------------------------------- */

enum { SIGNATURE_DEF = 5, INPUTS = 1, OUTPUTS = 2, TENSOR_NAME = 1 };

/* "node:1" as an operation of the graph and the number of its output. */
static TF_Output output_named(TF_Graph* graph, Span name) {
  char text[4096];
  size_t size = (size_t)(name.end - name.at);
  if (size == 0 || size >= sizeof text) fail("a tensor of the signature", "has no usable name");
  memcpy(text, name.at, size);
  text[size] = '\0';
  char* colon = strrchr(text, ':');
  int index = colon ? atoi(colon + 1) : 0;
  if (colon) *colon = '\0';
  TF_Operation* operation = TF_GraphOperationByName(graph, text);
  if (!operation) fail("no such node", text);
  return (TF_Output){operation, index};
}

/* Reading and writing tensors ---------------------------------------------------------------- */

static void take(FILE* file, void* to, size_t size) {
  if (size && fread(to, 1, size, file) != size) fail("request", "ends within a tensor");
}

static void read_strings(FILE* file, TF_Tensor* tensor) {
  TF_TString* strings = TF_TensorData(tensor);
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) {
    uint64_t size;
    take(file, &size, sizeof size);
    char* text = malloc(size + 1);
    take(file, text, size);
    TF_StringInit(&strings[i]);
    TF_StringCopy(&strings[i], text, size);
    free(text);
  }
}

/* The next tensor of a request and its key; NULL at the end. */
static TF_Tensor* read_tensor(FILE* file, char* key, size_t room) {
  uint32_t length, type, rank;
  if (fread(&length, sizeof length, 1, file) != 1) return NULL;
  if (length >= room) fail("request", "a key is too long");
  take(file, key, length);
  key[length] = '\0';
  take(file, &type, sizeof type);
  take(file, &rank, sizeof rank);
  if (rank > MAX_RANK) fail("too many axes", key);
  int64_t sizes[MAX_RANK], count = 1;
  take(file, sizes, rank * sizeof *sizes);
  for (uint32_t i = 0; i < rank; ++i) count *= sizes[i];
  size_t each = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize((TF_DataType)type);
  TF_Tensor* tensor = TF_AllocateTensor((TF_DataType)type, sizes, (int)rank, each * (size_t)count);
  if (type == TF_STRING)
    read_strings(file, tensor);
  else
    take(file, TF_TensorData(tensor), each * (size_t)count);
  return tensor;
}

static void put(FILE* file, const void* from, size_t size) {
  if (size && fwrite(from, 1, size, file) != size) fail("answer", "cannot be written");
}

static void write_tensor(FILE* file, Span key, const TF_Tensor* tensor) {
  uint32_t length = (uint32_t)(key.end - key.at), type = TF_TensorType(tensor);
  uint32_t rank = (uint32_t)TF_NumDims(tensor);
  put(file, &length, sizeof length);
  put(file, key.at, length);
  put(file, &type, sizeof type);
  put(file, &rank, sizeof rank);
  for (uint32_t i = 0; i < rank; ++i) {
    int64_t size = TF_Dim(tensor, (int)i);
    put(file, &size, sizeof size);
  }
  if (type != TF_STRING) {
    put(file, TF_TensorData(tensor), TF_TensorByteSize(tensor));
    return;
  }
  const TF_TString* strings = TF_TensorData(tensor);
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) {
    uint64_t size = TF_StringGetSize(&strings[i]);
    put(file, &size, sizeof size);
    put(file, TF_StringGetDataPointer(&strings[i]), size);
  }
}

int main(int argc, char** argv) {
  if (argc != 5) fail("usage", "c_client MODEL SIGNATURE REQUEST ANSWER");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_Buffer* meta_graph = TF_NewBuffer();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph,
                                                     meta_graph, status);
  check(status, "cannot load");
  const uint8_t* bytes = meta_graph->data;
  Span signature = entry((Span){bytes, bytes + meta_graph->length}, SIGNATURE_DEF, argv[2]);

  TF_Output fed[MAX_TENSORS], wanted[MAX_TENSORS];
  TF_Tensor *values[MAX_TENSORS], *answers[MAX_TENSORS];
  Span keys[MAX_TENSORS], each;
  int inputs = 0, outputs = 0;
  FILE* request = fopen(argv[3], "rb");
  if (!request) fail("cannot open", argv[3]);
  char key[1024];
  for (TF_Tensor* tensor; inputs < MAX_TENSORS && (tensor = read_tensor(request, key, sizeof key));
       ++inputs) {
    fed[inputs] = output_named(graph, field(entry(signature, INPUTS, key), TENSOR_NAME));
    values[inputs] = tensor;
  }
  fclose(request);
  Span rest = signature;
  for (int number; outputs < MAX_TENSORS && (number = next_field(&rest, &each));) {
    if (number != OUTPUTS) continue;
    keys[outputs] = field(each, 1);
    wanted[outputs++] = output_named(graph, field(field(each, 2), TENSOR_NAME));
  }
  TF_SessionRun(session, NULL, fed, values, inputs, wanted, answers, outputs, NULL, 0, NULL,
                status);
  check(status, "cannot run");

  FILE* answer = fopen(argv[4], "wb");
  if (!answer) fail("cannot write", argv[4]);
  for (int i = 0; i < outputs; ++i) {
    write_tensor(answer, keys[i], answers[i]);
    TF_DeleteTensor(answers[i]);
  }
  if (fclose(answer)) fail("cannot write", argv[4]);
  for (int i = 0; i < inputs; ++i) TF_DeleteTensor(values[i]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
