// R1_CHECK: a broken invariant inside the program (a bug), never bad input. Prints file, line and message and exits
// with code 70 unless a handler is installed (tests install one that throws). Bad input and a bad world are Result
// (result.h).
#pragma once

#include <string>
#include <string_view>

namespace r1 {

using CheckHandler = void (*)(const char* file, int line, const std::string& message);
// Returns the previous handler. The handler must not return.
CheckHandler SetCheckHandler(CheckHandler handler);

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace r1

#define R1_CHECK(condition, message)                                                \
  do {                                                                              \
    if (!(condition)) ::r1::CheckFailed(__FILE__, __LINE__, #condition, (message)); \
  } while (0)
