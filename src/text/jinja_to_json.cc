// Python's json.dumps, which Hugging Face puts behind tojson. Brackets, commas and quotes have the origin of the list,
// dict or string they stand around; the characters of strings keep their own.

#include <algorithm>
#include <cmath>

#include "text/jinja_eval.h"
#include "text/word_split.h"

namespace r1::jinja {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

class JsonWriter {
 public:
  JsonWriter(RenderState& state, const JsonStyle& style) : state_(state), style_(style) {}

  void Write(const Value& value, size_t depth) {
    if (!state_.Charge(1)) return;
    if (out_.size() > static_cast<size_t>(state_.max_text())) return void(state_.ChargeText(out_.size()));
    switch (value.kind()) {
      case Kind::kNone:
        return out_.Append("null", value.content());
      case Kind::kBool:
        return out_.Append(value.b() ? "true" : "false", value.content());
      case Kind::kInt:
        return out_.Append(std::to_string(value.i()), value.content());
      case Kind::kFloat:
        return out_.Append(Number(value.f()), value.content());
      case Kind::kBigInt:
        return out_.Append(value.text());
      case Kind::kString:
        return String(value.text(), value.content());
      case Kind::kList:
      case Kind::kTuple:
        return List(*value.As<ListObject>(), value.content(), depth);
      case Kind::kDict:
        return Dict(*value.As<DictObject>(), value.content(), depth);
      default:
        state_.Fail("'" + TypeName(value) + "' cannot be written as JSON" +
                    (value.Is(Kind::kIterator) || value.Is(Kind::kView) || value.Is(Kind::kRange)
                         ? "; make a list of it first, with | list"
                         : ""));
    }
  }

  OriginText Take() { return std::move(out_); }

 private:
  static std::string Number(double x) {
    if (std::isnan(x)) return "NaN";
    if (std::isinf(x)) return x < 0 ? "-Infinity" : "Infinity";
    return FloatText(x);
  }

  void Separator(const OriginText& text, bool content) {
    if (content) {
      out_.Append(text.bytes(), true);
    } else {
      out_.Append(text);
    }
  }

  void NewLine(bool content, size_t depth) {
    if (!style_.indented) return;
    if (!state_.ChargeBytes(depth * style_.indent.size())) return;
    out_.Append("\n", content);
    for (size_t i = 0; i < depth; ++i) Separator(style_.indent, content);
  }

  void List(const ListObject& list, bool content, size_t depth) {
    if (list.items.empty()) return out_.Append("[]", content);
    out_.Append("[", content);
    for (size_t i = 0; i < list.items.size() && !state_.failed(); ++i) {
      if (i > 0) Separator(style_.item_separator, content);
      NewLine(content, depth + 1);
      Write(list.items[i], depth + 1);
    }
    NewLine(content, depth);
    out_.Append("]", content);
  }

  void Dict(const DictObject& dict, bool content, size_t depth) {
    if (dict.items.empty()) return out_.Append("{}", content);
    std::vector<const std::pair<Value, Value>*> order;
    for (const auto& item : dict.items) order.push_back(&item);
    if (!state_.ChargeBytes(order.size() * sizeof(void*))) return;
    if (style_.sort_keys) {
      std::stable_sort(order.begin(), order.end(),
                       [this](const auto* a, const auto* b) { return Less(state_, a->first, b->first); });
    }
    out_.Append("{", content);
    bool first = true;
    for (const auto* item : order) {
      if (state_.failed()) return;
      if (!first) Separator(style_.item_separator, content);
      first = false;
      NewLine(content, depth + 1);
      WriteKey(item->first);
      Separator(style_.key_separator, content);
      Write(item->second, depth + 1);
    }
    NewLine(content, depth);
    out_.Append("}", content);
  }

  void WriteKey(const Value& key) {
    if (key.Is(Kind::kString)) return String(key.text(), key.content());
    if (!key.IsNumber() && !key.Is(Kind::kNone) && !key.Is(Kind::kBigInt)) {
      return state_.Fail("a key of type '" + TypeName(key) +
                         "' cannot be written as JSON; keys are strings or numbers");
    }
    out_.Append("\"", key.content());
    Write(key, 0);
    out_.Append("\"", key.content());
  }

  static std::string Hex4(int32_t code) {
    std::string text = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) text += kDigits[code >> shift & 15];
    return text;
  }

  void String(const OriginText& text, bool content) {
    if (!state_.ChargeBytes(text.Cost())) return;
    const std::string& bytes = text.bytes();
    out_.Append("\"", content);
    size_t done = 0;
    for (size_t i = 0; i < bytes.size();) {
      const Utf8Character c = Utf8At(bytes, i);
      const auto length = static_cast<size_t>(c.length);
      std::string escaped;
      static constexpr std::string_view kFrom = "\"\\\n\r\t\b\f", kTo = "\"\\nrtbf";
      const size_t simple = c.code >= 0 && c.code < 0x80 ? kFrom.find(static_cast<char>(c.code)) : std::string::npos;
      if (simple != std::string::npos) {
        escaped = std::string{'\\', kTo[simple]};
      } else if (c.code >= 0 && c.code < 0x20) {
        escaped = Hex4(c.code);
      } else if (style_.ensure_ascii && c.code >= 0x10000) {
        escaped = Hex4(0xD800 + ((c.code - 0x10000) >> 10)) + Hex4(0xDC00 + ((c.code - 0x10000) & 0x3FF));
      } else if (style_.ensure_ascii && c.code >= 0x7F) {
        escaped = c.code == 0x7F ? "" : Hex4(c.code);
      }
      if (!escaped.empty()) {
        out_.AppendSlice(text, done, i);
        out_.Append(escaped, text.ContentAt(i));
        done = i + length;
      }
      i += length;
    }
    out_.AppendSlice(text, done, bytes.size());
    out_.Append("\"", content);
  }

  RenderState& state_;
  const JsonStyle& style_;
  OriginText out_;
};

}  // namespace

Value ToJson(RenderState& state, const Value& value, const JsonStyle& style) {
  JsonWriter writer(state, style);
  writer.Write(value, 0);
  OriginText text = writer.Take();
  const bool content = text.HasContent();
  return MakeString(state, std::move(text), content);
}

}  // namespace r1::jinja
