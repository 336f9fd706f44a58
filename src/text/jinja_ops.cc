// Operators of numbers, strings and lists, as Python defines them, on 64-bit integers: an overflow is an error.

#include <cmath>

#include "text/jinja_eval.h"

namespace r1::jinja {
namespace {

const char* OpText(Op op) {
  switch (op) {
    case Op::kAdd:
      return "+";
    case Op::kSubtract:
      return "-";
    case Op::kMultiply:
      return "*";
    case Op::kDivide:
      return "/";
    case Op::kFloorDivide:
      return "//";
    case Op::kModulo:
      return "%";
    default:
      return "**";
  }
}

Value Overflow(RenderState& state) {
  state.Fail("an integer of more than 63 bits");
  return {};
}

Value ByZero(RenderState& state) {
  state.Fail("division by zero; test the divisor first");
  return {};
}

Value PowerOf(RenderState& state, int64_t base, int64_t exponent, bool content) {
  if (exponent < 0) {
    if (base == 0) return ByZero(state);
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)), content);
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return Overflow(state);
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return Overflow(state);
  }
  return Value::Int(result, content);
}

Value Integers(RenderState& state, Op op, int64_t a, int64_t b, bool content) {
  int64_t result = 0;
  switch (op) {
    case Op::kAdd:
      return __builtin_add_overflow(a, b, &result) ? Overflow(state) : Value::Int(result, content);
    case Op::kSubtract:
      return __builtin_sub_overflow(a, b, &result) ? Overflow(state) : Value::Int(result, content);
    case Op::kMultiply:
      return __builtin_mul_overflow(a, b, &result) ? Overflow(state) : Value::Int(result, content);
    case Op::kDivide:
      if (b == 0) return ByZero(state);
      return Value::Float(static_cast<double>(a) / static_cast<double>(b), content);
    case Op::kFloorDivide:
    case Op::kModulo: {
      if (b == 0) return ByZero(state);
      if (b == -1) {  // the one case that can overflow
        if (op == Op::kModulo) return Value::Int(0, content);
        return __builtin_sub_overflow(int64_t{0}, a, &result) ? Overflow(state) : Value::Int(result, content);
      }
      int64_t quotient = a / b, rest = a % b;
      if (rest != 0 && (rest < 0) != (b < 0)) {
        --quotient;
        rest += b;
      }
      return Value::Int(op == Op::kModulo ? rest : quotient, content);
    }
    default:
      return PowerOf(state, a, b, content);
  }
}

Value Floats(RenderState& state, Op op, double a, double b, bool content) {
  switch (op) {
    case Op::kAdd:
      return Value::Float(a + b, content);
    case Op::kSubtract:
      return Value::Float(a - b, content);
    case Op::kMultiply:
      return Value::Float(a * b, content);
    case Op::kDivide:
      return b == 0 ? ByZero(state) : Value::Float(a / b, content);
    case Op::kFloorDivide:
    case Op::kModulo: {
      if (b == 0) return ByZero(state);
      double rest = std::fmod(a, b);
      if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
      if (op == Op::kModulo) return Value::Float(rest == 0 ? std::copysign(0.0, b) : rest, content);
      return Value::Float(std::round((a - rest) / b), content);
    }
    default:
      if (a == 0 && b < 0) return ByZero(state);
      if (a < 0 && b != std::floor(b)) {
        state.Fail("a root of a negative number is not supported");
        return {};
      }
      return Value::Float(std::pow(a, b), content);
  }
}

Value Concatenate(RenderState& state, Value a, const Value& b) {
  auto& left = *a.As<StringObject>();
  const auto& right = *b.As<StringObject>();
  if (left.markup != right.markup) {  // what is not marked as safe is escaped
    OriginText text = left.markup ? left.text : Escaped(left.text);
    text.Append(right.markup ? right.text : Escaped(right.text));
    return MakeString(state, std::move(text), a.content() || b.content(), true);
  }
  if (a.object().use_count() == 1 && a.object() != b.object()) {  // nobody else sees it: append in place
    const size_t total = left.text.size() + right.text.size();
    if (total > static_cast<size_t>(state.max_text())) {
      state.ChargeText(total);
      return {};
    }
    if (!state.ChargeBytes(right.text.Cost())) return {};
    left.text.Append(right.text);
    a.set_content(a.content() || b.content());
    return a;
  }
  if (!state.ChargeText(left.text.size() + right.text.size())) return {};
  auto joined = std::make_shared<StringObject>();
  joined->text = left.text;
  joined->text.Append(right.text);
  joined->markup = left.markup;
  return Value::Of(Kind::kString, std::move(joined), a.content() || b.content());
}

Value Repeat(RenderState& state, const Value& what, int64_t times) {
  const auto count = static_cast<uint64_t>(times < 0 ? 0 : times);
  if (what.Is(Kind::kString)) {
    const OriginText& text = what.text();
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(text.Cost()), &bytes)) bytes = UINT64_MAX;
    if (!state.ChargeText(bytes)) return {};
    OriginText out;
    for (uint64_t i = 0; i < (text.empty() ? 0 : count); ++i) out.Append(text);
    auto object = std::make_shared<StringObject>();
    object->text = std::move(out);
    return Value::Of(Kind::kString, std::move(object), what.content());
  }
  const auto& items = what.As<ListObject>()->items;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(count, static_cast<uint64_t>(items.size() * sizeof(Value)), &bytes)) bytes = UINT64_MAX;
  if (!state.ChargeText(bytes)) return {};
  std::vector<Value> out;
  for (uint64_t i = 0; i < (items.empty() ? 0 : count); ++i) out.insert(out.end(), items.begin(), items.end());
  return MakeList(state, std::move(out), what.content(), what.kind());
}

bool Repeatable(const Value& value) {
  return value.Is(Kind::kString) || value.Is(Kind::kList) || value.Is(Kind::kTuple);
}

}  // namespace

Value Binary(RenderState& state, Op op, Value a, const Value& b) {
  if (!state.Charge(1)) return {};
  const bool content = a.content() || b.content();
  if (a.IsIntegral() && b.IsIntegral()) return Integers(state, op, a.Integral(), b.Integral(), content);
  if (a.IsNumber() && b.IsNumber()) return Floats(state, op, a.Number(), b.Number(), content);
  if (op == Op::kAdd && a.kind() == b.kind()) {
    if (a.Is(Kind::kString)) return Concatenate(state, std::move(a), b);
    if (a.Is(Kind::kList) || a.Is(Kind::kTuple)) {
      const auto& left = a.As<ListObject>()->items;
      const auto& right = b.As<ListObject>()->items;
      if (!state.ChargeBytes((left.size() + right.size()) * sizeof(Value))) return {};
      std::vector<Value> items = left;
      items.insert(items.end(), right.begin(), right.end());
      return MakeList(state, std::move(items), content, a.kind());
    }
  }
  if (op == Op::kMultiply && Repeatable(a) && b.IsIntegral()) return Repeat(state, a, b.Integral());
  if (op == Op::kMultiply && Repeatable(b) && a.IsIntegral()) return Repeat(state, b, a.Integral());
  if (op == Op::kModulo && a.Is(Kind::kString)) {
    if (b.Is(Kind::kTuple)) return FormatPercent(state, a, b.As<ListObject>()->items, nullptr);
    return FormatPercent(state, a, {b}, b.Is(Kind::kDict) || b.Is(Kind::kList) ? &b : nullptr);
  }
  for (const Value* value : {static_cast<const Value*>(&a), &b}) {
    if (value->Is(Kind::kUndefined)) {
      state.Fail(value->object() ? value->text().bytes() : "an undefined value has no operators");
      return {};
    }
  }
  const bool text = a.Is(Kind::kString) || b.Is(Kind::kString);
  state.Fail("'" + TypeName(a) + "' " + OpText(op) + " '" + TypeName(b) + "' is not possible" +
             (op == Op::kAdd && text ? "; make a string of both with | string, or join them with ~" : ""));
  return {};
}

}  // namespace r1::jinja
