// Values of the Jinja interpreter: those of Python that chat templates meet, immutable but for namespaces and the
// positions of iterators. A value knows whether it stems from a variable ("content"); strings know it of every byte.
// Containers nest at most RenderState::kMaxNesting deep, so what walks them may recurse; namespaces can form cycles and
// are cleared by the interpreter at the end. All work is charged to a RenderState.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/origin_text.h"

namespace r1::jinja {

// Budgets and the first error of one rendering. After an error every charge fails, so loops end; what is computed after
// it is never shown.
class RenderState {
 public:
  static constexpr int kMaxNesting = 100;

  RenderState(int64_t max_steps, int64_t max_bytes, int64_t max_text, int64_t max_micros);

  // False if an error has happened or the budget of steps or time is spent.
  bool Charge(int64_t steps);
  // Work and memory in proportion to bytes.
  bool ChargeBytes(size_t bytes);
  // A string of `bytes` is about to be made.
  bool ChargeText(size_t bytes);
  void Fail(std::string message);  // the first one counts
  bool failed() const { return failed_; }
  const std::string& message() const { return message_; }
  uint32_t failed_at() const { return failed_at_; }
  int64_t max_text() const { return max_text_; }

  uint32_t at = 0;     // offset in the template of what is being computed
  int64_t now = -1;    // for strftime_now: seconds since 1970 in UTC, or -1 for the clock and local time
  bool named = false;  // the message is the template's own (raise_exception)

 private:
  int64_t max_steps_, max_bytes_, max_text_, max_micros_;
  int64_t begin_micros_;
  int64_t steps_ = 0, bytes_ = 0, next_look_ = 0;
  bool failed_ = false;
  uint32_t failed_at_ = 0;
  std::string message_;
};

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kBigInt,  // an integer of the variables that does not fit: can be printed and compared for equality
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kRange,
  kView,      // items(), keys() and values() of a dict
  kIterator,  // what map, select and others give: can be walked once
  kNamespace,
  kFunction,  // a global function or a method with its object
  kMacro,
  kLoop,
  kCycler,
  kJoiner,
};

struct Object {
  virtual ~Object() = default;
  int depth = 1;  // of nesting, this one included
};

class Value {
 public:
  Value() = default;
  static Value None(bool content = false);
  static Value Bool(bool b, bool content = false);
  static Value Int(int64_t i, bool content = false);
  static Value Float(double f, bool content = false);
  static Value Of(Kind kind, std::shared_ptr<Object> object, bool content = false);
  // The message that using the value gives; unsafe: even printing it does.
  static Value Undefined(std::string message, bool unsafe = false);

  Kind kind() const { return kind_; }
  bool Is(Kind kind) const { return kind_ == kind; }
  bool content() const { return content_; }
  void set_content(bool content) { content_ = content; }
  bool b() const { return i_ != 0; }
  int64_t i() const { return i_; }
  double f() const { return f_; }
  const std::shared_ptr<Object>& object() const { return object_; }
  template <class T>
  T* As() const {
    return static_cast<T*>(object_.get());
  }
  const OriginText& text() const;  // of kString
  bool unsafe() const { return kind_ == Kind::kUndefined && i_ != 0; }
  int depth() const { return object_ == nullptr ? 0 : object_->depth; }
  bool IsNumber() const { return kind_ == Kind::kBool || kind_ == Kind::kInt || kind_ == Kind::kFloat; }
  // Bool and int as an integer.
  bool IsIntegral() const { return kind_ == Kind::kBool || kind_ == Kind::kInt; }
  int64_t Integral() const { return i_; }
  double Number() const { return kind_ == Kind::kFloat ? f_ : static_cast<double>(Integral()); }

 private:
  Kind kind_ = Kind::kUndefined;
  bool content_ = false;
  int64_t i_ = 0;
  double f_ = 0;
  std::shared_ptr<Object> object_;
};

struct StringObject : Object {
  OriginText text;
  bool markup = false;  // marked by "safe" or "escape"
};

struct ListObject : Object {
  std::vector<Value> items;
  const char* name = "";  // of a view or iterator, as Python prints it; of a tuple that groupby made: "group"
  size_t next = 0;        // of an iterator
};

struct DictObject : Object {
  std::vector<std::pair<Value, Value>> items;                     // in the order of insertion
  std::map<std::string, size_t> index;                            // by KeyText, once there are more than a few
  const Value* Find(RenderState& state, const Value& key) const;  // null too for a key that cannot be one
  const Value* Find(std::string_view key) const;
  void Set(RenderState& state, const Value& key, Value value);  // fails on a key that cannot be one
};

struct RangeObject : Object {
  int64_t start = 0, stop = 0, step = 1;
  int64_t Count() const;
};

struct NamespaceObject : DictObject {};

struct FunctionObject : Object {
  std::string_view name;  // in static storage
  Value self;             // undefined for a global function
};

// Making values; a failed charge gives undefined.
Value MakeString(RenderState& state, OriginText text, bool content, bool markup = false);
Value MakeString(RenderState& state, std::string text, bool content);
Value MakeList(RenderState& state, std::vector<Value> items, bool content, Kind kind = Kind::kList,
               const char* name = "");
Value MakeDict(RenderState& state, std::shared_ptr<DictObject> dict, bool content);
// Sets the object's depth from a part's, or fails.
bool Nest(RenderState& state, Object& object, const Value& part);

bool Truthy(const Value& value);
std::string TypeName(const Value& value);  // "str", "dict", "Undefined"
bool Hashable(RenderState& state, const Value& value);
std::string KeyText(RenderState& state, const Value& key);  // equal for keys that are equal; key is hashable

bool Equal(RenderState& state, const Value& a, const Value& b);
bool Less(RenderState& state, const Value& a, const Value& b);  // fails on types without an order
bool Contains(RenderState& state, const Value& container, const Value& item);

// Number of characters or items, or -1 with a failure.
int64_t Length(RenderState& state, const Value& value);
// The items that a loop over the value sees; an iterator is used up. Null with a failure.
std::shared_ptr<ListObject> Items(RenderState& state, const Value& value);

// str(value), and repr(value).
OriginText Str(RenderState& state, const Value& value);
void AppendRepr(RenderState& state, const Value& value, OriginText& out, int depth = 0);
std::string FloatText(double value);  // repr of a Python float

// Characters (code points) of valid UTF-8.
size_t CharacterCount(std::string_view text);
// Byte offset of each character and of the end.
std::vector<uint32_t> CharacterOffsets(std::string_view text);
// Offset of the first occurrence at or after `from`, in linear time; npos if there is none.
size_t FindText(std::string_view text, std::string_view needle, size_t from);
// Python's white space: Unicode White_Space and U+001C to U+001F.
bool IsPythonSpace(int32_t code);
// Bounds of the text without white space at its ends.
std::pair<size_t, size_t> StripBounds(std::string_view text, bool left, bool right);

}  // namespace r1::jinja
