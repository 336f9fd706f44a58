// Result<T>: a value, or an Error that names what, where and the remedy. For everything that can fail because of input,
// files or the machine. Bugs are R1_CHECK; numbers gone wrong are data in a step report.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace r1 {

// Values are the process exit codes of sysexits.h, so a command returns its error's code.
enum class ErrorCode : int {
  kUsage = 64,          // wrong command line or config key
  kBadInput = 65,       // a file or dataset is malformed
  kUnavailable = 69,    // something needed is not there
  kInternal = 70,       // a bug
  kCannotCreate = 73,   // output cannot be created
  kIo = 74,             // read or write failed
  kTryAgain = 75,       // temporary, e.g. out of memory
  kRefused = 78,        // configuration refused
  kInterrupted = 130,   // Ctrl-C
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}    // NOLINT(google-explicit-constructor)
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { R1_CHECK(ok(), error_text()); return std::get<0>(state_); }
  const T& value() const& { R1_CHECK(ok(), error_text()); return std::get<0>(state_); }
  T&& value() && { R1_CHECK(ok(), error_text()); return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::string error_text() const { return ok() ? std::string() : std::get<1>(state_).message; }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return error_; }

 private:
  bool failed_ = false;
  Error error_;
};
using Status = Result<void>;

}  // namespace r1

// Returns the error of a failed Result from the calling function.
#define R1_TRY(expression)                          \
  do {                                              \
    auto r1_try_result = (expression);              \
    if (!r1_try_result.ok()) return r1_try_result.error(); \
  } while (0)
#define R1_CONCAT_INNER(a, b) a##b
#define R1_CONCAT(a, b) R1_CONCAT_INNER(a, b)
// R1_ASSIGN(auto x, Function()): the value, or return of the error.
#define R1_ASSIGN(declaration, expression)                            \
  auto R1_CONCAT(r1_result_, __LINE__) = (expression);                \
  if (!R1_CONCAT(r1_result_, __LINE__).ok()) return R1_CONCAT(r1_result_, __LINE__).error(); \
  declaration = std::move(R1_CONCAT(r1_result_, __LINE__)).value()
