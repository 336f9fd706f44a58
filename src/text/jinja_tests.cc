// Tests: "value is NAME", also by name in select and its kin.

#include "text/jinja_eval.h"
#include "text/unicode_case.h"
#include "text/word_split.h"

namespace r1::jinja {
namespace {

bool NoArguments(Interpreter& run, Args& args) { return args.Bind(run.state(), "this test", {}, 0); }

template <class Condition>
bool Simple(Interpreter& run, const Value& subject, Args& args, Condition condition) {
  return NoArguments(run, args) && condition(subject);
}

template <Kind kind>
bool IsKind(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && subject.Is(kind);
}

bool Callable(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && (subject.Is(Kind::kFunction) || subject.Is(Kind::kMacro) ||
                                    subject.Is(Kind::kLoop) || subject.Is(Kind::kJoiner));
}

bool Defined(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && !subject.Is(Kind::kUndefined);
}

bool True(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && subject.Is(Kind::kBool) && subject.b();
}

bool False(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && subject.Is(Kind::kBool) && !subject.b();
}

bool Integer(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && (subject.Is(Kind::kInt) || subject.Is(Kind::kBigInt));
}

bool Number(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && (subject.IsNumber() || subject.Is(Kind::kBigInt));
}

bool Sequence(Interpreter& run, const Value& subject, Args& args) {
  return Simple(run, subject, args, [](const Value& v) {
    return v.Is(Kind::kString) || v.Is(Kind::kList) || v.Is(Kind::kTuple) || v.Is(Kind::kDict) || v.Is(Kind::kRange) ||
           v.Is(Kind::kUndefined);
  });
}

bool Iterable(Interpreter& run, const Value& subject, Args& args) {
  return Simple(run, subject, args, [](const Value& v) {
    return v.Is(Kind::kString) || v.Is(Kind::kList) || v.Is(Kind::kTuple) || v.Is(Kind::kDict) || v.Is(Kind::kRange) ||
           v.Is(Kind::kView) || v.Is(Kind::kIterator) || v.Is(Kind::kUndefined) || v.Is(Kind::kLoop);
  });
}

bool EscapedTest(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && subject.Is(Kind::kString) && subject.As<StringObject>()->markup;
}

// At least one letter with case, and none of the other case.
template <bool upper>
bool HasCase(Interpreter& run, const Value& subject, Args& args) {
  if (!NoArguments(run, args)) return false;
  const OriginText text = Str(run.state(), subject);
  if (!run.state().ChargeBytes(text.size())) return false;
  bool any = false;
  for (size_t i = 0; i < text.size();) {
    const Utf8Character c = Utf8At(text.bytes(), i);
    if (upper ? IsLower(c.code) : IsUpper(c.code)) return false;
    any |= upper ? IsUpper(c.code) : IsLower(c.code);
    i += static_cast<size_t>(c.length);
  }
  return any;
}

bool Divisible(Interpreter& run, const Value& subject, const Value& by, int64_t rest) {
  const Value modulo = Binary(run.state(), Op::kModulo, subject, by);
  return !run.state().failed() && Equal(run.state(), modulo, Value::Int(rest));
}

bool DivisibleBy(Interpreter& run, const Value& subject, Args& args) {
  return args.Bind(run.state(), "divisibleby", {"num"}, 1) && Divisible(run, subject, *args.Get(0), 0);
}

bool Even(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && Divisible(run, subject, Value::Int(2), 0);
}

bool Odd(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && Divisible(run, subject, Value::Int(2), 1);
}

template <Op op>
bool Compared(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "a comparing test", {"other"}, 1)) return false;
  const Value& other = *args.Get(0);
  switch (op) {
    case Op::kEqual:
      return Equal(state, subject, other);
    case Op::kNotEqual:
      return !Equal(state, subject, other);
    case Op::kLess:
      return Less(state, subject, other);
    case Op::kLessEqual:
      return Less(state, subject, other) || Equal(state, subject, other);
    case Op::kGreater:
      return Less(state, other, subject);
    case Op::kGreaterEqual:
      return Less(state, other, subject) || Equal(state, subject, other);
    default:
      return Contains(state, other, subject);
  }
}

bool SameAs(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "sameas", {"other"}, 1)) return false;
  const Value& other = *args.Get(0);
  if (subject.kind() != other.kind()) return false;
  return subject.object() != nullptr ? subject.object() == other.object() : Equal(run.state(), subject, other);
}

bool FilterTest(Interpreter& run, const Value& subject, Args& args) {
  if (!NoArguments(run, args) || !subject.Is(Kind::kString)) return false;
  const std::string& name = subject.text().bytes();
  return FindTextFilter(name) != nullptr || FindListFilter(name) != nullptr;
}

bool TestTest(Interpreter& run, const Value& subject, Args& args) {
  return NoArguments(run, args) && subject.Is(Kind::kString) && FindTest(subject.text().bytes()) != nullptr;
}

struct Entry {
  std::string_view name;
  TestFunction function;
};

constexpr Entry kTests[] = {
    {"boolean", IsKind<Kind::kBool>},
    {"callable", Callable},
    {"defined", Defined},
    {"divisibleby", DivisibleBy},
    {"escaped", EscapedTest},
    {"even", Even},
    {"false", False},
    {"filter", FilterTest},
    {"float", IsKind<Kind::kFloat>},
    {"integer", Integer},
    {"iterable", Iterable},
    {"lower", HasCase<false>},
    {"mapping", IsKind<Kind::kDict>},
    {"none", IsKind<Kind::kNone>},
    {"number", Number},
    {"odd", Odd},
    {"sameas", SameAs},
    {"sequence", Sequence},
    {"string", IsKind<Kind::kString>},
    {"test", TestTest},
    {"true", True},
    {"undefined", IsKind<Kind::kUndefined>},
    {"upper", HasCase<true>},
    {"in", Compared<Op::kIn>},
    {"==", Compared<Op::kEqual>},
    {"eq", Compared<Op::kEqual>},
    {"equalto", Compared<Op::kEqual>},
    {"!=", Compared<Op::kNotEqual>},
    {"ne", Compared<Op::kNotEqual>},
    {"<", Compared<Op::kLess>},
    {"lt", Compared<Op::kLess>},
    {"lessthan", Compared<Op::kLess>},
    {"<=", Compared<Op::kLessEqual>},
    {"le", Compared<Op::kLessEqual>},
    {">", Compared<Op::kGreater>},
    {"gt", Compared<Op::kGreater>},
    {"greaterthan", Compared<Op::kGreater>},
    {">=", Compared<Op::kGreaterEqual>},
    {"ge", Compared<Op::kGreaterEqual>},
};

}  // namespace

TestFunction FindTest(std::string_view name) {
  for (const Entry& entry : kTests) {
    if (entry.name == name) return entry.function;
  }
  return nullptr;
}

}  // namespace r1::jinja
