// For tests only: runs a program, without a shell in between, and keeps what it says.
#pragma once

#include <string>
#include <vector>

namespace r1 {

struct Outcome {
  int code = -1;  // 1000 + the signal if one ended it, 127 if there is no such program
  std::string out, err;
  std::string text() const { return out + err; }
};

// words[0] is looked for in PATH; standard input is empty. stdout_path: where its output goes ("": it is read back).
Outcome Execute(const std::vector<std::string>& words, const std::string& stdout_path = "");
// The bytes of a file; "" if it cannot be read.
std::string Slurp(const std::string& path);

}  // namespace r1
