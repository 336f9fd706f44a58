// How values are written: Python's str and repr, to the byte where a template can show them.

#include <charconv>
#include <cmath>

#include "text/jinja_value.h"
#include "text/word_split.h"

namespace r1::jinja {
namespace {

// Characters that Python's repr writes as an escape: controls, formats, separators, private use, no characters. The
// ranges cover all assigned ones of these kinds; unassigned characters are written as they are.
bool Printable(int32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD || c == 0x1680 || c == 0x3000 || c == 0xFEFF) return false;
  if ((c >= 0x2000 && c <= 0x200F) || (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F)) return false;
  if ((c >= 0x600 && c <= 0x605) || c == 0x61C || c == 0x6DD || c == 0x70F || c == 0x180E) return false;
  if ((c >= 0xE000 && c <= 0xF8FF) || (c >= 0xFFF0 && c <= 0xFFFB) || c >= 0xE0000) return c >= 0xE0100 && c <= 0xE01EF;
  return (c & 0xFFFE) != 0xFFFE;
}

std::string EscapeOf(int32_t c) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
  std::string text = c < 0x100 ? "\\x" : c < 0x10000 ? "\\u" : "\\U";
  for (int i = digits - 1; i >= 0; --i) text += kDigits[c >> (4 * i) & 15];
  return text;
}

void AppendStringRepr(const OriginText& text, bool content, OriginText& out) {
  const std::string& bytes = text.bytes();
  const bool doubled = bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos;
  const char quote = doubled ? '"' : '\'';
  out.Append(std::string(1, quote), content);
  for (size_t i = 0; i < bytes.size();) {
    const Utf8Character c = Utf8At(bytes, i);
    const auto length = static_cast<size_t>(c.length);
    const bool origin = text.ContentAt(i);
    if (c.code == '\n') {
      out.Append("\\n", origin);
    } else if (c.code == '\r') {
      out.Append("\\r", origin);
    } else if (c.code == '\t') {
      out.Append("\\t", origin);
    } else if (c.code == '\\' || c.code == quote) {
      out.Append(std::string{'\\', static_cast<char>(c.code)}, origin);
    } else if (c.code >= 0 && !Printable(c.code)) {
      out.Append(EscapeOf(c.code), origin);
    } else {
      out.AppendSlice(text, i, i + length);
    }
    i += length;
  }
  out.Append(std::string(1, quote), content);
}

class ReprWriter {
 public:
  ReprWriter(RenderState& state, OriginText& out) : state_(state), out_(out) {}

  void List(const std::vector<Value>& items, const char* open, const char* close, bool content, int depth) {
    out_.Append(open, content);
    const char* comma = "";
    for (const Value& item : items) {
      if (!state_.Charge(1)) return;
      out_.Append(comma, content);
      AppendRepr(state_, item, out_, depth + 1);
      comma = ", ";
    }
    out_.Append(close, content);
  }

  void Dict(const DictObject& dict, bool content, int depth) {
    out_.Append("{", content);
    const char* comma = "";
    for (const auto& [key, value] : dict.items) {
      if (!state_.Charge(1)) return;
      out_.Append(comma, content);
      AppendRepr(state_, key, out_, depth + 1);
      out_.Append(": ", content);
      AppendRepr(state_, value, out_, depth + 1);
      comma = ", ";
    }
    out_.Append("}", content);
  }

 private:
  RenderState& state_;
  OriginText& out_;
};

}  // namespace

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string shortest(buffer, end);
  const size_t e = shortest.find('e');
  const int exponent = std::stoi(shortest.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return shortest;
  const std::string sign = shortest[0] == '-' ? "-" : "";
  std::string digits;
  for (const char c : shortest.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

void AppendRepr(RenderState& state, const Value& value, OriginText& out, int depth) {
  if (depth > RenderState::kMaxNesting) return state.Fail("a namespace that holds itself cannot be printed");
  if (!state.Charge(1)) return;
  if (out.size() > static_cast<size_t>(state.max_text())) return void(state.ChargeText(out.size()));
  const bool content = value.content();
  ReprWriter writer(state, out);
  switch (value.kind()) {
    case Kind::kUndefined:
      return out.Append("Undefined", content);
    case Kind::kNone:
      return out.Append("None", content);
    case Kind::kBool:
      return out.Append(value.b() ? "True" : "False", content);
    case Kind::kInt:
      return out.Append(std::to_string(value.i()), content);
    case Kind::kFloat:
      return out.Append(FloatText(value.f()), content);
    case Kind::kBigInt:
      return out.Append(value.text());
    case Kind::kString:
      if (state.ChargeBytes(value.text().Cost())) AppendStringRepr(value.text(), content, out);
      return;
    case Kind::kList:
      return writer.List(value.As<ListObject>()->items, "[", "]", content, depth);
    case Kind::kTuple: {
      const auto& items = value.As<ListObject>()->items;
      return writer.List(items, "(", items.size() == 1 ? ",)" : ")", content, depth);
    }
    case Kind::kView:
      out.Append(value.As<ListObject>()->name, content);
      return writer.List(value.As<ListObject>()->items, "([", "])", content, depth);
    case Kind::kDict:
      return writer.Dict(*value.As<DictObject>(), content, depth);
    case Kind::kNamespace:
      out.Append("<Namespace ", content);
      writer.Dict(*value.As<NamespaceObject>(), content, depth + 1);
      return out.Append(">", content);
    case Kind::kRange: {
      const auto& range = *value.As<RangeObject>();
      const std::string step = range.step == 1 ? "" : ", " + std::to_string(range.step);
      return out.Append("range(" + std::to_string(range.start) + ", " + std::to_string(range.stop) + step + ")",
                        content);
    }
    default:  // Python prints an address here
      return out.Append("<" + TypeName(value) + ">", content);
  }
}

OriginText Str(RenderState& state, const Value& value) {
  if (value.Is(Kind::kString)) return value.text();
  OriginText out;
  if (value.Is(Kind::kUndefined)) {
    if (value.unsafe()) state.Fail(value.text().bytes());
    return out;
  }
  AppendRepr(state, value, out);
  return out;
}

}  // namespace r1::jinja
