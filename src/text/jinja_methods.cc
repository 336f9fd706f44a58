// Methods of strings.

#include <algorithm>

#include "base/quote.h"
#include "text/jinja_eval.h"
#include "text/unicode_case.h"
#include "text/word_split.h"

namespace r1::jinja {
namespace {

using Method = Value (*)(Interpreter& run, const Value& self, Args& args);

Value Text(RenderState& state, OriginText text) {
  const bool content = text.HasContent();
  return MakeString(state, std::move(text), content);
}

template <Case how>
Value CaseMethod(Interpreter& run, const Value& self, Args& args) {
  return args.Bind(run.state(), "this method", {}, 0) ? ChangeCase(run.state(), self.text(), how) : Value();
}

template <bool left, bool right>
Value StripMethod(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "strip", {"chars"}, 0)) return {};
  const bool chosen = args.Get(0) != nullptr && !args.Get(0)->Is(Kind::kNone);
  const OriginText characters = chosen ? args.Text(state, 0, "") : OriginText();
  return Strip(state, self.text(), chosen ? &characters : nullptr, left, right);
}

// Occurrences of `separator` that do not overlap, from the left or the right, at most `limit` (all if negative); in
// order.
std::vector<size_t> Cuts(RenderState& state, const std::string& text, const std::string& separator, int64_t limit,
                         bool from_right) {
  std::vector<size_t> cuts;
  if (!from_right) {
    for (size_t at = 0; limit != 0 && state.ChargeBytes(sizeof(size_t)); --limit) {
      at = FindText(text, separator, at);
      if (at == std::string::npos) break;
      cuts.push_back(at);
      at += separator.size();
    }
    return cuts;
  }
  const std::string mirrored(text.rbegin(), text.rend()), needle(separator.rbegin(), separator.rend());
  if (!state.ChargeBytes(text.size())) return cuts;
  cuts = Cuts(state, mirrored, needle, limit, false);
  for (size_t& at : cuts) at = text.size() - at - separator.size();
  std::reverse(cuts.begin(), cuts.end());
  return cuts;
}

void SplitSpace(RenderState& state, const OriginText& text, int64_t limit, std::vector<Value>* out) {
  size_t at = StripBounds(text.bytes(), true, false).first;
  while (at < text.size() && state.ChargeBytes(sizeof(Value))) {
    if (limit-- == 0) {
      out->push_back(Text(state, text.Slice(at, text.size())));
      return;
    }
    size_t end = at;
    while (end < text.size()) {
      const Utf8Character c = Utf8At(text.bytes(), end);
      if (IsPythonSpace(c.code)) break;
      end += static_cast<size_t>(c.length);
    }
    out->push_back(Text(state, text.Slice(at, end)));
    at = end + StripBounds(std::string_view(text.bytes()).substr(end), true, false).first;
  }
}

void SplitSpaceFromRight(RenderState& state, const OriginText& text, int64_t limit, std::vector<Value>* out) {
  size_t end = StripBounds(text.bytes(), false, true).second;
  while (end > 0 && state.ChargeBytes(sizeof(Value))) {
    if (limit-- == 0) {
      out->push_back(Text(state, text.Slice(0, end)));
      break;
    }
    size_t begin = end;
    while (begin > 0) {
      size_t at = begin - 1;
      while (at > 0 && (static_cast<unsigned char>(text.bytes()[at]) & 0xC0) == 0x80) --at;
      if (IsPythonSpace(Utf8At(text.bytes(), at).code)) break;
      begin = at;
    }
    out->push_back(Text(state, text.Slice(begin, end)));
    end = StripBounds(std::string_view(text.bytes()).substr(0, begin), false, true).second;
  }
  std::reverse(out->begin(), out->end());
}

template <bool from_right>
Value Split(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "split", {"sep", "maxsplit"}, 0)) return {};
  const int64_t limit = args.Int(state, 1, -1);
  const OriginText& text = self.text();
  std::vector<Value> out;
  if (args.Get(0) == nullptr || args.Get(0)->Is(Kind::kNone)) {
    from_right ? SplitSpaceFromRight(state, text, limit, &out) : SplitSpace(state, text, limit, &out);
    return MakeList(state, std::move(out), self.content());
  }
  const std::string separator = args.Text(state, 0, "").bytes();
  if (separator.empty()) {
    state.Fail("split needs a separator that is not empty");
    return {};
  }
  size_t begin = 0;
  for (const size_t at : Cuts(state, text.bytes(), separator, limit, from_right)) {
    out.push_back(Text(state, text.Slice(begin, at)));
    if (!state.ChargeBytes(sizeof(Value))) return {};
    begin = at + separator.size();
  }
  out.push_back(Text(state, text.Slice(begin, text.size())));
  return MakeList(state, std::move(out), self.content());
}

template <bool from_right>
Value Partition(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "partition", {"sep"}, 1)) return {};
  const OriginText& text = self.text();
  const std::string separator = args.Text(state, 0, "").bytes();
  if (separator.empty()) state.Fail("partition needs a separator that is not empty");
  if (state.failed()) return {};
  const std::vector<size_t> cuts = Cuts(state, text.bytes(), separator, 1, from_right);
  const Value nothing = MakeString(state, std::string(), false);
  std::vector<Value> out;
  if (cuts.empty()) {
    out = from_right ? std::vector<Value>{nothing, nothing, self} : std::vector<Value>{self, nothing, nothing};
  } else {
    const size_t end = cuts[0] + separator.size();
    out = {Text(state, text.Slice(0, cuts[0])), Text(state, text.Slice(cuts[0], end)),
           Text(state, text.Slice(end, text.size()))};
  }
  return MakeList(state, std::move(out), self.content(), Kind::kTuple);
}

Value SplitLines(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "splitlines", {"keepends"}, 0)) return {};
  std::vector<Value> out;
  for (OriginText& line : Lines(state, self.text(), args.Bool(0, false))) out.push_back(Text(state, std::move(line)));
  return MakeList(state, std::move(out), self.content());
}

bool HasEnd(const std::string& text, const std::string& part, bool at_start) {
  return text.size() >= part.size() && text.compare(at_start ? 0 : text.size() - part.size(), part.size(), part) == 0;
}

template <bool at_start>
Value EndTest(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, at_start ? "startswith" : "endswith", {at_start ? "prefix" : "suffix"}, 1)) return {};
  if (!args.Get(0)->Is(Kind::kTuple)) {
    return Value::Bool(HasEnd(self.text().bytes(), args.Text(state, 0, "").bytes(), at_start));
  }
  for (const Value& item : args.Get(0)->As<ListObject>()->items) {
    if (!item.Is(Kind::kString)) {
      state.Fail("startswith and endswith take a string or a tuple of strings");
      return {};
    }
    if (!state.Charge(1)) return {};
    if (HasEnd(self.text().bytes(), item.text().bytes(), at_start)) return Value::Bool(true);
  }
  return Value::Bool(false);
}

template <bool prefix>
Value RemoveEnd(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, prefix ? "removeprefix" : "removesuffix", {"part"}, 1)) return {};
  const std::string part = args.Text(state, 0, "").bytes();
  const OriginText& text = self.text();
  if (!HasEnd(text.bytes(), part, prefix)) return self;
  return Text(state, prefix ? text.Slice(part.size(), text.size()) : text.Slice(0, text.size() - part.size()));
}

enum class Search : uint8_t { kFind, kLastFind, kIndex, kLastIndex, kCount };

template <Search how>
Value FindMethod(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "this method", {"sub", "start", "end"}, 1)) return {};
  const std::string& text = self.text().bytes();
  const std::string part = args.Text(state, 0, "").bytes();
  if (!state.ChargeBytes(5 * text.size())) return {};
  const std::vector<uint32_t> offsets = CharacterOffsets(text);
  const auto size = static_cast<int64_t>(offsets.size()) - 1;
  const auto place = [&](size_t i, int64_t fallback) {
    if (args.Get(i) != nullptr && args.Get(i)->Is(Kind::kNone)) return fallback;
    const int64_t at = args.Int(state, i, fallback);
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const int64_t first = place(1, 0), last = std::max(place(2, size), first);
  const bool outside = args.Get(1) != nullptr && args.Get(1)->IsIntegral() && args.Get(1)->Integral() > size;
  if (state.failed()) return {};
  const std::string window = text.substr(offsets[static_cast<size_t>(first)],
                                         offsets[static_cast<size_t>(last)] - offsets[static_cast<size_t>(first)]);
  if (how == Search::kCount) {
    if (part.empty()) return Value::Int(outside ? 0 : last - first + 1, self.content());
    return Value::Int(static_cast<int64_t>(Cuts(state, window, part, -1, false).size()), self.content());
  }
  const bool right = how == Search::kLastFind || how == Search::kLastIndex;
  std::vector<size_t> cuts;
  if (part.empty()) {
    if (!outside) cuts.push_back(right ? window.size() : 0);
  } else {
    cuts = Cuts(state, window, part, 1, right);
  }
  if (cuts.empty()) {
    if (how == Search::kIndex || how == Search::kLastIndex)
      state.Fail("index: the string does not hold " + Quote(part, 40));
    return Value::Int(-1, self.content());
  }
  const auto at = static_cast<int64_t>(CharacterCount(std::string_view(window).substr(0, cuts[0])));
  return Value::Int(first + at, self.content());
}

Value ReplaceMethod(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "replace", {"old", "new", "count"}, 2)) return {};
  return Replace(state, self.text(), args.Text(state, 0, ""), args.Text(state, 1, ""), args.Int(state, 2, -1));
}

Value JoinMethod(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "join", {"iterable"}, 1)) return {};
  const auto items = Items(state, *args.Get(0));
  if (items == nullptr) return {};
  OriginText out;
  bool first = true;
  for (const Value& item : items->items) {
    if (!item.Is(Kind::kString)) {
      state.Fail("join takes strings, not '" + TypeName(item) + "'; the filter | join makes strings of its items");
      return {};
    }
    if (!state.ChargeBytes(item.text().size() + self.text().size())) return {};
    if (!first) out.Append(self.text());
    first = false;
    out.Append(item.text());
    if (out.size() > static_cast<size_t>(state.max_text())) break;
  }
  return Text(state, std::move(out));
}

// Padding to a width in characters. kind: '<' ljust, '>' rjust, '^' center, '0' zfill.
template <char kind>
Value Pad(Interpreter& run, const Value& self, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "this method", {"width", "fillchar"}, 1)) return {};
  const OriginText fill = kind == '0' ? OriginText("0", false) : args.Text(state, 1, " ");
  const OriginText& text = self.text();
  const int64_t width = args.Int(state, 0, 0);
  const int64_t pad = width - static_cast<int64_t>(CharacterCount(text.bytes()));
  if (CharacterCount(fill.bytes()) != 1) state.Fail("the fill character must be one character");
  if (state.failed()) return {};
  if (pad <= 0) return self;
  if (!state.ChargeText(static_cast<size_t>(std::min<int64_t>(pad, INT32_MAX)) * fill.size())) return {};
  const int64_t left = kind == '<' ? 0 : kind == '^' ? pad / 2 + (pad & width & 1) : pad;
  const bool sign = kind == '0' && !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+');
  OriginText out = text.Slice(0, sign ? 1 : 0);
  for (int64_t i = 0; i < left; ++i) out.Append(fill);
  out.AppendSlice(text, sign ? 1 : 0, text.size());
  for (int64_t i = left; i < pad; ++i) out.Append(fill);
  return Text(state, std::move(out));
}

// ASCII exactly; beyond it a character with case counts as a letter, and so does every one that is not a space or a
// general punctuation mark.
bool IsAlpha(int32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  return c != 0xD7 && c != 0xF7 && !IsPythonSpace(c) && (c < 0x2000 || c > 0x2BFF) && (c < 0x3000 || c > 0x3004) &&
         (c < 0x3008 || c > 0x3030) && (c < 0xFE10 || c > 0xFE6F) && (c < 0xFF00 || c > 0xFF20) && c < 0xE0000;
}

enum class Class : uint8_t { kAlpha, kDigit, kAlnum, kSpace, kAscii };

template <Class wanted>
Value IsMethod(Interpreter& run, const Value& self, Args& args) {
  if (!args.Bind(run.state(), "this method", {}, 0)) return {};
  const std::string& text = self.text().bytes();
  for (size_t i = 0; i < text.size();) {
    const Utf8Character c = Utf8At(text, i);
    const bool digit = c.code >= '0' && c.code <= '9';
    const bool good = wanted == Class::kAlpha   ? IsAlpha(c.code)
                      : wanted == Class::kDigit ? digit
                      : wanted == Class::kAlnum ? digit || IsAlpha(c.code)
                      : wanted == Class::kSpace ? IsPythonSpace(c.code)
                                                : c.code >= 0 && c.code < 0x80;
    if (!good) return Value::Bool(false);
    i += static_cast<size_t>(c.length);
  }
  return Value::Bool(wanted == Class::kAscii || !text.empty());
}

template <bool upper>
Value CaseTest(Interpreter& run, const Value& self, Args& args) {
  return Value::Bool(run.Test(upper ? "upper" : "lower", self, args));
}

Value FormatMethod(Interpreter& run, const Value& self, Args& args) { return FormatBraces(run, self, args); }

struct Entry {
  std::string_view name;
  Method method;
};

constexpr Entry kMethods[] = {
    {"capitalize", CaseMethod<Case::kCapital>},
    {"casefold", CaseMethod<Case::kLower>},
    {"center", Pad<'^'>},
    {"count", FindMethod<Search::kCount>},
    {"endswith", EndTest<false>},
    {"find", FindMethod<Search::kFind>},
    {"format", FormatMethod},
    {"index", FindMethod<Search::kIndex>},
    {"isalnum", IsMethod<Class::kAlnum>},
    {"isalpha", IsMethod<Class::kAlpha>},
    {"isascii", IsMethod<Class::kAscii>},
    {"isdecimal", IsMethod<Class::kDigit>},
    {"isdigit", IsMethod<Class::kDigit>},
    {"islower", CaseTest<false>},
    {"isnumeric", IsMethod<Class::kDigit>},
    {"isspace", IsMethod<Class::kSpace>},
    {"isupper", CaseTest<true>},
    {"join", JoinMethod},
    {"ljust", Pad<'<'>},
    {"lower", CaseMethod<Case::kLower>},
    {"lstrip", StripMethod<true, false>},
    {"partition", Partition<false>},
    {"removeprefix", RemoveEnd<true>},
    {"removesuffix", RemoveEnd<false>},
    {"replace", ReplaceMethod},
    {"rfind", FindMethod<Search::kLastFind>},
    {"rindex", FindMethod<Search::kLastIndex>},
    {"rjust", Pad<'>'>},
    {"rpartition", Partition<true>},
    {"rsplit", Split<true>},
    {"rstrip", StripMethod<false, true>},
    {"split", Split<false>},
    {"splitlines", SplitLines},
    {"startswith", EndTest<true>},
    {"strip", StripMethod<true, true>},
    {"swapcase", CaseMethod<Case::kSwap>},
    {"title", CaseMethod<Case::kTitle>},
    {"upper", CaseMethod<Case::kUpper>},
    {"zfill", Pad<'0'>},
};

}  // namespace

std::string_view TextMethodName(std::string_view name) {
  for (const Entry& entry : kMethods) {
    if (entry.name == name) return entry.name;
  }
  return "";
}

Value CallTextMethod(Interpreter& run, const Value& self, std::string_view name, Args& args) {
  for (const Entry& entry : kMethods) {
    if (entry.name == name) return entry.method(run, self, args);
  }
  return {};
}

}  // namespace r1::jinja
