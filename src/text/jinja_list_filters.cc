// Filters of lists and dicts. Python gives iterators for some (map, select, ...); here they are computed at once, and
// can be walked once like Python's.

#include <algorithm>
#include <set>

#include "base/quote.h"
#include "text/jinja_eval.h"

namespace r1::jinja {
namespace {

Value Undefined(const char* why) { return Value::Undefined(why); }

Value Iterator(RenderState& state, std::vector<Value> items, const Value& from) {
  return MakeList(state, std::move(items), from.content(), Kind::kIterator, "generator");
}

Value Lowered(RenderState& state, const Value& value) {
  return value.Is(Kind::kString) ? ChangeCase(state, value.text(), Case::kLower) : value;
}

// What items are compared by: themselves or an attribute ("a.b", or an index), strings perhaps without case.
class Key {
 public:
  Key(Interpreter& run, const Value* attribute, bool case_sensitive, const Value* fallback = nullptr)
      : run_(run), attribute_(attribute), fallback_(fallback), case_sensitive_(case_sensitive) {
    if (attribute_ != nullptr && attribute_->Is(Kind::kNone)) attribute_ = nullptr;
  }

  Value Exact(const Value& item) const {
    return attribute_ == nullptr ? item : run_.Path(item, *attribute_, fallback_);
  }
  Value operator()(const Value& item) const {
    const Value value = Exact(item);
    return case_sensitive_ ? value : Lowered(run_.state(), value);
  }

 private:
  Interpreter& run_;
  const Value* attribute_;
  const Value* fallback_;
  bool case_sensitive_;
};

// Sorted by the values of `keys`, equal ones in their order, also when reversed.
std::vector<Value> Sorted(RenderState& state, const std::vector<Value>& items, const std::vector<Value>& keys,
                          bool reverse) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return reverse ? Less(state, keys[b], keys[a]) : Less(state, keys[a], keys[b]);
  });
  std::vector<Value> out;
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

std::vector<Value> KeysOf(RenderState& state, const std::vector<Value>& items, const Key& key) {
  std::vector<Value> keys;
  for (const Value& item : items) {
    if (!state.ChargeBytes(sizeof(Value))) break;
    keys.push_back(key(item));
  }
  keys.resize(items.size());
  return keys;
}

Value Attr(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "attr", {"name"}, 1)) return {};
  const std::string name = args.Text(state, 0, "").bytes();
  if (subject.Is(Kind::kDict) && MethodName(subject, name).empty()) {
    return Value::Undefined("'dict object' has no attribute " + Quote(name, 80));
  }
  return state.failed() ? Value() : run.Attribute(subject, name);
}

Value Batch(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "batch", {"linecount", "fill_with"}, 1)) return {};
  const int64_t size = args.Int(state, 0, 1);
  const auto items = Items(state, subject);
  if (items == nullptr || state.failed()) return {};
  std::vector<Value> rows, row;
  const auto flush = [&] {
    rows.push_back(MakeList(state, std::move(row), subject.content()));
    row.clear();
  };
  for (const Value& item : items->items) {
    if (!row.empty() && static_cast<int64_t>(row.size()) == size) flush();
    row.push_back(item);
    if (!state.ChargeBytes(sizeof(Value))) return {};
  }
  if (!row.empty()) {
    const Value* fill = args.Get(1);
    while (fill != nullptr && !fill->Is(Kind::kNone) && static_cast<int64_t>(row.size()) < size) {
      row.push_back(*fill);
      if (!state.ChargeBytes(sizeof(Value))) return {};
    }
    flush();
  }
  return Iterator(state, std::move(rows), subject);
}

Value SliceFilter(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "slice", {"slices", "fill_with"}, 1)) return {};
  const int64_t slices = args.Int(state, 0, 1);
  const auto items = Items(state, subject);
  if (items == nullptr || state.failed()) return {};
  if (slices == 0) {
    state.Fail("slice: the number of slices is 0");
    return {};
  }
  const auto length = static_cast<int64_t>(items->items.size());
  std::vector<Value> rows;
  int64_t begin = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const bool longer = i < length % slices;
    const int64_t end = begin + length / slices + (longer ? 1 : 0);
    if (!state.ChargeBytes(static_cast<size_t>(end - begin + 1) * sizeof(Value))) return {};
    std::vector<Value> row(items->items.begin() + begin, items->items.begin() + end);
    if (const Value* fill = args.Get(1); fill != nullptr && !fill->Is(Kind::kNone) && !longer) row.push_back(*fill);
    rows.push_back(MakeList(state, std::move(row), subject.content()));
    begin = end;
  }
  return Iterator(state, std::move(rows), subject);
}

Value LengthFilter(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "length", {}, 0)) return {};
  return Value::Int(Length(run.state(), subject), subject.content());
}

Value Default(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "default", {"default_value", "boolean"}, 0)) return {};
  if (!subject.Is(Kind::kUndefined) && !(args.Bool(1, false) && !Truthy(subject))) return subject;
  return args.Get(0) != nullptr ? *args.Get(0) : MakeString(run.state(), std::string(), false);
}

Value Pair(RenderState& state, const Value& key, const Value& value) {
  return MakeList(state, {key, value}, false, Kind::kTuple);
}

Value DictSort(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "dictsort", {"case_sensitive", "by", "reverse"}, 0)) return {};
  const std::string by = args.Text(state, 1, "key").bytes();
  if (!subject.Is(Kind::kDict) || (by != "key" && by != "value")) {
    state.Fail(subject.Is(Kind::kDict) ? "dictsort: by is 'key' or 'value'"
                                       : "dictsort needs a dict, not '" + TypeName(subject) + "'");
    return {};
  }
  std::vector<Value> pairs, keys;
  for (const auto& [key, value] : subject.As<DictObject>()->items) {
    if (!state.ChargeBytes(2 * sizeof(Value))) return {};
    pairs.push_back(Pair(state, key, value));
    const Value& compared = by == "key" ? key : value;
    keys.push_back(args.Bool(0, false) ? compared : Lowered(state, compared));
  }
  return MakeList(state, Sorted(state, pairs, keys, args.Bool(2, false)), subject.content());
}

Value First(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "first", {}, 0)) return {};
  if (subject.Is(Kind::kIterator)) {
    auto& iterator = *subject.As<ListObject>();
    if (iterator.next < iterator.items.size()) return iterator.items[iterator.next++];
    return Undefined("no first item: the sequence is empty");
  }
  const auto items = Items(run.state(), subject);
  if (items == nullptr) return {};
  return items->items.empty() ? Undefined("no first item: the sequence is empty") : items->items.front();
}

Value Last(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "last", {}, 0)) return {};
  if (subject.Is(Kind::kIterator)) {
    run.state().Fail("last: an iterator has no end to look at; make a list of it first, with | list");
    return {};
  }
  const auto items = Items(run.state(), subject);
  if (items == nullptr) return {};
  return items->items.empty() ? Undefined("no last item: the sequence is empty") : items->items.back();
}

Value GroupBy(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "groupby", {"attribute", "default", "case_sensitive"}, 1)) return {};
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  const Value* fallback = args.Get(1) != nullptr && !args.Get(1)->Is(Kind::kNone) ? args.Get(1) : nullptr;
  const Key key(run, args.Get(0), args.Bool(2, false), fallback);
  const std::vector<Value> sorted = Sorted(state, items->items, KeysOf(state, items->items, key), false);
  std::vector<Value> groups;
  for (size_t i = 0; i < sorted.size();) {
    const Value first = key(sorted[i]);
    std::vector<Value> group;
    const Value shown = key.Exact(sorted[i]);
    while (i < sorted.size() && Equal(state, key(sorted[i]), first)) group.push_back(sorted[i++]);
    if (state.failed() || group.empty()) return {};
    std::vector<Value> pair = {shown, MakeList(state, std::move(group), subject.content())};
    groups.push_back(MakeList(state, std::move(pair), false, Kind::kTuple, "group"));
  }
  return MakeList(state, std::move(groups), subject.content());
}

Value ItemsFilter(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "items", {}, 0)) return {};
  std::vector<Value> pairs;
  if (subject.Is(Kind::kDict)) {
    for (const auto& [key, value] : subject.As<DictObject>()->items) pairs.push_back(Pair(state, key, value));
  } else if (!subject.Is(Kind::kUndefined)) {
    state.Fail("items needs a dict, not '" + TypeName(subject) + "'");
  }
  return Iterator(state, std::move(pairs), subject);
}

Value Join(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "join", {"d", "attribute"}, 0)) return {};
  const OriginText separator = args.Get(0) != nullptr ? Str(state, *args.Get(0)) : OriginText();
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  const Key key(run, args.Get(1), true);
  OriginText out;
  bool first = true;
  for (const Value& item : items->items) {
    if (!first) out.Append(separator);
    first = false;
    const OriginText part = Str(state, key.Exact(item));
    if (!state.ChargeBytes(part.size() + separator.size())) return {};
    out.Append(part);
    if (out.size() > static_cast<size_t>(state.max_text())) break;
  }
  const bool content = out.HasContent();
  return MakeString(state, std::move(out), content);
}

Value ListFilter(Interpreter& run, const Value& subject, Args& args) {
  if (!args.Bind(run.state(), "list", {}, 0)) return {};
  const auto items = Items(run.state(), subject);
  return items == nullptr ? Value() : MakeList(run.state(), items->items, subject.content());
}

Value MapFilter(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  std::vector<Value> out;
  if (args.positional.empty()) {
    if (!args.Bind(state, "map", {"attribute", "default"}, 1)) return {};
    for (const Value& item : items->items) {
      if (!state.ChargeBytes(sizeof(Value))) return {};
      out.push_back(run.Path(item, *args.Get(0), args.Get(1)));
    }
    return Iterator(state, std::move(out), subject);
  }
  if (!args.positional[0].Is(Kind::kString)) {
    state.Fail("map needs the name of a filter, or attribute=");
    return {};
  }
  const std::string name = args.positional[0].text().bytes();
  Args rest;
  rest.positional.assign(args.positional.begin() + 1, args.positional.end());
  rest.keywords = args.keywords;
  for (const Value& item : items->items) {
    if (!state.ChargeBytes(sizeof(Value))) return {};
    out.push_back(run.Filter(name, item, rest));
  }
  return Iterator(state, std::move(out), subject);
}

// select, reject, selectattr and rejectattr.
template <bool by_attribute, bool wanted>
Value Select(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  const size_t skip = by_attribute ? 1 : 0;
  if (args.positional.size() < skip) {
    state.Fail("selectattr and rejectattr need the name of an attribute");
    return {};
  }
  const bool tested = args.positional.size() > skip;
  if (tested && !args.positional[skip].Is(Kind::kString)) {
    state.Fail("select and reject need the name of a test");
    return {};
  }
  Args rest;
  if (tested) rest.positional.assign(args.positional.begin() + static_cast<ptrdiff_t>(skip) + 1, args.positional.end());
  rest.keywords = args.keywords;
  std::vector<Value> out;
  for (const Value& item : items->items) {
    if (!state.ChargeBytes(sizeof(Value))) return {};
    const Value value = by_attribute ? run.Path(item, args.positional[0]) : item;
    const bool holds = tested ? run.Test(args.positional[skip].text().bytes(), value, rest) : Truthy(value);
    if (holds == wanted) out.push_back(item);
  }
  return Iterator(state, std::move(out), subject);
}

template <bool largest>
Value Extreme(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, largest ? "max" : "min", {"case_sensitive", "attribute"}, 0)) return {};
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  if (items->items.empty()) return Undefined("no aggregated item: the sequence is empty");
  const Key key(run, args.Get(1), args.Bool(0, false));
  const Value* best = &items->items[0];
  Value best_key = key(*best);
  for (const Value& item : items->items) {
    const Value item_key = key(item);
    if (state.failed()) return {};
    if (largest ? Less(state, best_key, item_key) : Less(state, item_key, best_key)) {
      best = &item;
      best_key = item_key;
    }
  }
  return *best;
}

Value Reverse(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "reverse", {}, 0)) return {};
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  std::vector<Value> out(items->items.rbegin(), items->items.rend());
  if (subject.Is(Kind::kString)) {
    OriginText text;
    for (const Value& character : out) text.Append(character.text());
    return MakeString(state, std::move(text), subject.content());
  }
  return Iterator(state, std::move(out), subject);
}

Value Sort(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "sort", {"reverse", "case_sensitive", "attribute"}, 0)) return {};
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  // "a,b": by several attributes.
  std::vector<Value> attributes;
  if (args.Get(2) != nullptr && args.Get(2)->Is(Kind::kString)) {
    const std::string& text = args.Get(2)->text().bytes();
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      attributes.push_back(MakeString(state, text.substr(begin, end - begin), false));
      begin = end + 1;
    }
  }
  std::vector<Value> keys;
  if (attributes.size() < 2) {
    keys = KeysOf(state, items->items, Key(run, args.Get(2), args.Bool(1, false)));
  } else {
    for (const Value& item : items->items) {
      std::vector<Value> parts;
      for (const Value& attribute : attributes) parts.push_back(Key(run, &attribute, args.Bool(1, false))(item));
      keys.push_back(MakeList(state, std::move(parts), false));
      if (state.failed()) return {};
    }
  }
  if (state.failed()) return {};
  return MakeList(state, Sorted(state, items->items, keys, args.Bool(0, false)), subject.content());
}

Value Sum(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "sum", {"attribute", "start"}, 0)) return {};
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  const Key key(run, args.Get(0), true);
  Value total = args.Get(1) != nullptr ? *args.Get(1) : Value::Int(0);
  for (const Value& item : items->items) {
    total = Binary(state, Op::kAdd, std::move(total), key.Exact(item));
    if (state.failed()) return {};
  }
  return total;
}

Value Unique(Interpreter& run, const Value& subject, Args& args) {
  RenderState& state = run.state();
  if (!args.Bind(state, "unique", {"case_sensitive", "attribute"}, 0)) return {};
  const auto items = Items(state, subject);
  if (items == nullptr) return {};
  const Key key(run, args.Get(1), args.Bool(0, false));
  std::set<std::string> seen;
  std::vector<Value> out;
  for (const Value& item : items->items) {
    const Value item_key = key(item);
    if (!Hashable(state, item_key)) state.Fail("unique: '" + TypeName(item_key) + "' cannot be told apart by value");
    std::string text = KeyText(state, item_key);
    if (!state.ChargeBytes(text.size() + sizeof(Value))) return {};
    if (seen.insert(std::move(text)).second) out.push_back(item);
  }
  return Iterator(state, std::move(out), subject);
}

struct Entry {
  std::string_view name;
  FilterFunction function;
};

constexpr Entry kFilters[] = {
    {"attr", Attr},
    {"batch", Batch},
    {"count", LengthFilter},
    {"d", Default},
    {"default", Default},
    {"dictsort", DictSort},
    {"first", First},
    {"groupby", GroupBy},
    {"items", ItemsFilter},
    {"join", Join},
    {"last", Last},
    {"length", LengthFilter},
    {"list", ListFilter},
    {"map", MapFilter},
    {"max", Extreme<true>},
    {"min", Extreme<false>},
    {"reject", Select<false, false>},
    {"rejectattr", Select<true, false>},
    {"reverse", Reverse},
    {"select", Select<false, true>},
    {"selectattr", Select<true, true>},
    {"slice", SliceFilter},
    {"sort", Sort},
    {"sum", Sum},
    {"unique", Unique},
};

}  // namespace

FilterFunction FindListFilter(std::string_view name) {
  for (const Entry& entry : kFilters) {
    if (entry.name == name) return entry.function;
  }
  return nullptr;
}

}  // namespace r1::jinja
