// Runs a Program. Recursion is bounded by kMaxFrames nested evaluations and kMaxDepth nested macro calls; everything
// else by the RenderState. Errors are sticky: after the first, values are undefined and loops stop.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_value.h"

namespace r1::jinja {

inline constexpr int kMaxFrames = 1000;

// Arguments of a call, filter or test, and their match with the names of its parameters.
class Args {
 public:
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;

  // Fails if there are too many, unknown ones, or fewer than `required`.
  bool Bind(RenderState& state, std::string_view function, std::initializer_list<const char*> names, size_t required);
  // After Bind: the argument, or null if it was left out.
  const Value* Get(size_t i) const { return bound_[i]; }
  // With a default; they fail on values of another type.
  int64_t Int(RenderState& state, size_t i, int64_t fallback) const;
  bool Bool(size_t i, bool fallback) const;
  OriginText Text(RenderState& state, size_t i, std::string_view fallback) const;

 private:
  std::string_view function_;
  std::vector<const char*> names_;
  std::vector<const Value*> bound_;
};

struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<int32_t, Value>> values;
};

struct MacroObject : Object {
  const Stmt* stmt = nullptr;
  std::shared_ptr<Scope> scope;
};

struct LoopObject : Object {
  std::shared_ptr<ListObject> items;
  size_t index0 = 0;
  int depth0 = 0;
  const Stmt* stmt = nullptr;    // of a recursive loop
  std::shared_ptr<Scope> scope;  // around a recursive loop
  std::shared_ptr<ListObject> changed;
};

struct CyclerObject : ListObject {};

struct JoinerObject : Object {
  Value separator;
  bool used = false;
};

class Interpreter {
 public:
  struct Span {
    size_t begin, end;
  };

  // vars: the variables; all must outlive the interpreter.
  Interpreter(const Program& program, const DictObject& vars, RenderState& state);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // state.failed() tells whether it worked.
  OriginText Run();
  const std::vector<Span>& generations() const { return generations_; }

  // For filters, tests and functions.
  RenderState& state() { return state_; }
  Value Attribute(const Value& object, std::string_view name);  // object.name
  Value Item(const Value& object, const Value& key);            // object[key]
  // "a.b.0", or an index; what is undefined on the way is the fallback, if there is one.
  Value Path(const Value& object, const Value& path, const Value* fallback = nullptr);
  Value Filter(std::string_view name, const Value& subject, Args& args);
  bool Test(std::string_view name, const Value& subject, Args& args);
  Value Call(const Value& function, Args& args);
  // Keeps what can be part of a cycle until the end, to be cleared then.
  void Remember(std::shared_ptr<NamespaceObject> object) { namespaces_.push_back(std::move(object)); }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  class Frame;

  // jinja_eval.cc
  Flow Execute(const Body& body);
  Flow Execute(const Stmt& stmt);
  Flow Loop(const Stmt& stmt, const Value& iterated, int depth0);
  bool FilterItems(const Stmt& stmt, std::shared_ptr<ListObject>& items);
  void Emit(const Value& value);
  void EmitText(const OriginText& text);
  Value Capture(const Body& body);
  void Assign(const Target& target, const Value& value);
  void SetName(int32_t name, Value value);
  Value Lookup(int32_t name) const;
  void PushScope();
  void PopScope();
  Value MakeMacro(const Stmt& stmt);
  void CallBlock(const Stmt& stmt);
  Value CallMacro(const MacroObject& macro, Args& args);
  bool BindMacro(const MacroParts& parts, Args& args);
  Value CallLoop(LoopObject& loop, Args& args);

  // jinja_eval_expr.cc
  Value Eval(const Expr& expr);
  Value EvalMath(const Expr& expr);
  Value EvalCompare(const Expr& expr);
  Value EvalConcat(const Expr& expr);
  Value EvalChain(const Expr& expr, const Value* subject);
  Value EvalSuffix(const Suffix& suffix, const Value& value);
  Value EvalDict(const Expr& expr);
  bool EvalArguments(const Arguments& arguments, Args* args);
  Value Slice(const Suffix& suffix, const Value& value);

  const Program& program_;
  const DictObject& vars_;
  RenderState& state_;
  std::vector<Value> globals_;  // by name
  std::shared_ptr<Scope> scope_;
  OriginText* out_ = nullptr;
  OriginText* page_ = nullptr;  // what Run returns
  int frames_ = 0;
  int macro_depth_ = 0;
  std::vector<Span> generations_;
  std::vector<std::shared_ptr<NamespaceObject>> namespaces_;
  std::vector<std::shared_ptr<LoopObject>> changed_loops_;
  std::vector<std::shared_ptr<Scope>> closed_over_;  // scopes that a macro or recursive loop keeps
};

// a op b for operators of numbers, strings and lists.
Value Binary(RenderState& state, Op op, Value a, const Value& b);
// What HTML needs escaped.
OriginText Escaped(const OriginText& text);
// Replaces up to `limit` occurrences (all if negative), left to right; origins are kept.
Value Replace(RenderState& state, const OriginText& text, const OriginText& from, const OriginText& to, int64_t limit);
enum class Case : uint8_t { kUpper, kLower, kCapital, kTitle, kSwap, kWords };
Value ChangeCase(RenderState& state, const OriginText& text, Case how);
// Lines without their ends, at the ends that Python's splitlines knows; or with them.
std::vector<OriginText> Lines(RenderState& state, const OriginText& text, bool keep_ends);
// White space, or the characters of `characters`, taken off the ends.
Value Strip(RenderState& state, const OriginText& text, const OriginText* characters, bool left, bool right);
// "%s" % value, and text.format(...). mapping: a dict that names ask for, or a list; it need not be used up.
Value FormatPercent(RenderState& state, const Value& text, const std::vector<Value>& values, const Value* mapping);
Value FormatBraces(Interpreter& run, const Value& text, const Args& args);
// json.dumps with Hugging Face's defaults.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  OriginText indent;
  OriginText item_separator, key_separator;
};
Value ToJson(RenderState& state, const Value& value, const JsonStyle& style);

// The tables of names. Filter: null if there is none of the name.
using FilterFunction = Value (*)(Interpreter& run, const Value& subject, Args& args);
FilterFunction FindTextFilter(std::string_view name);
FilterFunction FindListFilter(std::string_view name);
using TestFunction = bool (*)(Interpreter& run, const Value& subject, Args& args);
TestFunction FindTest(std::string_view name);
// Methods of strings, dicts, lists and the interpreter's own objects. MethodName: the name in static storage, "" if the
// object has no such method.
std::string_view MethodName(const Value& object, std::string_view name);
Value CallMethod(Interpreter& run, const Value& self, std::string_view name, Args& args);
std::string_view TextMethodName(std::string_view name);
Value CallTextMethod(Interpreter& run, const Value& self, std::string_view name, Args& args);
// Global functions: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
std::string_view GlobalName(std::string_view name);
Value CallGlobal(Interpreter& run, std::string_view name, Args& args);
// What a loop or another object of the interpreter shows as attributes; undefined without a message if there is none.
Value ObjectAttribute(RenderState& state, const Value& object, std::string_view name);

}  // namespace r1::jinja
