// Expressions: names, chains of operators, attributes and items, calls.

#include <algorithm>
#include <charconv>

#include "base/quote.h"
#include "text/jinja_eval.h"

namespace r1::jinja {
namespace {

// "dict object", as Jinja's messages say it.
std::string ObjectText(const Value& value) { return value.Is(Kind::kNone) ? "None" : TypeName(value) + " object"; }

bool IsPrivate(std::string_view name) { return name.substr(0, 2) == "__"; }

}  // namespace

Value Interpreter::Eval(const Expr& expr) {
  if (++frames_ > kMaxFrames) {
    state_.at = expr.offset;
    state_.Fail("evaluation is nested more than " + std::to_string(kMaxFrames) + " deep");
  }
  Value value;
  if (state_.Charge(1)) {
    switch (expr.kind) {
      case Expr::Kind::kConst:
        value = expr.constant;
        break;
      case Expr::Kind::kName:
        value = Lookup(expr.name);
        break;
      case Expr::Kind::kList:
      case Expr::Kind::kTuple: {
        std::vector<Value> items;
        for (const ExprPtr& part : expr.parts) items.push_back(Eval(*part));
        state_.at = expr.offset;
        value = MakeList(state_, std::move(items), false, expr.kind == Expr::Kind::kList ? Kind::kList : Kind::kTuple);
        break;
      }
      case Expr::Kind::kDict:
        value = EvalDict(expr);
        break;
      case Expr::Kind::kMath:
        value = EvalMath(expr);
        break;
      case Expr::Kind::kCompare:
        value = EvalCompare(expr);
        break;
      case Expr::Kind::kConcat:
        value = EvalConcat(expr);
        break;
      case Expr::Kind::kAnd:
      case Expr::Kind::kOr:
        for (const ExprPtr& part : expr.parts) {
          value = Eval(*part);
          if (Truthy(value) == (expr.kind == Expr::Kind::kOr) || state_.failed()) break;
        }
        break;
      case Expr::Kind::kNot:
        value = Value::Bool(!Truthy(Eval(*expr.parts[0])));
        break;
      case Expr::Kind::kNegative:
      case Expr::Kind::kPositive: {
        const Value operand = Eval(*expr.parts[0]);
        state_.at = expr.offset;
        const Op op = expr.kind == Expr::Kind::kNegative ? Op::kSubtract : Op::kAdd;
        if (operand.IsNumber()) {
          // 0.0 - x would lose the sign of zero.
          value = operand.Is(Kind::kFloat)
                      ? Value::Float(op == Op::kSubtract ? -operand.f() : operand.f(), operand.content())
                      : Binary(state_, op, Value::Int(0), operand);
        } else if (operand.Is(Kind::kUndefined)) {
          state_.Fail(operand.object() ? operand.text().bytes() : "an undefined value");
        } else {
          state_.Fail("'" + TypeName(operand) + "' has no sign; only numbers have");
        }
        break;
      }
      case Expr::Kind::kIf:
        if (Truthy(Eval(*expr.parts[1]))) {
          value = Eval(*expr.parts[0]);
        } else if (expr.parts[2] != nullptr) {
          value = Eval(*expr.parts[2]);
        } else {
          value = Value::Undefined("the inline if-expression has no value: its condition is false and it has no else");
        }
        break;
      case Expr::Kind::kChain:
        value = EvalChain(expr, nullptr);
        break;
    }
  }
  --frames_;
  if (state_.failed()) return {};
  return value;
}

Value Interpreter::EvalDict(const Expr& expr) {
  auto dict = std::make_shared<DictObject>();
  for (size_t i = 0; i + 1 < expr.parts.size(); i += 2) {
    const Value key = Eval(*expr.parts[i]);
    Value value = Eval(*expr.parts[i + 1]);
    state_.at = expr.parts[i]->offset;
    if (state_.failed()) return {};
    dict->Set(state_, key, std::move(value));
  }
  state_.at = expr.offset;
  return MakeDict(state_, std::move(dict), false);
}

Value Interpreter::EvalMath(const Expr& expr) {
  Value value = Eval(*expr.parts[0]);
  for (size_t i = 0; i < expr.ops.size(); ++i) {
    const Value right = Eval(*expr.parts[i + 1]);
    state_.at = expr.op_offsets[i];
    if (state_.failed()) return {};
    value = Binary(state_, expr.ops[i], std::move(value), right);
  }
  return value;
}

// a < b < c is a < b and b < c.
Value Interpreter::EvalCompare(const Expr& expr) {
  Value left = Eval(*expr.parts[0]);
  bool result = true;
  for (size_t i = 0; i < expr.ops.size() && result; ++i) {
    Value right = Eval(*expr.parts[i + 1]);
    state_.at = expr.op_offsets[i];
    if (state_.failed()) return {};
    switch (expr.ops[i]) {
      case Op::kEqual:
        result = Equal(state_, left, right);
        break;
      case Op::kNotEqual:
        result = !Equal(state_, left, right);
        break;
      case Op::kLess:
        result = Less(state_, left, right);
        break;
      case Op::kLessEqual:
        result = Less(state_, left, right) || Equal(state_, left, right);
        break;
      case Op::kGreater:
        result = Less(state_, right, left);
        break;
      case Op::kGreaterEqual:
        result = Less(state_, right, left) || Equal(state_, left, right);
        break;
      case Op::kIn:
        result = Contains(state_, right, left);
        break;
      default:
        result = !Contains(state_, right, left);
    }
    left = std::move(right);
  }
  return Value::Bool(result);
}

Value Interpreter::EvalConcat(const Expr& expr) {
  OriginText text;
  for (const ExprPtr& part : expr.parts) {
    const Value value = Eval(*part);
    state_.at = expr.offset;
    const OriginText shown = Str(state_, value);
    if (!state_.ChargeBytes(shown.size())) return {};
    if (text.size() + shown.size() > static_cast<size_t>(state_.max_text())) {
      state_.ChargeText(text.size() + shown.size());
      return {};
    }
    text.Append(shown);
  }
  const bool content = text.HasContent();
  return MakeString(state_, std::move(text), content);
}

bool Interpreter::EvalArguments(const Arguments& arguments, Args* args) {
  for (const ExprPtr& part : arguments.positional) args->positional.push_back(Eval(*part));
  for (const auto& [name, part] : arguments.keywords) args->keywords.emplace_back(name, Eval(*part));
  if (arguments.star != nullptr) {
    const auto items = Items(state_, Eval(*arguments.star));
    if (items == nullptr || !state_.ChargeBytes(items->items.size() * sizeof(Value))) return false;
    args->positional.insert(args->positional.end(), items->items.begin(), items->items.end());
  }
  if (arguments.star_star != nullptr) {
    const Value value = Eval(*arguments.star_star);
    if (!value.Is(Kind::kDict)) {
      state_.Fail("** needs a dict, not '" + TypeName(value) + "'");
      return false;
    }
    for (const auto& [key, item] : value.As<DictObject>()->items) {
      if (!key.Is(Kind::kString)) state_.Fail("** needs a dict whose keys are strings");
      if (!state_.ChargeBytes(2 * sizeof(Value))) return false;
      args->keywords.emplace_back(key.text().bytes(), item);
    }
  }
  return !state_.failed();
}

// subject: what a filter block or a block assignment puts in front; null for a chain with a value of its own.
Value Interpreter::EvalChain(const Expr& expr, const Value* subject) {
  Value value = subject != nullptr ? *subject : Eval(*expr.parts[0]);
  for (const Suffix& suffix : expr.suffixes) {
    if (state_.failed()) return {};
    value = EvalSuffix(suffix, value);
  }
  return value;
}

Value Interpreter::EvalSuffix(const Suffix& suffix, const Value& value) {
  if (state_.failed()) return {};
  switch (suffix.kind) {
    case Suffix::Kind::kAttribute:
      state_.at = suffix.offset;
      return state_.Charge(1) ? Attribute(value, suffix.name) : Value();
    case Suffix::Kind::kItem: {
      const Value key = Eval(*suffix.args[0]);
      state_.at = suffix.offset;
      return state_.Charge(1) ? Item(value, key) : Value();
    }
    case Suffix::Kind::kSlice:
      return Slice(suffix, value);
    default:
      break;
  }
  Args args;
  if (!EvalArguments(suffix.call, &args)) return {};
  state_.at = suffix.offset;
  if (!state_.Charge(1)) return {};
  if (suffix.kind == Suffix::Kind::kCall) return Call(value, args);
  if (suffix.kind == Suffix::Kind::kFilter) return Filter(suffix.name, value, args);
  return Value::Bool(Test(suffix.name, value, args) != suffix.negated);
}

Value Interpreter::Filter(std::string_view name, const Value& subject, Args& args) {
  FilterFunction filter = FindTextFilter(name);
  if (filter == nullptr) filter = FindListFilter(name);
  if (filter == nullptr) {
    state_.Fail("no filter named " + Quote(name, 40));
    return {};
  }
  return filter(*this, subject, args);
}

bool Interpreter::Test(std::string_view name, const Value& subject, Args& args) {
  const TestFunction test = FindTest(name);
  if (test == nullptr) {
    state_.Fail("no test named " + Quote(name, 40));
    return false;
  }
  return test(*this, subject, args);
}

Value Interpreter::Attribute(const Value& object, std::string_view name) {
  if (object.Is(Kind::kUndefined)) {
    state_.Fail(object.object() ? object.text().bytes() : "an undefined value has no attribute " + Quote(name, 40));
    return {};
  }
  if (const std::string_view method = MethodName(object, name); !method.empty()) {
    auto function = std::make_shared<FunctionObject>();
    function->name = method;
    function->self = object;
    if (!Nest(state_, *function, object)) return {};
    return Value::Of(Kind::kFunction, std::move(function));
  }
  if (object.Is(Kind::kDict) || object.Is(Kind::kNamespace)) {
    if (const Value* value = object.As<DictObject>()->Find(name)) return *value;
  } else {
    const Value value = ObjectAttribute(state_, object, name);
    if (!value.Is(Kind::kUndefined) || value.object() != nullptr) return value;
  }
  if (IsPrivate(name)) {
    return Value::Undefined("access to the attribute " + Quote(name, 40) + " of '" + TypeName(object) +
                                "' is not allowed: names that begin with two underscores are Python's own",
                            true);
  }
  return Value::Undefined("'" + ObjectText(object) + "' has no attribute " + Quote(name, 80));
}

Value Interpreter::Item(const Value& object, const Value& key) {
  if (object.Is(Kind::kUndefined)) {
    state_.Fail(object.object() ? object.text().bytes() : "an undefined value has no items");
    return {};
  }
  if (object.Is(Kind::kDict)) {
    if (const Value* value = object.As<DictObject>()->Find(state_, key)) return *value;
  } else if (key.IsIntegral()) {
    int64_t i = key.Integral();
    if (object.Is(Kind::kList) || object.Is(Kind::kTuple)) {
      const auto& items = object.As<ListObject>()->items;
      const auto size = static_cast<int64_t>(items.size());
      if (i < 0) i += size;
      if (i >= 0 && i < size) return items[static_cast<size_t>(i)];
    } else if (object.Is(Kind::kString)) {
      const OriginText& text = object.text();
      if (!state_.ChargeBytes(5 * text.size())) return {};
      const std::vector<uint32_t> offsets = CharacterOffsets(text.bytes());
      const auto size = static_cast<int64_t>(offsets.size()) - 1;
      if (i < 0) i += size;
      if (i >= 0 && i < size) {
        const size_t begin = offsets[static_cast<size_t>(i)];
        return MakeString(state_, text.Slice(begin, offsets[static_cast<size_t>(i) + 1]), text.ContentAt(begin));
      }
    } else if (object.Is(Kind::kRange)) {
      const auto& range = *object.As<RangeObject>();
      if (i < 0) i += range.Count();
      if (i >= 0 && i < range.Count()) return Value::Int(range.start + i * range.step);
    }
  }
  if (key.Is(Kind::kString)) return Attribute(object, key.text().bytes());
  OriginText shown;
  AppendRepr(state_, key, shown);
  return Value::Undefined(ObjectText(object) + " has no element " + Quote(shown.bytes(), 80));
}

Value Interpreter::Path(const Value& object, const Value& path, const Value* fallback) {
  if (!path.Is(Kind::kString)) {
    const Value item = Item(object, path);
    return item.Is(Kind::kUndefined) && fallback != nullptr ? *fallback : item;
  }
  Value value = object;
  const std::string& text = path.text().bytes();
  for (size_t begin = 0; begin <= text.size() && !state_.failed();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    int64_t index = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool number =
        !part.empty() && read.ec == std::errc() && read.ptr == part.data() + part.size() && part[0] != '-';
    value = Item(value, number ? Value::Int(index) : MakeString(state_, part, false));
    if (value.Is(Kind::kUndefined) && fallback != nullptr) value = *fallback;
    if (!state_.Charge(1)) return {};
    begin = end + 1;
  }
  return value;
}

namespace {

// Python's slice: start, stop and step, each perhaps missing, for a sequence of `size`.
struct Cut {
  int64_t start = 0, step = 1, count = 0;
};

bool ReadCut(RenderState& state, const Value* (&parts)[3], int64_t size, Cut* cut) {
  int64_t number[3] = {0, 0, 1};
  bool given[3] = {false, false, false};
  for (int i = 0; i < 3; ++i) {
    if (parts[i] == nullptr || parts[i]->Is(Kind::kNone)) continue;
    if (!parts[i]->IsIntegral()) {
      state.Fail("a slice needs integers, not '" + TypeName(*parts[i]) + "'");
      return false;
    }
    number[i] = parts[i]->Integral();
    given[i] = true;
  }
  cut->step = std::max(number[2], -INT64_MAX);
  if (cut->step == 0) {
    state.Fail("a slice cannot have the step 0");
    return false;
  }
  const bool back = cut->step < 0;
  const int64_t low = back ? -1 : 0, high = back ? size - 1 : size;
  const auto place = [&](int64_t i) { return std::clamp(i < 0 ? i + size : i, low, high); };
  cut->start = given[0] ? place(number[0]) : back ? high : low;
  const int64_t stop = given[1] ? place(number[1]) : back ? low : high;
  const int64_t span = back ? cut->start - stop : stop - cut->start;
  const int64_t step = back ? -cut->step : cut->step;
  cut->count = span <= 0 ? 0 : (span - 1) / step + 1;
  return true;
}

}  // namespace

Value Interpreter::Slice(const Suffix& suffix, const Value& value) {
  Value values[3];
  const Value* parts[3] = {nullptr, nullptr, nullptr};
  for (int i = 0; i < 3; ++i) {
    if (suffix.args[i] == nullptr) continue;
    values[i] = Eval(*suffix.args[i]);
    parts[i] = &values[i];
  }
  state_.at = suffix.offset;
  if (state_.failed()) return {};
  if (value.Is(Kind::kUndefined)) {
    state_.Fail(value.object() ? value.text().bytes() : "an undefined value cannot be cut");
    return {};
  }
  Cut cut;
  if (value.Is(Kind::kString)) {
    const OriginText& text = value.text();
    if (!state_.ChargeBytes(5 * text.size())) return {};
    const std::vector<uint32_t> offsets = CharacterOffsets(text.bytes());
    if (!ReadCut(state_, parts, static_cast<int64_t>(offsets.size()) - 1, &cut)) return {};
    OriginText out;
    if (cut.step == 1 && cut.count > 0) {
      out = text.Slice(offsets[static_cast<size_t>(cut.start)], offsets[static_cast<size_t>(cut.start + cut.count)]);
    } else {
      for (int64_t i = 0; i < cut.count; ++i) {
        const auto at = static_cast<size_t>(cut.start + i * cut.step);
        out.AppendSlice(text, offsets[at], offsets[at + 1]);
      }
    }
    const bool content = out.HasContent();
    return MakeString(state_, std::move(out), content);
  }
  if (value.Is(Kind::kList) || value.Is(Kind::kTuple)) {
    const auto& items = value.As<ListObject>()->items;
    if (!ReadCut(state_, parts, static_cast<int64_t>(items.size()), &cut)) return {};
    std::vector<Value> out;
    for (int64_t i = 0; i < cut.count; ++i) out.push_back(items[static_cast<size_t>(cut.start + i * cut.step)]);
    return MakeList(state_, std::move(out), value.content(), value.kind());
  }
  if (value.Is(Kind::kRange)) {
    auto range = std::make_shared<RangeObject>(*value.As<RangeObject>());
    if (!ReadCut(state_, parts, range->Count(), &cut)) return {};
    range->start += cut.start * range->step;
    const int64_t step = range->step;
    range->step = cut.count > 1 ? step * cut.step : step;
    range->stop = range->start + cut.count * range->step;
    return Value::Of(Kind::kRange, std::move(range));
  }
  return Value::Undefined(
      "'" + TypeName(value) + "' cannot be cut by [start:stop]" +
      (value.Is(Kind::kIterator) || value.Is(Kind::kView) ? "; make a list of it first, with | list" : ""));
}

}  // namespace r1::jinja
