// Result and Error (include/r1/result.h) with the two macros that pass errors on. Bugs are R1_CHECK; numbers gone wrong
// are data in a step report.
#pragma once

#include "base/check.h"
#include "r1/result.h"

// Returns the error of a failed Result from the calling function.
#define R1_TRY(expression)                                 \
  do {                                                     \
    auto r1_try_result = (expression);                     \
    if (!r1_try_result.ok()) return r1_try_result.error(); \
  } while (0)
#define R1_CONCAT_INNER(a, b) a##b
#define R1_CONCAT(a, b) R1_CONCAT_INNER(a, b)
// R1_ASSIGN(auto x, Function()): the value, or return of the error.
#define R1_ASSIGN(declaration, expression)                                                   \
  auto R1_CONCAT(r1_result_, __LINE__) = (expression);                                       \
  if (!R1_CONCAT(r1_result_, __LINE__).ok()) return R1_CONCAT(r1_result_, __LINE__).error(); \
  declaration = std::move(R1_CONCAT(r1_result_, __LINE__)).value()
