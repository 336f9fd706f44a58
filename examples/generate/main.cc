// A completion from a checkpoint, printed as it is made:
//   r1_generate runs/demo/zero "pick 14 8 20 3 5 sum 42"
#include <cstdio>
#include <string_view>

#include "r1/engine.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: r1_generate MODEL_FOLDER PROMPT\n", stderr);
    return 64;
  }
  const auto fail = [](const r1::Error& error) {
    std::fprintf(stderr, "r1_generate: %s\n", error.message.c_str());
    return static_cast<int>(error.code);
  };
  auto engine = r1::Engine::Open(argv[1]);
  if (!engine.ok()) return fail(engine.error());
  const auto answer = engine->Generate(argv[2], {}, [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    return std::fflush(stdout) == 0;  // false would stop
  });
  if (!answer.ok()) return fail(answer.error());
  std::puts("");
  return 0;
}
