// A completion from a checkpoint, printed as it is made: r1_generate runs/demo/zero/checkpoint-150
// "pick 14 8 20 3 5 sum 42"
#include <cstdio>
#include <string_view>

#include "r1/engine.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: r1_generate CHECKPOINT PROMPT\n"), 64;
  auto engine = r1::Engine::Open(argv[1]);
  if (!engine.ok()) return std::fprintf(stderr, "%s\n", engine.error().message.c_str()), 1;
  const auto done = engine->Generate(argv[2], {.max_new_tokens = 150}, [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
    return true;  // go on
  });
  std::puts("");
  if (!done.ok()) return std::fprintf(stderr, "%s\n", done.error().message.c_str()), 1;
  return 0;
}
