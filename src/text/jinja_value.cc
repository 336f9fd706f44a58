#include "text/jinja_value.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/utf8.h"
#include "text/word_split.h"

namespace r1::jinja {
namespace {

constexpr size_t kSmallDict = 8;
constexpr int64_t kBytesPerStep = 256;
constexpr size_t kStringBytes = sizeof(StringObject) + 16;  // of a string beside its text
constexpr int64_t kLookEvery = 256;                         // steps between looks at the clock

// CPU time of this thread: a budget of work, not of waiting for a busy machine.
int64_t ThreadMicros() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000;
}

}  // namespace

RenderState::RenderState(int64_t max_steps, int64_t max_bytes, int64_t max_text, int64_t max_micros)
    : max_steps_(max_steps),
      max_bytes_(max_bytes),
      max_text_(max_text),
      max_micros_(max_micros),
      begin_micros_(ThreadMicros()) {}

void RenderState::Fail(std::string message) {
  if (failed_) return;
  failed_ = true;
  failed_at_ = at;
  message_ = std::move(message);
}

bool RenderState::Charge(int64_t steps) {
  if (failed_) return false;
  steps_ += steps;
  if (steps_ > max_steps_) {
    Fail("more than " + std::to_string(max_steps_) + " steps; the template does too much work (limit max_steps)");
    return false;
  }
  if (steps_ >= next_look_) {
    next_look_ = steps_ + kLookEvery;
    if (ThreadMicros() - begin_micros_ > max_micros_) {
      Fail("more than " + std::to_string(max_micros_ / 1000) +
           " ms of computing time; the template does too much work (limit max_ms)");
      return false;
    }
  }
  return true;
}

bool RenderState::ChargeBytes(size_t bytes) {
  const auto count = static_cast<int64_t>(std::min<size_t>(bytes, size_t{1} << 40));
  bytes_ += count;
  if (!failed_ && bytes_ > max_bytes_) {
    Fail("strings and lists of more than " + std::to_string(max_bytes_) +
         " bytes in all; the template does too much work (limit max_bytes)");
  }
  return Charge(1 + count / kBytesPerStep);
}

bool RenderState::ChargeText(size_t bytes) {
  if (!failed_ && bytes > static_cast<size_t>(max_text_)) {
    Fail("a string of " + std::to_string(bytes) + " bytes; at most " + std::to_string(max_text_) +
         " are allowed (limit max_output)");
  }
  return !failed_ && ChargeBytes(bytes);
}

Value Value::None(bool content) {
  Value v;
  v.kind_ = Kind::kNone;
  v.content_ = content;
  return v;
}

Value Value::Bool(bool b, bool content) {
  Value v;
  v.kind_ = Kind::kBool;
  v.content_ = content;
  v.i_ = b ? 1 : 0;
  return v;
}

Value Value::Int(int64_t i, bool content) {
  Value v;
  v.kind_ = Kind::kInt;
  v.content_ = content;
  v.i_ = i;
  return v;
}

Value Value::Float(double f, bool content) {
  Value v;
  v.kind_ = Kind::kFloat;
  v.content_ = content;
  v.f_ = f;
  return v;
}

Value Value::Of(Kind kind, std::shared_ptr<Object> object, bool content) {
  Value v;
  v.kind_ = kind;
  v.content_ = content;
  v.object_ = std::move(object);
  return v;
}

Value Value::Undefined(std::string message, bool unsafe) {
  auto object = std::make_shared<StringObject>();
  object->text = OriginText(std::move(message), false);
  Value v = Of(Kind::kUndefined, std::move(object));
  v.i_ = unsafe ? 1 : 0;
  return v;
}

const OriginText& Value::text() const { return As<StringObject>()->text; }

const Value* DictObject::Find(std::string_view key) const {
  if (index.empty()) {
    for (const auto& [name, value] : items) {
      if (name.Is(Kind::kString) && name.text().bytes() == key) return &value;
    }
    return nullptr;
  }
  const auto found = index.find("s" + std::string(key));
  return found == index.end() ? nullptr : &items[found->second].second;
}

const Value* DictObject::Find(RenderState& state, const Value& key) const {
  if (key.Is(Kind::kString)) return Find(key.text().bytes());
  if (!Hashable(state, key)) return nullptr;
  const std::string text = KeyText(state, key);
  if (!index.empty()) {
    const auto found = index.find(text);
    return found == index.end() ? nullptr : &items[found->second].second;
  }
  for (const auto& [name, value] : items) {
    if (!name.Is(Kind::kString) && KeyText(state, name) == text) return &value;
  }
  return nullptr;
}

void DictObject::Set(RenderState& state, const Value& key, Value value) {
  if (!Hashable(state, key)) return state.Fail("unhashable type: '" + TypeName(key) + "' cannot be a key of a dict");
  if (const Value* old = Find(state, key)) {
    *const_cast<Value*>(old) = std::move(value);
    return;
  }
  if (!state.ChargeBytes(2 * sizeof(Value))) return;
  items.emplace_back(key, std::move(value));
  if (items.size() <= kSmallDict) return;
  for (size_t i = index.empty() ? 0 : items.size() - 1; i < items.size(); ++i) {
    std::string text = KeyText(state, items[i].first);
    if (!state.ChargeBytes(text.size() + sizeof(std::string))) return;
    index.emplace(std::move(text), i);
  }
}

int64_t RangeObject::Count() const {
  // Unsigned: the distance of two int64 may not fit one.
  if (step > 0) {
    return start >= stop ? 0
                         : static_cast<int64_t>((static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) - 1) /
                                                    static_cast<uint64_t>(step) +
                                                1);
  }
  const uint64_t size = uint64_t{0} - static_cast<uint64_t>(step);
  return start <= stop
             ? 0
             : static_cast<int64_t>((static_cast<uint64_t>(start) - static_cast<uint64_t>(stop) - 1) / size + 1);
}

Value MakeString(RenderState& state, OriginText text, bool content, bool markup) {
  if (!state.ChargeText(text.size()) || !state.ChargeBytes(text.Cost() - text.size() + kStringBytes)) return {};
  auto object = std::make_shared<StringObject>();
  object->text = std::move(text);
  object->markup = markup;
  return Value::Of(Kind::kString, std::move(object), content);
}

Value MakeString(RenderState& state, std::string text, bool content) {
  return MakeString(state, OriginText(std::move(text), content), content);
}

bool Nest(RenderState& state, Object& object, const Value& part) {
  object.depth = std::max(object.depth, part.depth() + 1);
  if (object.depth > RenderState::kMaxNesting) {
    state.Fail("lists and dicts are nested more than " + std::to_string(RenderState::kMaxNesting) + " deep");
  }
  return !state.failed();
}

Value MakeList(RenderState& state, std::vector<Value> items, bool content, Kind kind, const char* name) {
  if (!state.ChargeBytes(items.size() * sizeof(Value))) return {};
  auto object = std::make_shared<ListObject>();
  for (const Value& item : items) {
    if (!Nest(state, *object, item)) return {};
  }
  object->items = std::move(items);
  object->name = name;
  return Value::Of(kind, std::move(object), content);
}

Value MakeDict(RenderState& state, std::shared_ptr<DictObject> dict, bool content) {
  for (const auto& [key, value] : dict->items) {
    if (!Nest(state, *dict, key) || !Nest(state, *dict, value)) return {};
  }
  return Value::Of(Kind::kDict, std::move(dict), content);
}

bool Truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.i() != 0;
    case Kind::kFloat:
      return value.f() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return !value.As<ListObject>()->items.empty();
    case Kind::kDict:
      return !value.As<DictObject>()->items.empty();
    case Kind::kRange:
      return value.As<RangeObject>()->Count() > 0;
    default:
      return true;
  }
}

std::string TypeName(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kView:
    case Kind::kIterator:
      return value.As<ListObject>()->name;
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kFunction:
      return "function";
    case Kind::kMacro:
      return "Macro";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "";
}

bool Hashable(RenderState& state, const Value& value) {
  if (value.Is(Kind::kList) || value.Is(Kind::kDict) || value.Is(Kind::kView)) return false;
  if (!value.Is(Kind::kTuple)) return true;
  for (const Value& item : value.As<ListObject>()->items) {
    if (!state.Charge(1) || !Hashable(state, item)) return false;
  }
  return true;
}

std::string KeyText(RenderState& state, const Value& key) {
  if (!state.Charge(1)) return "";
  switch (key.kind()) {
    case Kind::kBool:
    case Kind::kInt:
      return "n" + std::to_string(key.i());
    case Kind::kBigInt:
      return "n" + key.text().bytes();
    case Kind::kFloat:
      if (key.f() == std::floor(key.f()) && std::fabs(key.f()) < 0x1p63)
        return "n" + std::to_string(static_cast<int64_t>(key.f()));
      return "f" + FloatText(key.f());
    case Kind::kString:
      return "s" + key.text().bytes();
    case Kind::kNone:
      return "0";
    case Kind::kUndefined:
      return "u";
    case Kind::kTuple: {
      std::string text = "t";
      for (const Value& item : key.As<ListObject>()->items) {
        const std::string part = KeyText(state, item);
        if (!state.ChargeBytes(part.size())) return "";
        text += std::to_string(part.size()) + ":" + part;
      }
      return text;
    }
    default:
      return "p" + std::to_string(reinterpret_cast<uintptr_t>(key.object().get()));
  }
}

namespace {

bool EqualItems(RenderState& state, const ListObject& a, const ListObject& b) {
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!Equal(state, a.items[i], b.items[i])) return false;
  }
  return true;
}

bool EqualDicts(RenderState& state, const DictObject& a, const DictObject& b) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    const Value* other = b.Find(state, key);
    if (other == nullptr || !Equal(state, value, *other)) return false;
  }
  return true;
}

// Exact: a float is an integer's equal only if it is that integer.
int CompareNumbers(const Value& a, const Value& b) {
  if (a.IsIntegral() && b.IsIntegral()) return a.i() < b.i() ? -1 : a.i() > b.i() ? 1 : 0;
  const auto x = static_cast<long double>(a.IsIntegral() ? static_cast<long double>(a.i()) : a.f());
  const auto y = static_cast<long double>(b.IsIntegral() ? static_cast<long double>(b.i()) : b.f());
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

}  // namespace

bool Equal(RenderState& state, const Value& a, const Value& b) {
  if (!state.Charge(1)) return false;
  if (a.IsNumber() && b.IsNumber()) return CompareNumbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kBigInt:
    case Kind::kString:
      if (a.text().size() != b.text().size()) return false;
      return state.Charge(static_cast<int64_t>(a.text().size()) / kBytesPerStep) &&
             a.text().bytes() == b.text().bytes();
    case Kind::kList:
    case Kind::kTuple:
      return EqualItems(state, *a.As<ListObject>(), *b.As<ListObject>());
    case Kind::kDict:
      return EqualDicts(state, *a.As<DictObject>(), *b.As<DictObject>());
    case Kind::kRange: {
      const auto& x = *a.As<RangeObject>();
      const auto& y = *b.As<RangeObject>();
      const int64_t n = x.Count();
      return n == y.Count() && (n == 0 || (x.start == y.start && (n == 1 || x.step == y.step)));
    }
    default:
      return a.object() == b.object();
  }
}

bool Less(RenderState& state, const Value& a, const Value& b) {
  if (!state.Charge(1)) return false;
  if (a.IsNumber() && b.IsNumber()) return CompareNumbers(a, b) == -1;
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) {
    const size_t bytes = std::min(a.text().size(), b.text().size());
    return state.Charge(static_cast<int64_t>(bytes) / kBytesPerStep) && a.text().bytes() < b.text().bytes();
  }
  if (a.kind() == b.kind() && (a.Is(Kind::kList) || a.Is(Kind::kTuple))) {
    const auto& x = a.As<ListObject>()->items;
    const auto& y = b.As<ListObject>()->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!Equal(state, x[i], y[i])) return Less(state, x[i], y[i]);
    }
    return x.size() < y.size();
  }
  for (const Value* value : {&a, &b}) {
    if (value->Is(Kind::kUndefined)) {
      state.Fail(value->object() ? value->text().bytes() : "an undefined value cannot be ordered");
      return false;
    }
  }
  state.Fail("'" + TypeName(a) + "' and '" + TypeName(b) + "' have no order; compare values of one type");
  return false;
}

bool Contains(RenderState& state, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.Is(Kind::kString)) {
        state.Fail("'in' of a string needs a string on its left, not '" + TypeName(item) + "'");
        return false;
      }
      return state.Charge(1 + static_cast<int64_t>(container.text().size()) / kBytesPerStep) &&
             FindText(container.text().bytes(), item.text().bytes(), 0) != std::string::npos;
    case Kind::kDict:
      if (!Hashable(state, item)) {
        state.Fail("unhashable type: '" + TypeName(item) + "' cannot be a key of a dict");
        return false;
      }
      return container.As<DictObject>()->Find(state, item) != nullptr;
    case Kind::kRange: {
      const auto& range = *container.As<RangeObject>();
      if (!item.IsNumber() || item.Number() != std::floor(item.Number())) return false;
      const long double x = item.IsIntegral() ? static_cast<long double>(item.i()) : item.f();
      const long double offset = (x - static_cast<long double>(range.start)) / static_cast<long double>(range.step);
      return offset >= 0 && offset < static_cast<long double>(range.Count()) && offset == std::floor(offset);
    }
    default: {
      const auto items = Items(state, container);
      if (items == nullptr) return false;
      for (const Value& candidate : items->items) {
        if (Equal(state, candidate, item)) return true;
        if (state.failed()) return false;
      }
      return false;
    }
  }
}

int64_t Length(RenderState& state, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      state.Charge(static_cast<int64_t>(value.text().size()) / kBytesPerStep);
      return static_cast<int64_t>(CharacterCount(value.text().bytes()));
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return static_cast<int64_t>(value.As<ListObject>()->items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.As<DictObject>()->items.size());
    case Kind::kRange:
      return value.As<RangeObject>()->Count();
    default:
      state.Fail("'" + TypeName(value) + "' has no length" +
                 (value.Is(Kind::kIterator) ? "; make a list of it first, with | list" : ""));
      return -1;
  }
}

std::shared_ptr<ListObject> Items(RenderState& state, const Value& value) {
  auto list = std::make_shared<ListObject>();
  switch (value.kind()) {
    case Kind::kUndefined:
      return list;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return std::static_pointer_cast<ListObject>(value.object());
    case Kind::kIterator: {
      auto& iterator = *value.As<ListObject>();
      if (!state.ChargeBytes((iterator.items.size() - iterator.next) * sizeof(Value))) return nullptr;
      list->items.assign(iterator.items.begin() + static_cast<ptrdiff_t>(iterator.next), iterator.items.end());
      list->depth = iterator.depth;
      iterator.next = iterator.items.size();
      return list;
    }
    case Kind::kDict:
      for (const auto& [key, unused] : value.As<DictObject>()->items) {
        list->items.push_back(key);
        list->depth = std::max(list->depth, key.depth() + 1);
      }
      return state.ChargeBytes(list->items.size() * sizeof(Value)) ? list : nullptr;
    case Kind::kRange: {
      const auto& range = *value.As<RangeObject>();
      const int64_t count = range.Count();
      if (!state.ChargeBytes(static_cast<size_t>(count) * sizeof(Value))) return nullptr;
      for (int64_t i = 0; i < count; ++i) list->items.push_back(Value::Int(range.start + i * range.step));
      return list;
    }
    case Kind::kString: {
      const OriginText& text = value.text();
      list->depth = 2;
      for (size_t begin = 0; begin < text.size();) {
        const auto length = static_cast<size_t>(std::max(1, Utf8Length(std::string_view(text.bytes()).substr(begin))));
        list->items.push_back(MakeString(state, text.Slice(begin, begin + length), text.ContentAt(begin)));
        if (!state.ChargeBytes(sizeof(Value) + sizeof(StringObject))) return nullptr;
        begin += length;
      }
      return list;
    }
    default:
      state.Fail("'" + TypeName(value) + "' cannot be walked; it is not a list, dict or string");
      return nullptr;
  }
}

size_t CharacterCount(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

std::vector<uint32_t> CharacterOffsets(std::string_view text) {
  std::vector<uint32_t> offsets;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) offsets.push_back(static_cast<uint32_t>(i));
  }
  offsets.push_back(static_cast<uint32_t>(text.size()));
  return offsets;
}

size_t FindText(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string::npos;
  if (needle.empty()) return from;
  // memmem of the C library is linear in the text, std::string::find is not.
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return found == nullptr ? std::string::npos : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

bool IsPythonSpace(int32_t code) { return IsUnicodeSpace(code) || (code >= 0x1C && code <= 0x1F); }

std::pair<size_t, size_t> StripBounds(std::string_view text, bool left, bool right) {
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    const Utf8Character c = Utf8At(text, begin);
    if (!IsPythonSpace(c.code)) break;
    begin += static_cast<size_t>(c.length);
  }
  while (right && end > begin) {
    size_t at = end - 1;
    while (at > begin && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    if (!IsPythonSpace(Utf8At(text, at).code)) break;
    end = at;
  }
  return {begin, end};
}

}  // namespace r1::jinja
