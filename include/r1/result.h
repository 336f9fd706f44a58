// Result<T>: a value, or an Error that names what, where and the remedy. For everything that can fail because of input,
// files or the machine.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace r1 {

// Values are the process exit codes of sysexits.h, so a command returns its error's code.
enum class ErrorCode : int {
  kUsage = 64,         // wrong command line or config key
  kBadInput = 65,      // a file or dataset is malformed
  kUnavailable = 69,   // something needed is not there
  kInternal = 70,      // a bug
  kCannotCreate = 73,  // output cannot be created
  kIo = 74,            // read or write failed
  kTryAgain = 75,      // temporary, e.g. out of memory
  kRefused = 78,       // configuration refused
  kInterrupted = 130,  // Ctrl-C
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

// Reports the bug and does not return.
[[noreturn]] void ValueOfError(const std::string& message);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    Require();
    return std::get<0>(state_);
  }
  const T& value() const& {
    Require();
    return std::get<0>(state_);
  }
  T&& value() && {
    Require();
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  // Using the value of a failed Result is a bug of the caller.
  void Require() const {
    if (!ok()) ValueOfError(error().message);
  }
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
