// Runs a function that saved_model_cli aot_compile_cpu made: REQUEST and ANSWER are the bytes of all
// arguments, and of all results, one after another. No TensorFlow graph, no Python.
#include <cstdio>

#include HEADER

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  Attributions function;
  std::FILE* request = std::fopen(argv[1], "rb");
  if (!request) return 2;
  for (int i = 0; i < function.num_args(); ++i) {
    size_t size = function.arg_size(i);
    if (std::fread(function.arg_data(i), 1, size, request) != size) return 2;
  }
  std::fclose(request);
  if (!function.Run()) {
    std::fprintf(stderr, "%s\n", function.error_msg().c_str());
    return 1;
  }
  std::FILE* answer = std::fopen(argv[2], "wb");
  if (!answer) return 2;
  for (int i = 0; i < function.num_results(); ++i)
    std::fwrite(function.result_data(i), 1, function.result_size(i), answer);
  return std::fclose(answer) ? 2 : 0;
}
