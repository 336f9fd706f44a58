// Filters of strings and numbers, and the string operations that methods share with them. What a filter puts into a
// text of its own accord (spaces of indent, the dots of truncate) is scaffold; every other byte keeps its origin.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "text/jinja_eval.h"
#include "text/unicode_case.h"
#include "text/word_split.h"

namespace r1::jinja {

OriginText Escaped(const OriginText& text) {
  OriginText out;
  size_t done = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const char* escaped = c == '&'    ? "&amp;"
                          : c == '<'  ? "&lt;"
                          : c == '>'  ? "&gt;"
                          : c == '\'' ? "&#39;"
                          : c == '"'  ? "&#34;"
                                      : nullptr;
    if (escaped == nullptr) continue;
    out.AppendSlice(text, done, i);
    out.Append(escaped, text.ContentAt(i));
    done = i + 1;
  }
  out.AppendSlice(text, done, text.size());
  return out;
}

Value Replace(RenderState& state, const OriginText& text, const OriginText& from, const OriginText& to, int64_t limit) {
  OriginText out;
  size_t done = 0;
  const auto put = [&](size_t end, size_t next) {
    out.AppendSlice(text, done, end);
    out.Append(to);
    done = next;
    if (out.size() > static_cast<size_t>(state.max_text())) return state.ChargeText(out.size());
    return state.ChargeBytes(to.size());
  };
  if (from.empty()) {  // between all characters
    for (const uint32_t at : CharacterOffsets(text.bytes())) {
      if (limit-- == 0 || !put(at, at)) break;
    }
  } else {
    for (size_t at = 0; limit != 0; --limit) {
      at = FindText(text.bytes(), from.bytes(), at);
      if (at == std::string::npos || !put(at, at + from.size())) break;
      at += from.size();
    }
  }
  out.AppendSlice(text, done, text.size());
  const bool content = out.HasContent();
  return MakeString(state, std::move(out), content);
}

Value ChangeCase(RenderState& state, const OriginText& text, Case how) {
  if (!state.ChargeBytes(text.size())) return {};
  OriginText out;
  std::string changed;
  bool start = true;  // of the text or a word
  for (size_t i = 0; i < text.size();) {
    const Utf8Character c = Utf8At(text.bytes(), i);
    bool upper = how == Case::kUpper;
    if (how == Case::kSwap) upper = !IsUpper(c.code);
    if (how == Case::kCapital || how == Case::kTitle || how == Case::kWords) upper = start;
    changed.clear();
    if (c.code < 0) {
      changed = text.bytes().substr(i, 1);
    } else if (upper) {
      AppendUpper(changed, c.code);
    } else {
      AppendLower(changed, c.code);
    }
    start = false;
    if (how == Case::kTitle) start = !IsUpper(c.code) && !IsLower(c.code);
    if (how == Case::kWords)
      start =
          IsPythonSpace(c.code) || c.code == '-' || c.code == '(' || c.code == '{' || c.code == '[' || c.code == '<';
    out.Append(changed, text.ContentAt(i));
    i += static_cast<size_t>(c.length);
  }
  const bool content = out.HasContent();
  return MakeString(state, std::move(out), content);
}

std::vector<OriginText> Lines(RenderState& state, const OriginText& text, bool keep_ends) {
  std::vector<OriginText> lines;
  const std::string& bytes = text.bytes();
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size();) {
    const Utf8Character c = Utf8At(bytes, i);
    size_t next = i + static_cast<size_t>(c.length);
    const bool ends = (c.code >= '\n' && c.code <= '\r') || (c.code >= 0x1C && c.code <= 0x1E) || c.code == 0x85 ||
                      c.code == 0x2028 || c.code == 0x2029;
    if (c.code == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
    if (ends) {
      if (!state.ChargeBytes(sizeof(OriginText) + next - begin)) return {};
      lines.push_back(text.Slice(begin, keep_ends ? next : i));
      begin = next;
    }
    i = next;
  }
  if (begin < bytes.size()) lines.push_back(text.Slice(begin, bytes.size()));
  return lines;
}

Value Strip(RenderState& state, const OriginText& text, const OriginText* characters, bool left, bool right) {
  size_t begin = 0, end = text.size();
  if (characters == nullptr) {
    std::tie(begin, end) = StripBounds(text.bytes(), left, right);
  } else {
    // One character of the set at a time; the set is short in any sensible template, and charged in any other.
    const auto in_set = [&](size_t at, size_t length) {
      return state.ChargeBytes(characters->size()) &&
             FindText(characters->bytes(), std::string_view(text.bytes()).substr(at, length), 0) != std::string::npos;
    };
    while (left && begin < end) {
      const auto length = static_cast<size_t>(Utf8At(text.bytes(), begin).length);
      if (!in_set(begin, length)) break;
      begin += length;
    }
    while (right && end > begin) {
      size_t at = end - 1;
      while (at > begin && (static_cast<unsigned char>(text.bytes()[at]) & 0xC0) == 0x80) --at;
      if (!in_set(at, end - at)) break;
      end = at;
    }
  }
  const OriginText out = text.Slice(begin, end);
  return MakeString(state, out, out.HasContent());
}

namespace {

Value Text(RenderState& state, OriginText text) {
  const bool content = text.HasContent();
  return MakeString(state, std::move(text), content);
}

Value NotANumber(RenderState& state, const char* filter, const Value& value) {
  state.Fail(value.Is(Kind::kUndefined) && value.object()
                 ? value.text().bytes()
                 : std::string(filter) + " needs a number, not '" + TypeName(value) + "'");
  return {};
}

template <Case how>
Value CaseFilter(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "this filter", {}, 0)) return {};
  return ChangeCase(run.state(), Str(run.state(), subject), how);
}

Value Abs(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "abs", {}, 0)) return {};
  if (subject.Is(Kind::kFloat)) return Value::Float(std::fabs(subject.f()), subject.content());
  if (!subject.IsIntegral()) return NotANumber(run.state(), "abs", subject);
  return subject.Integral() < 0 ? Binary(run.state(), Op::kSubtract, Value::Int(0), subject)
                                : Value::Int(subject.Integral(), subject.content());
}

Value Center(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "center", {"width"}, 0)) return {};
  const OriginText text = Str(state, subject);
  const int64_t pad = args.Int(state, 0, 80) - static_cast<int64_t>(CharacterCount(text.bytes()));
  if (pad <= 0) return Text(state, text);
  if (!state.ChargeText(static_cast<size_t>(pad))) return {};
  // As Python's str.center: the odd space goes left if the width is odd.
  const int64_t left = pad / 2 + (pad & args.Int(state, 0, 80) & 1);
  OriginText out(std::string(static_cast<size_t>(left), ' '), false);
  out.Append(text);
  out.Append(std::string(static_cast<size_t>(pad - left), ' '), false);
  return Text(state, std::move(out));
}

Value Escape(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "escape", {}, 0)) return {};
  if (subject.Is(Kind::kString) && subject.As<StringObject>()->markup) return subject;
  OriginText text = Str(run.state(), subject);
  if (!run.state().ChargeBytes(6 * text.size())) return {};
  text = Escaped(text);
  const bool content = text.HasContent();
  return MakeString(run.state(), std::move(text), content, true);
}

Value ForceEscape(Interpreter& run, const Value& subject, Args& args) {
  return Escape(run, Text(run.state(), Str(run.state(), subject)), args);
}

Value Safe(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "safe", {}, 0)) return {};
  OriginText text = Str(run.state(), subject);
  const bool content = text.HasContent();
  return MakeString(run.state(), std::move(text), content, true);
}

Value ToText(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "string", {}, 0)) return {};
  return subject.Is(Kind::kString) ? subject : Text(run.state(), Str(run.state(), subject));
}

Value Format(Interpreter& run, const Value& subject, Args& args) {
  if (!args.positional.empty() && !args.keywords.empty()) {
    run.state().Fail("format takes values or names, not both");
    return {};
  }
  const Value text = Text(run.state(), Str(run.state(), subject));
  if (args.keywords.empty()) return FormatPercent(run.state(), text, args.positional, nullptr);
  auto dict = std::make_shared<DictObject>();
  for (const auto& [name, value] : args.keywords) {
    dict->Set(run.state(), MakeString(run.state(), name, false), value);
  }
  const Value mapping = MakeDict(run.state(), std::move(dict), false);
  return run.state().failed() ? Value() : FormatPercent(run.state(), text, {mapping}, &mapping);
}

Value Indent(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "indent", {"width", "first", "blank"}, 0)) return {};
  OriginText space;
  if (args.Get(0) != nullptr && args.Get(0)->Is(Kind::kString)) {
    space = args.Get(0)->text();
  } else {
    const int64_t width = std::max<int64_t>(args.Int(state, 0, 4), 0);
    if (!state.ChargeText(static_cast<size_t>(width))) return {};
    space = OriginText(std::string(static_cast<size_t>(width), ' '), false);
  }
  if (!subject.Is(Kind::kString) && !subject.Is(Kind::kUndefined)) {
    state.Fail("indent needs a string, not '" + TypeName(subject) + "'; make one with | string");
    return {};
  }
  OriginText text = Str(state, subject);
  text.Append("\n", false);  // so that a text that ends with a line end keeps it
  OriginText out;
  if (args.Bool(1, false)) out.Append(space);
  bool first = true;
  for (const OriginText& line : Lines(state, text, false)) {
    if (!first) {
      out.Append("\n", false);
      if (!line.empty() || args.Bool(2, false)) out.Append(space);
    }
    first = false;
    out.Append(line);
    if (out.size() > static_cast<size_t>(state.max_text()) || !state.ChargeBytes(line.size() + space.size())) break;
  }
  return Text(state, std::move(out));
}

// Python's int(text, base): signs, white space and single underscores allowed. False if it is none.
bool ReadInteger(std::string_view text, int64_t base, int64_t* out) {
  const auto [begin, end] = StripBounds(text, true, true);
  text = text.substr(begin, end - begin);
  std::string digits;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    if (text[0] == '-') digits = "-";
    text.remove_prefix(1);
  }
  const char letter = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : '\0';
  const int64_t said = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  if (said != 0 && (base == said || base == 0)) {
    text.remove_prefix(2);
    base = said;
    if (!text.empty() && text[0] == '_') text.remove_prefix(1);
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || text.empty()) return false;
  bool underscore = true;
  for (const char c : text) {
    if (c == '_' && underscore) return false;
    underscore = c == '_';
    if (c != '_') digits += c;
  }
  if (underscore) return false;
  const char* last = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), last, *out, static_cast<int>(base));
  return read.ec == std::errc() && read.ptr == last;
}

bool ReadFloat(std::string_view text, double* out) {
  const auto [begin, end] = StripBounds(text, true, true);
  text = text.substr(begin, end - begin);
  const bool plus = !text.empty() && text[0] == '+';
  if (plus) text.remove_prefix(1);
  if (text.empty() || (plus && text[0] == '-')) return false;
  const char* last = text.data() + text.size();
  const auto read = std::from_chars(text.data(), last, *out);
  return read.ec == std::errc() && read.ptr == last;
}

// int(x) of a float, or the fallback if it does not fit.
Value Truncated(double x, const Value& fallback, bool content) {
  if (!(std::fabs(x) < 0x1p63)) return fallback;
  return Value::Int(static_cast<int64_t>(x), content);
}

Value ToInt(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "int", {"default", "base"}, 0)) return {};
  const Value fallback = args.Get(0) != nullptr ? *args.Get(0) : Value::Int(0);
  const bool content = subject.content();
  if (subject.Is(Kind::kUndefined)) return NotANumber(state, "int", subject);
  if (subject.IsIntegral()) return Value::Int(subject.Integral(), content);
  if (subject.Is(Kind::kFloat)) return Truncated(subject.f(), fallback, content);
  if (subject.Is(Kind::kBigInt)) return subject;
  if (!subject.Is(Kind::kString)) return fallback;
  int64_t integer = 0;
  double number = 0;
  if (ReadInteger(subject.text().bytes(), args.Int(state, 1, 10), &integer)) return Value::Int(integer, content);
  return ReadFloat(subject.text().bytes(), &number) ? Truncated(number, fallback, content) : fallback;
}

Value ToFloat(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "float", {"default"}, 0)) return {};
  const Value fallback = args.Get(0) != nullptr ? *args.Get(0) : Value::Float(0);
  if (subject.Is(Kind::kUndefined)) return NotANumber(run.state(), "float", subject);
  if (subject.IsNumber()) return Value::Float(subject.Number(), subject.content());
  double number = 0;
  if (subject.Is(Kind::kBigInt) || subject.Is(Kind::kString)) {
    if (ReadFloat(subject.text().bytes(), &number)) return Value::Float(number, subject.content());
  }
  return fallback;
}

Value Round(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "round", {"precision", "method"}, 0)) return {};
  const int64_t precision = args.Int(state, 0, 0);
  const std::string method = args.Text(state, 1, "common").bytes();
  if (!subject.IsNumber()) return NotANumber(state, "round", subject);
  if (precision < -300 || precision > 300) {
    state.Fail("round: a precision of " + std::to_string(precision) + " is not in -300 .. 300");
    return {};
  }
  const double x = subject.Number();
  if (method == "ceil" || method == "floor") {
    const double scale = std::pow(10.0, static_cast<double>(precision));
    return Value::Float((method == "ceil" ? std::ceil(x * scale) : std::floor(x * scale)) / scale, subject.content());
  }
  if (method != "common") {
    state.Fail("round: the method is common, ceil or floor");
    return {};
  }
  if (subject.IsIntegral() && precision >= 0) return Value::Int(subject.Integral(), subject.content());
  double rounded = 0;
  if (precision >= 0) {  // printf rounds the exact value, half to even
    std::string buffer(720, '\0');
    std::snprintf(buffer.data(), buffer.size(), "%.*f", static_cast<int>(precision), x);
    rounded = std::strtod(buffer.c_str(), nullptr);
  } else {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    rounded = std::nearbyint(x / scale) * scale;
  }
  return subject.IsIntegral() ? Truncated(rounded, subject, subject.content())
                              : Value::Float(rounded, subject.content());
}

Value ReplaceFilter(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "replace", {"old", "new", "count"}, 2)) return {};
  const bool all = args.Get(2) == nullptr || args.Get(2)->Is(Kind::kNone);
  return Replace(state, Str(state, subject), Str(state, *args.Get(0)), Str(state, *args.Get(1)),
                 all ? -1 : args.Int(state, 2, -1));
}

Value Trim(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "trim", {"chars"}, 0)) return {};
  const bool chosen = args.Get(0) != nullptr && !args.Get(0)->Is(Kind::kNone);
  const OriginText characters = chosen ? args.Text(state, 0, "") : OriginText();
  return Strip(state, Str(state, subject), chosen ? &characters : nullptr, true, true);
}

Value Truncate(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "truncate", {"length", "killwords", "end", "leeway"}, 0)) return {};
  const OriginText text = Str(state, subject);
  const OriginText end = args.Text(state, 2, "...");
  const int64_t length = args.Int(state, 0, 255), leeway = args.Int(state, 3, 5);
  if (!state.ChargeBytes(5 * text.size())) return {};
  const std::vector<uint32_t> offsets = CharacterOffsets(text.bytes());
  const auto count = static_cast<int64_t>(offsets.size()) - 1;
  const int64_t keep = length - static_cast<int64_t>(CharacterCount(end.bytes()));
  if (keep < 0 || leeway < 0) {
    state.Fail("truncate: the length must hold the end mark, and the leeway must not be negative");
    return {};
  }
  if (count <= length || count - length <= leeway) return Text(state, text);
  size_t cut = offsets[static_cast<size_t>(std::min(keep, count))];
  if (!args.Bool(1, false)) {
    const size_t space = cut == 0 ? std::string::npos : text.bytes().rfind(' ', cut - 1);
    if (space != std::string::npos) cut = space;
  }
  OriginText out = text.Slice(0, cut);
  out.Append(end);
  return Text(state, std::move(out));
}

Value UrlEncode(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "urlencode", {}, 0)) return {};
  if (subject.Is(Kind::kDict) || subject.Is(Kind::kList)) {
    state.Fail("urlencode of dicts and lists is not supported; encode their strings one by one");
    return {};
  }
  const OriginText text = Str(state, subject);
  if (!state.ChargeBytes(3 * text.size())) return {};
  static constexpr char kDigits[] = "0123456789ABCDEF";
  OriginText out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text.bytes()[i]);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                       c == '_' || c == '.' || c == '~' || c == '/';
    out.Append(plain ? std::string(1, static_cast<char>(c)) : std::string{'%', kDigits[c >> 4], kDigits[c & 15]},
               text.ContentAt(i));
  }
  return Text(state, std::move(out));
}

Value WordCount(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "wordcount", {}, 0)) return {};
  const OriginText text = Str(run.state(), subject);
  int64_t count = 0;
  bool inside = false;
  for (const char c : text.bytes()) {
    const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      static_cast<unsigned char>(c) >= 0x80;
    count += word && !inside;
    inside = word;
  }
  return Value::Int(count, subject.content());
}

Value ToJsonFilter(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, 0)) return {};
  JsonStyle style;
  style.ensure_ascii = args.Bool(0, false);
  style.sort_keys = args.Bool(3, false);
  const Value* indent = args.Get(1);
  style.indented = indent != nullptr && !indent->Is(Kind::kNone);
  if (style.indented && indent->Is(Kind::kString)) {
    style.indent = indent->text();
  } else if (style.indented) {
    const int64_t width = std::max<int64_t>(args.Int(state, 1, 0), 0);
    if (!state.ChargeText(static_cast<size_t>(width))) return {};
    style.indent = OriginText(std::string(static_cast<size_t>(width), ' '), false);
  }
  style.item_separator = OriginText(style.indented ? "," : ", ", false);
  style.key_separator = OriginText(": ", false);
  if (const Value* separators = args.Get(2); separators != nullptr && !separators->Is(Kind::kNone)) {
    const auto items = Items(state, *separators);
    if (items == nullptr) return {};
    if (items->items.size() != 2 || !items->items[0].Is(Kind::kString) || !items->items[1].Is(Kind::kString)) {
      state.Fail("tojson: separators are two strings, such as (',', ':')");
      return {};
    }
    style.item_separator = items->items[0].text();
    style.key_separator = items->items[1].text();
  }
  return ToJson(state, subject, style);
}

struct Entry {
  std::string_view name;
  FilterFunction function;
};

constexpr Entry kFilters[] = {
    {"abs", Abs},
    {"capitalize", CaseFilter<Case::kCapital>},
    {"center", Center},
    {"e", Escape},
    {"escape", Escape},
    {"float", ToFloat},
    {"forceescape", ForceEscape},
    {"format", Format},
    {"indent", Indent},
    {"int", ToInt},
    {"replace", ReplaceFilter},
    {"round", Round},
    {"safe", Safe},
    {"string", ToText},
    {"title", CaseFilter<Case::kWords>},
    {"tojson", ToJsonFilter},
    {"trim", Trim},
    {"truncate", Truncate},
    {"upper", CaseFilter<Case::kUpper>},
    {"lower", CaseFilter<Case::kLower>},
    {"urlencode", UrlEncode},
    {"wordcount", WordCount},
};

}  // namespace

FilterFunction FindTextFilter(std::string_view name) {
  for (const Entry& entry : kFilters) {
    if (entry.name == name) return entry.function;
  }
  return nullptr;
}

}  // namespace r1::jinja
