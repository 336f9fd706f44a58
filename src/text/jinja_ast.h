// The syntax tree of a template. Chains (a + b - c, a.b(c)[d] | e, if/elif) are lists, not nests, so the depth of the
// tree is bounded by the parser's limit however long the template is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace r1::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr star, star_star;  // *args, **kwargs
};

// One link of a chain after a value.
struct Suffix {
  enum class Kind : uint8_t { kAttribute, kItem, kSlice, kCall, kFilter, kTest };
  Kind kind = Kind::kAttribute;
  bool negated = false;  // is not
  uint32_t offset = 0;
  std::string name;  // of an attribute, filter or test
  ExprPtr args[3];   // [0]: item; slice: start, stop, step, each may be null
  Arguments call;    // of a call, filter or test
};

enum class Op : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expr {
  enum class Kind : uint8_t {
    kConst,
    kName,
    kList,
    kTuple,
    kDict,     // parts: key, value, key, value, ...
    kMath,     // parts[0] ops[0] parts[1] ops[1] ..., from the left
    kCompare,  // the same, as Python chains comparisons
    kConcat,
    kAnd,
    kOr,
    kNot,
    kNegative,
    kPositive,
    kIf,     // parts: value, condition, other value (may be null)
    kChain,  // parts[0] (null in a filter block) and the suffixes
  };
  Kind kind = Kind::kConst;
  uint32_t offset = 0;
  int32_t name = -1;  // index into Program::names
  Value constant;
  std::vector<ExprPtr> parts;
  std::vector<Op> ops;
  std::vector<uint32_t> op_offsets;
  std::vector<Suffix> suffixes;
};

// What a loop or an assignment writes to.
struct Target {
  uint32_t offset = 0;
  int32_t name = -1;          // -1: a tuple
  std::string attribute;      // of a namespace; "" for the name itself
  std::vector<Target> items;  // of a tuple
};

struct MacroParts {
  std::string name;
  std::vector<int32_t> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};

struct Stmt {
  enum class Kind : uint8_t {
    kData,         // text
    kOutput,       // exprs
    kIf,           // exprs: conditions; bodies: one each, and perhaps one more for else
    kFor,          // target; exprs: what, filter (may be null); bodies: loop, else
    kSet,          // target; exprs[0]
    kSetBlock,     // target; exprs[0]: filters or null; bodies[0]
    kMacro,        // macro; bodies[0]
    kCallBlock,    // macro: signature of the caller; exprs[0]: the call; bodies[0]
    kFilterBlock,  // exprs[0]; bodies[0]
    kWith,         // targets, exprs; bodies[0]
    kScope,        // bodies[0]: block
    kGeneration,   // bodies[0]
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kData;
  bool recursive = false;  // kFor
  uint32_t offset = 0;
  OriginText text;
  std::vector<ExprPtr> exprs;
  std::vector<Body> bodies;
  std::vector<Target> targets;
  MacroParts macro;
};

struct Program {
  std::vector<std::string> names;  // of variables; expressions hold indices
  Body body;
  // Names the interpreter sets itself.
  int32_t loop = -1, caller = -1, varargs = -1, kwargs = -1;
};

}  // namespace r1::jinja
