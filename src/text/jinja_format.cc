// "%s" % value and "{}".format(value): the fields of Python's two small languages of formats that templates use. What a
// field shows keeps its origin; padding is scaffold.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/quote.h"
#include "text/jinja_eval.h"

namespace r1::jinja {
namespace {

constexpr int64_t kMaxPrecision = 300;

struct Spec {
  std::string fill = " ";
  char align = '\0';  // '<' '>' '^' '='
  char sign = '-';    // '-' '+' ' '
  bool alternate = false;
  bool zero = false;
  char grouping = '\0';  // ',' '_'
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

bool ReadCount(std::string_view text, size_t* at, int64_t* out) {
  *out = 0;
  const size_t begin = *at;
  while (*at < text.size() && text[*at] >= '0' && text[*at] <= '9') {
    *out = std::min<int64_t>(*out * 10 + (text[*at] - '0'), INT32_MAX);
    ++*at;
  }
  return *at > begin;
}

std::string Digits(uint64_t x, unsigned base, bool upper) {
  std::string text;
  do {
    text += (upper ? "0123456789ABCDEF" : "0123456789abcdef")[x % base];
    x /= base;
  } while (x > 0);
  std::reverse(text.begin(), text.end());
  return text;
}

void Group(std::string* digits, char mark) {
  const size_t end = std::min(digits->find_first_not_of("0123456789"), digits->size());
  for (size_t i = end; i > 3; i -= 3) digits->insert(i - 3, 1, mark);
}

// Sign and digits of a number under a spec. False: the type does not fit.
bool NumberText(const Value& value, const Spec& spec, std::string* sign, std::string* digits) {
  const char type = spec.type;
  const bool whole = value.IsIntegral();
  if (whole &&
      (type == '\0' || type == 'd' || type == 'x' || type == 'X' || type == 'o' || type == 'b' || type == 'n')) {
    const int64_t i = value.Integral();
    const uint64_t size = i < 0 ? uint64_t{0} - static_cast<uint64_t>(i) : static_cast<uint64_t>(i);
    const unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    *digits = Digits(size, base, type == 'X');
    if (spec.alternate && base != 10) *digits = std::string("0") + type + *digits;
    if (spec.grouping != '\0' && base == 10) Group(digits, spec.grouping);
    *sign = i < 0 ? "-" : "";
  } else {
    const double x = value.Number();
    *sign = std::signbit(x) ? "-" : "";
    const double size = std::fabs(x);
    if (type == '\0' && spec.precision < 0) {
      *digits = FloatText(size);
    } else {
      const char conversion = type == '\0' ? 'g' : type == '%' ? 'f' : type;
      if (std::string_view("eEfFgG").find(conversion) == std::string_view::npos) return false;
      const int precision = static_cast<int>(std::min(spec.precision < 0 ? 6 : spec.precision, kMaxPrecision));
      const std::string format = std::string(spec.alternate ? "%#.*" : "%.*") + conversion;
      std::string buffer(720, '\0');
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
      const int length =
          std::snprintf(buffer.data(), buffer.size(), format.c_str(), precision, type == '%' ? size * 100 : size);
#pragma GCC diagnostic pop
      *digits = buffer.substr(0, static_cast<size_t>(std::max(length, 0)));
      if (type == '%') *digits += '%';
    }
    if (spec.grouping != '\0') Group(digits, spec.grouping);
  }
  if (sign->empty() && spec.sign != '-') *sign = std::string(1, spec.sign);
  return true;
}

// `text` in a field of the spec's width; sign: what zeros go behind.
void AppendPadded(RenderState& state, const std::string& sign, const OriginText& text, const Spec& spec,
                  char default_align, bool content, OriginText* out) {
  const auto size = static_cast<int64_t>(CharacterCount(text.bytes()) + sign.size());
  const int64_t pad = std::max<int64_t>(spec.width - size, 0);
  const bool zeros = spec.zero && spec.align == '\0';
  const char align = zeros ? '=' : spec.align == '\0' ? default_align : spec.align;
  const std::string fill = zeros ? "0" : spec.fill;
  if (!state.ChargeText(static_cast<size_t>(pad) * fill.size() + text.size() + out->size())) return;
  const int64_t left = align == '<' ? 0 : align == '^' ? pad / 2 : pad;
  const auto put = [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i) out->Append(fill, false);
  };
  if (align == '=') out->Append(sign, content);
  put(left);
  if (align != '=') out->Append(sign, content);
  out->Append(text);
  put(pad - left);
}

bool AppendField(RenderState& state, const Value& value, const Spec& spec, OriginText* out) {
  if (value.IsNumber() && !(value.Is(Kind::kBool) && spec.type == '\0') && spec.type != 's') {
    std::string sign, digits;
    if (!NumberText(value, spec, &sign, &digits)) {
      state.Fail(std::string("format: '") + spec.type + "' is no type for a '" + TypeName(value) + "'");
      return false;
    }
    AppendPadded(state, sign, OriginText(digits, value.content()), spec, '>', value.content(), out);
    return !state.failed();
  }
  if (spec.type != '\0' && spec.type != 's') {
    state.Fail(std::string("format: '") + spec.type + "' needs a number, not '" + TypeName(value) + "'");
    return false;
  }
  OriginText text = Str(state, value);
  if (spec.precision >= 0) {
    const std::vector<uint32_t> offsets = CharacterOffsets(text.bytes());
    const auto keep = std::min(static_cast<size_t>(spec.precision), offsets.size() - 1);
    text = text.Slice(0, offsets[keep]);
  }
  Spec plain = spec;
  plain.zero = false;
  if (spec.zero && spec.align == '\0') {
    plain.fill = "0";
    plain.align = '<';
  }
  AppendPadded(state, "", text, plain, '<', false, out);
  return !state.failed();
}

OriginText Repr(RenderState& state, const Value& value) {
  OriginText text;
  AppendRepr(state, value, text);
  return text;
}

// The part of a format after the colon.
bool ReadSpec(RenderState& state, std::string_view text, Spec* spec) {
  size_t at = 0;
  const auto is_align = [&](size_t i) {
    return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
  };
  size_t first = 1;  // bytes of the first character
  while (first < text.size() && (static_cast<unsigned char>(text[first]) & 0xC0) == 0x80) ++first;
  if (is_align(first) && !text.empty()) {
    spec->fill = std::string(text.substr(0, first));
    spec->align = text[first];
    at = first + 1;
  } else if (is_align(0)) {
    spec->align = text[at++];
  }
  const auto take = [&](std::string_view any, char* out) {
    if (at >= text.size() || any.find(text[at]) == std::string_view::npos) return false;
    *out = text[at++];
    return true;
  };
  char unused = '\0';
  take("+- ", &spec->sign);
  spec->alternate = take("#", &unused);
  spec->zero = take("0", &unused);
  ReadCount(text, &at, &spec->width);
  take(",_", &spec->grouping);
  if (take(".", &unused) && !ReadCount(text, &at, &spec->precision)) at = text.size() + 1;
  take("bdeEfFgGnosxX%", &spec->type);
  if (at == text.size()) return true;
  state.Fail("format: " + Quote(text, 40) + " is no format of a field");
  return false;
}

}  // namespace

Value FormatPercent(RenderState& state, const Value& text, const std::vector<Value>& values, const Value* mapping) {
  const OriginText& format = text.text();
  const std::string& bytes = format.bytes();
  OriginText out;
  size_t next = 0, done = 0;
  for (size_t i = bytes.find('%'); i != std::string::npos; i = bytes.find('%', done)) {
    if (!state.Charge(1)) return {};
    out.AppendSlice(format, done, i);
    size_t at = i + 1;
    const Value* value = nullptr;
    if (at < bytes.size() && bytes[at] == '(') {
      const size_t end = bytes.find(')', at);
      if (end == std::string::npos || mapping == nullptr || !mapping->Is(Kind::kDict)) {
        state.Fail("%(name) in a format needs a dict on the right of %");
        return {};
      }
      value = mapping->As<DictObject>()->Find(std::string_view(bytes).substr(at + 1, end - at - 1));
      if (value == nullptr) {
        state.Fail("the format asks for " + Quote(bytes.substr(at + 1, end - at - 1), 40) + ", which the dict lacks");
        return {};
      }
      at = end + 1;
    }
    Spec spec;
    for (; at < bytes.size() && std::string_view("#0- +").find(bytes[at]) != std::string_view::npos; ++at) {
      if (bytes[at] == '#') spec.alternate = true;
      if (bytes[at] == '0') spec.zero = true;
      if (bytes[at] == '-') spec.align = '<';
      if (bytes[at] == '+' || (bytes[at] == ' ' && spec.sign == '-')) spec.sign = bytes[at];
    }
    ReadCount(bytes, &at, &spec.width);
    if (at < bytes.size() && bytes[at] == '.') ReadCount(bytes, &++at, &spec.precision);
    const char type = at < bytes.size() ? bytes[at] : '\0';
    done = at + 1;
    if (type == '%') {
      out.Append("%", format.ContentAt(at));
      continue;
    }
    if (type == '\0' || std::string_view("sridufFeEgGxXoc").find(type) == std::string_view::npos) {
      state.Fail("the format ends in a % or has one of a kind that is not supported; write %% for a percent sign");
      return {};
    }
    if (value == nullptr) {
      if (next >= values.size()) {
        state.Fail("the format has more fields than there are values");
        return {};
      }
      value = &values[next++];
    }
    Value shown = *value;
    spec.type = type;
    if (type == 's' || type == 'r' || type == 'c') {
      const OriginText field = type == 'r' ? Repr(state, shown) : Str(state, shown);
      shown = MakeString(state, field, field.HasContent());
      spec.type = 's';
      spec.zero = false;
      if (spec.align == '\0') spec.align = '>';
    } else if (!shown.IsNumber()) {
      state.Fail(std::string("%") + type + " needs a number, not '" + TypeName(shown) + "'");
    } else if (type == 'i' || type == 'u' || type == 'd') {
      spec.type = 'd';
      if (shown.Is(Kind::kFloat)) {
        if (!(std::fabs(shown.f()) < 0x1p63)) state.Fail("%d of a number that is no 64-bit integer");
        if (!state.failed()) shown = Value::Int(static_cast<int64_t>(shown.f()), shown.content());
      }
    }
    if (state.failed() || !AppendField(state, shown, spec, &out)) return {};
  }
  if (next < values.size() && mapping == nullptr) {
    state.Fail("the format has fewer fields than there are values");
    return {};
  }
  out.AppendSlice(format, done, bytes.size());
  const bool content = out.HasContent();
  return MakeString(state, std::move(out), content);
}

namespace {

// Reads "{...}" of one format string.
class BraceFormatter {
 public:
  BraceFormatter(Interpreter& run, const OriginText& format, const Args& args)
      : run_(run), state_(run.state()), format_(format), args_(args) {}

  OriginText Run() {
    const std::string& bytes = format_.bytes();
    size_t done = 0;
    for (size_t i = bytes.find_first_of("{}"); i != std::string::npos; i = bytes.find_first_of("{}", done)) {
      if (!state_.Charge(1)) break;
      out_.AppendSlice(format_, done, i);
      if (i + 1 < bytes.size() && bytes[i + 1] == bytes[i]) {
        out_.AppendSlice(format_, i, i + 1);
        done = i + 2;
        continue;
      }
      const size_t end = bytes.find('}', i);
      if (bytes[i] == '}' || end == std::string::npos) {
        state_.Fail("format: a single '" + std::string(1, bytes[i]) + "'; write it twice to print it");
        break;
      }
      Field(std::string_view(bytes).substr(i + 1, end - i - 1));
      done = end + 1;
      if (state_.failed()) break;
    }
    out_.AppendSlice(format_, done, bytes.size());
    return std::move(out_);
  }

 private:
  void Field(std::string_view field) {
    const size_t colon = std::min(field.find(':'), field.size());
    std::string_view name = field.substr(0, colon);
    Spec spec;
    if (field.find('{') != std::string_view::npos) return state_.Fail("format: fields inside fields are not supported");
    if (colon < field.size() && !ReadSpec(state_, field.substr(colon + 1), &spec)) return;
    char conversion = '\0';
    if (const size_t mark = name.find('!'); mark != std::string_view::npos) {
      conversion = mark + 2 == name.size() ? name[mark + 1] : '?';
      name = name.substr(0, mark);
    }
    Value value = Find(name);
    if (state_.failed()) return;
    if (conversion != '\0') {
      if (conversion != 's' && conversion != 'r') return state_.Fail("format: conversions are !s and !r");
      OriginText text = conversion == 'r' ? Repr(state_, value) : Str(state_, value);
      const bool content = text.HasContent();
      value = MakeString(state_, std::move(text), content);
    }
    if (!state_.failed()) AppendField(state_, value, spec, &out_);
  }

  Value Find(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = Base(name.substr(0, end));
    for (size_t at = end; at < name.size() && !state_.failed();) {
      if (name[at] == '.') {
        const size_t stop = std::min(name.find_first_of(".[", at + 1), name.size());
        value = run_.Attribute(value, name.substr(at + 1, stop - at - 1));
        at = stop;
      } else {
        const size_t stop = name.find(']', at);
        if (name[at] != '[' || stop == std::string_view::npos) {
          state_.Fail("format: " + Quote(name, 40) + " is no name of a value");
          break;
        }
        const std::string_view key = name.substr(at + 1, stop - at - 1);
        size_t read = 0;
        int64_t index = 0;
        const bool number = ReadCount(key, &read, &index) && read == key.size();
        value = run_.Item(value, number ? Value::Int(index) : MakeString(state_, std::string(key), false));
        at = stop + 1;
      }
    }
    return value;
  }

  Value Base(std::string_view name) {
    size_t read = 0;
    int64_t index = 0;
    if (name.empty() || (ReadCount(name, &read, &index) && read == name.size())) {
      if (name.empty()) index = next_++;
      if (index < static_cast<int64_t>(args_.positional.size())) return args_.positional[static_cast<size_t>(index)];
      state_.Fail("format: there is no value for field " + std::to_string(index));
      return {};
    }
    for (const auto& [keyword, value] : args_.keywords) {
      if (keyword == name) return value;
    }
    state_.Fail("format: there is no value named " + Quote(name, 40));
    return {};
  }

  Interpreter& run_;
  RenderState& state_;
  const OriginText& format_;
  const Args& args_;
  OriginText out_;
  int64_t next_ = 0;
};

}  // namespace

Value FormatBraces(Interpreter& run, const Value& text, const Args& args) {
  OriginText out = BraceFormatter(run, text.text(), args).Run();
  const bool content = out.HasContent();
  return MakeString(run.state(), std::move(out), content);
}

}  // namespace r1::jinja
