// Methods and attributes of dicts, lists and the interpreter's own objects, and the global functions.

#include <time.h>

#include <algorithm>
#include <cmath>

#include "base/quote.h"
#include "text/jinja_eval.h"

namespace r1::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // the limit of Jinja's sandbox
constexpr int64_t kMaxRangeEnd = int64_t{1} << 53;

// Names of methods that Python has and a template may ask for; those after the first of a kind change their object,
// which the sandbox forbids.
struct MethodEntry {
  Kind kind;
  std::string_view name;
  bool changes;
};

constexpr MethodEntry kMethods[] = {
    {Kind::kDict, "get", false},         {Kind::kDict, "items", false},  {Kind::kDict, "keys", false},
    {Kind::kDict, "values", false},      {Kind::kDict, "copy", false},   {Kind::kDict, "pop", true},
    {Kind::kDict, "update", true},       {Kind::kDict, "clear", true},   {Kind::kDict, "setdefault", true},
    {Kind::kDict, "popitem", true},      {Kind::kList, "index", false},  {Kind::kList, "count", false},
    {Kind::kList, "copy", false},        {Kind::kList, "append", true},  {Kind::kList, "extend", true},
    {Kind::kList, "insert", true},       {Kind::kList, "pop", true},     {Kind::kList, "remove", true},
    {Kind::kList, "reverse", true},      {Kind::kList, "sort", true},    {Kind::kList, "clear", true},
    {Kind::kTuple, "index", false},      {Kind::kTuple, "count", false}, {Kind::kLoop, "cycle", false},
    {Kind::kLoop, "changed", false},     {Kind::kCycler, "next", false}, {Kind::kCycler, "reset", false},
    {Kind::kFloat, "is_integer", false},
};

constexpr std::string_view kGlobals[] = {"range",           "dict",        "namespace", "cycler", "joiner",
                                         "raise_exception", "strftime_now"};

Value View(RenderState& state, const DictObject& dict, std::string_view what, bool content) {
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items) {
    if (!state.ChargeBytes(sizeof(Value))) return {};
    items.push_back(what == "keys"     ? key
                    : what == "values" ? value
                                       : MakeList(state, {key, value}, false, Kind::kTuple));
  }
  const char* name = what == "keys" ? "dict_keys" : what == "values" ? "dict_values" : "dict_items";
  return MakeList(state, std::move(items), content, Kind::kView, name);
}

Value DictMethod(RenderState& state, const Value& self, std::string_view name, Args& args) {
  const auto& dict = *self.As<DictObject>();
  if (name == "get") {
    if (!args.Bind(state, "get", {"key", "default"}, 1)) return {};
    if (!Hashable(state, *args.Get(0))) {
      state.Fail("unhashable type: '" + TypeName(*args.Get(0)) + "' cannot be a key of a dict");
      return {};
    }
    if (const Value* value = dict.Find(state, *args.Get(0))) return *value;
    return args.Get(1) != nullptr ? *args.Get(1) : Value::None();
  }
  if (!args.Bind(state, name, {}, 0)) return {};
  return name == "copy" ? self : View(state, dict, name, self.content());
}

Value ListMethod(RenderState& state, const Value& self, std::string_view name, Args& args) {
  if (name == "copy") return args.Bind(state, name, {}, 0) ? self : Value();
  if (!args.Bind(state, name, {"value"}, 1)) return {};
  int64_t count = 0, at = 0;
  for (const Value& item : self.As<ListObject>()->items) {
    if (Equal(state, item, *args.Get(0))) {
      if (name == "index") return Value::Int(at, self.content());
      ++count;
    }
    ++at;
  }
  if (name == "index") state.Fail("index: the list does not hold the value");
  return Value::Int(count, self.content());
}

Value CyclerMethod(const Value& self, std::string_view name) {
  auto& cycler = *self.As<CyclerObject>();
  const Value value = cycler.items[cycler.next];
  cycler.next = name == "reset" ? 0 : (cycler.next + 1) % cycler.items.size();
  return name == "reset" ? Value::None() : value;
}

Value LoopCycle(RenderState& state, const LoopObject& loop, Args& args) {
  if (args.positional.empty()) {
    state.Fail("loop.cycle needs values to cycle through");
    return {};
  }
  return args.positional[loop.index0 % args.positional.size()];
}

Value LoopAttribute(const LoopObject& loop, std::string_view name) {
  const auto& items = loop.items->items;
  const auto index0 = static_cast<int64_t>(loop.index0), length = static_cast<int64_t>(items.size());
  if (name == "index") return Value::Int(index0 + 1);
  if (name == "index0") return Value::Int(index0);
  if (name == "revindex") return Value::Int(length - index0);
  if (name == "revindex0") return Value::Int(length - index0 - 1);
  if (name == "first") return Value::Bool(index0 == 0);
  if (name == "last") return Value::Bool(index0 + 1 >= length);
  if (name == "length") return Value::Int(length);
  if (name == "depth") return Value::Int(loop.depth0 + 1);
  if (name == "depth0") return Value::Int(loop.depth0);
  if (name == "previtem") {
    return index0 > 0 ? items[loop.index0 - 1] : Value::Undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index0 + 1 < length ? items[loop.index0 + 1] : Value::Undefined("there is no next item");
  }
  return {};
}

Value Range(RenderState& state, Args& args) {
  auto range = std::make_shared<RangeObject>();
  if (!args.Bind(state, "range", {"start", "stop", "step"}, 1)) return {};
  const bool one = args.Get(1) == nullptr;
  range->start = one ? 0 : args.Int(state, 0, 0);
  range->stop = args.Int(state, one ? 0 : 1, 0);
  range->step = args.Int(state, 2, 1);
  if (range->step == 0) state.Fail("range: the step is 0");
  for (const int64_t x : {range->start, range->stop, range->step}) {
    if (x > kMaxRangeEnd || x < -kMaxRangeEnd) state.Fail("range: " + std::to_string(x) + " is beyond 2^53");
  }
  if (!state.failed() && range->Count() > kMaxRange) {
    state.Fail("range: " + std::to_string(range->Count()) + " numbers; at most " + std::to_string(kMaxRange) +
               " are allowed");
  }
  if (state.failed()) return {};
  bool content = false;
  for (const Value& value : args.positional) content |= value.content();
  return Value::Of(Kind::kRange, std::move(range), content);
}

// dict(pairs or dict, name=value, ...), also for namespace.
bool FillDict(RenderState& state, Args& args, DictObject* dict) {
  if (args.positional.size() > 1) {
    state.Fail("dict and namespace take at most one value, then name=value");
    return false;
  }
  if (!args.positional.empty()) {
    const Value& from = args.positional[0];
    if (from.Is(Kind::kDict) || from.Is(Kind::kNamespace)) {
      for (const auto& [key, value] : from.As<DictObject>()->items) dict->Set(state, key, value);
    } else {
      const auto items = Items(state, from);
      if (items == nullptr) return false;
      for (const Value& item : items->items) {
        const auto pair = Items(state, item);
        if (pair == nullptr) return false;
        if (pair->items.size() != 2) state.Fail("dict: an item is not a pair of key and value");
        if (state.failed()) return false;
        dict->Set(state, pair->items[0], pair->items[1]);
      }
    }
  }
  for (const auto& [name, value] : args.keywords) dict->Set(state, MakeString(state, name, false), value);
  for (const auto& [key, value] : dict->items) {
    if (!Nest(state, *dict, value)) return false;
  }
  return !state.failed();
}

// Time as the C library's strftime writes it in the C locale, with the format's own origin.
Value StrftimeNow(RenderState& state, Args& args) {
  if (!args.Bind(state, "strftime_now", {"format"}, 1)) return {};
  const OriginText format = args.Text(state, 0, "");
  if (format.size() > 256 || format.bytes().find('\0') != std::string::npos) {
    state.Fail("strftime_now: the format is longer than 256 bytes or holds a NUL");
  }
  if (state.failed() || format.empty()) return MakeString(state, std::string(), false);
  tm parts{};
  const time_t seconds = state.now < 0 ? time(nullptr) : static_cast<time_t>(state.now);
  if ((state.now < 0 ? localtime_r(&seconds, &parts) : gmtime_r(&seconds, &parts)) == nullptr) {
    state.Fail("strftime_now: the clock shows no date");
    return {};
  }
  // A byte more in front tells an empty result from one that does not fit.
  const std::string padded = " " + format.bytes();
  std::string buffer(8192, '\0');
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const size_t size = strftime(buffer.data(), buffer.size(), padded.c_str(), &parts);
#pragma GCC diagnostic pop
  if (size == 0) {
    state.Fail("strftime_now: the result of " + Quote(format.bytes(), 60) + " is too long");
    return {};
  }
  std::string text = buffer.substr(1, size - 1);
  return MakeString(state, std::move(text), format.HasContent());
}

}  // namespace

std::string_view MethodName(const Value& object, std::string_view name) {
  if (object.Is(Kind::kString)) return TextMethodName(name);
  for (const MethodEntry& entry : kMethods) {
    if (entry.kind == object.kind() && entry.name == name) return entry.name;
  }
  return "";
}

Value CallMethod(Interpreter& run, const Value& self, std::string_view name, Args& args) {
  RenderState& state = run.state();
  const auto* entry = std::find_if(std::begin(kMethods), std::end(kMethods), [&](const MethodEntry& candidate) {
    return candidate.kind == self.kind() && candidate.name == name;
  });
  if (entry != std::end(kMethods) && entry->changes) {
    state.Fail("'" + std::string(name) + "' would change a " + TypeName(self) +
               ", which a template must not; build a new one with + or a namespace()");
    return {};
  }
  switch (self.kind()) {
    case Kind::kString:
      return CallTextMethod(run, self, name, args);
    case Kind::kDict:
      return DictMethod(state, self, name, args);
    case Kind::kList:
    case Kind::kTuple:
      return ListMethod(state, self, name, args);
    case Kind::kCycler:
      return args.Bind(state, name, {}, 0) ? CyclerMethod(self, name) : Value();
    case Kind::kLoop:
      return LoopCycle(state, *self.As<LoopObject>(), args);
    case Kind::kFloat:
      return Value::Bool(std::isfinite(self.f()) && self.f() == std::floor(self.f()));
    default:
      return {};
  }
}

Value ObjectAttribute(RenderState& state, const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::kLoop:
      return LoopAttribute(*object.As<LoopObject>(), name);
    case Kind::kTuple: {
      const auto& tuple = *object.As<ListObject>();
      if (std::string_view(tuple.name) == "group" && name == "grouper") return tuple.items[0];
      if (std::string_view(tuple.name) == "group" && name == "list") return tuple.items[1];
      return {};
    }
    case Kind::kCycler:
      if (name != "current") return {};
      return object.As<CyclerObject>()->items[object.As<CyclerObject>()->next];
    case Kind::kMacro:
      if (name == "name") return MakeString(state, object.As<MacroObject>()->stmt->macro.name, false);
      return {};
    case Kind::kRange: {
      const auto& range = *object.As<RangeObject>();
      if (name == "start") return Value::Int(range.start);
      if (name == "stop") return Value::Int(range.stop);
      if (name == "step") return Value::Int(range.step);
      return {};
    }
    default:
      return {};
  }
}

std::string_view GlobalName(std::string_view name) {
  for (const std::string_view global : kGlobals) {
    if (global == name) return global;
  }
  return "";
}

Value CallGlobal(Interpreter& run, std::string_view name, Args& args) {
  RenderState& state = run.state();
  if (name == "range") return Range(state, args);
  if (name == "dict") {
    auto dict = std::make_shared<DictObject>();
    return FillDict(state, args, dict.get()) ? MakeDict(state, std::move(dict), false) : Value();
  }
  if (name == "namespace") {
    auto names = std::make_shared<NamespaceObject>();
    if (!state.ChargeBytes(sizeof(NamespaceObject)) || !FillDict(state, args, names.get())) return {};
    run.Remember(names);
    return Value::Of(Kind::kNamespace, std::move(names));
  }
  if (name == "cycler") {
    auto cycler = std::make_shared<CyclerObject>();
    cycler->items = args.positional;
    if (cycler->items.empty()) state.Fail("cycler needs values to cycle through");
    for (const Value& item : cycler->items) Nest(state, *cycler, item);
    return state.failed() ? Value() : Value::Of(Kind::kCycler, std::move(cycler));
  }
  if (name == "joiner") {
    if (!args.Bind(state, "joiner", {"sep"}, 0)) return {};
    auto joiner = std::make_shared<JoinerObject>();
    joiner->separator = args.Get(0) != nullptr ? *args.Get(0) : MakeString(state, std::string(", "), false);
    return Nest(state, *joiner, joiner->separator) ? Value::Of(Kind::kJoiner, std::move(joiner)) : Value();
  }
  if (name == "raise_exception") {
    if (!args.Bind(state, "raise_exception", {"message"}, 1)) return {};
    const std::string message = Str(state, *args.Get(0)).bytes();
    if (!state.failed()) state.named = true;
    state.Fail("the template refuses these messages: " + Quote(message, 512));
    return {};
  }
  if (name == "strftime_now") return StrftimeNow(state, args);
  state.Fail("'" + std::string(name) + "' is not supported");
  return {};
}

}  // namespace r1::jinja
