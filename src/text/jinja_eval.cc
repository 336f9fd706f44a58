#include "text/jinja_eval.h"

#include <algorithm>

#include "base/quote.h"
#include "text/jinja_parse.h"

namespace r1::jinja {
namespace {

constexpr size_t kClosureBytes = 256;  // what a macro or recursive loop keeps alive until the end, roughly

}  // namespace

bool Args::Bind(RenderState& state, std::string_view function, std::initializer_list<const char*> names,
                size_t required) {
  function_ = function;
  names_.assign(names.begin(), names.end());
  bound_.assign(names.size(), nullptr);
  const std::string who = std::string(function);
  if (positional.size() > names.size()) {
    state.Fail(who + " takes at most " + std::to_string(names.size()) + " argument(s), not " +
               std::to_string(positional.size()));
    return false;
  }
  for (size_t i = 0; i < positional.size(); ++i) bound_[i] = &positional[i];
  for (const auto& [name, value] : keywords) {
    const auto found =
        std::find_if(names_.begin(), names_.end(), [&name = name](const char* known) { return name == known; });
    if (found == names_.end()) {
      state.Fail(who + " has no argument " + Quote(name, 40));
      return false;
    }
    const Value*& slot = bound_[static_cast<size_t>(found - names_.begin())];
    if (slot != nullptr) {
      state.Fail(who + " got the argument '" + name + "' twice");
      return false;
    }
    slot = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound_[i] != nullptr) continue;
    state.Fail(who + " needs the argument '" + names_[i] + "'");
    return false;
  }
  return true;
}

int64_t Args::Int(RenderState& state, size_t i, int64_t fallback) const {
  if (bound_[i] == nullptr) return fallback;
  if (bound_[i]->IsIntegral()) return bound_[i]->Integral();
  state.Fail(std::string(function_) + ": argument '" + names_[i] + "' is not an integer but '" + TypeName(*bound_[i]) +
             "'");
  return fallback;
}

bool Args::Bool(size_t i, bool fallback) const { return bound_[i] == nullptr ? fallback : Truthy(*bound_[i]); }

OriginText Args::Text(RenderState& state, size_t i, std::string_view fallback) const {
  if (bound_[i] == nullptr) return {std::string(fallback), false};
  if (bound_[i]->Is(Kind::kString)) return bound_[i]->text();
  state.Fail(std::string(function_) + ": argument '" + names_[i] + "' is not a string but '" + TypeName(*bound_[i]) +
             "'");
  return {};
}

// Counts nested evaluations while it lives.
class Interpreter::Frame {
 public:
  explicit Frame(Interpreter* run) : run_(run) {
    if (++run_->frames_ > kMaxFrames) {
      run_->state_.Fail("evaluation is nested more than " + std::to_string(kMaxFrames) + " deep");
    }
  }
  ~Frame() { --run_->frames_; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

 private:
  Interpreter* run_;
};

Interpreter::Interpreter(const Program& program, const DictObject& vars, RenderState& state)
    : program_(program), vars_(vars), state_(state), scope_(std::make_shared<Scope>()) {
  globals_.reserve(program.names.size());
  for (const std::string& name : program.names) {
    if (const Value* value = vars.Find(name)) {
      globals_.push_back(*value);
    } else if (const std::string_view global = GlobalName(name); !global.empty()) {
      auto function = std::make_shared<FunctionObject>();
      function->name = global;
      globals_.push_back(Value::Of(Kind::kFunction, std::move(function)));
    } else {
      globals_.push_back(Value::Undefined(Quote(name, 80) + " is undefined"));
    }
  }
}

// Cycles go through namespaces, what loop.changed remembers, and scopes that macros keep. All of them are in our lists,
// so emptying one frees nothing that frees another: no recursion, no leak.
Interpreter::~Interpreter() {
  for (const auto& object : namespaces_) {
    object->items.clear();
    object->index.clear();
  }
  for (const auto& loop : changed_loops_) loop->changed.reset();
  for (const auto& scope : closed_over_) scope->values.clear();
}

OriginText Interpreter::Run() {
  OriginText page;
  page_ = out_ = &page;
  Execute(program_.body);
  page_ = out_ = nullptr;
  return page;
}

Value Interpreter::Lookup(int32_t name) const {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    for (auto entry = scope->values.rbegin(); entry != scope->values.rend(); ++entry) {
      if (entry->first == name) return entry->second;
    }
  }
  return globals_[static_cast<size_t>(name)];
}

void Interpreter::SetName(int32_t name, Value value) {
  for (auto& entry : scope_->values) {
    if (entry.first == name) {
      entry.second = std::move(value);
      return;
    }
  }
  if (state_.ChargeBytes(sizeof(Value))) scope_->values.emplace_back(name, std::move(value));
}

void Interpreter::PushScope() {
  auto scope = std::make_shared<Scope>();
  scope->parent = scope_;
  scope_ = std::move(scope);
}

void Interpreter::PopScope() { scope_ = scope_->parent; }

void Interpreter::EmitText(const OriginText& text) {
  state_.ChargeBytes(text.size());
  if (state_.failed()) return;
  if (out_->size() + text.size() > static_cast<size_t>(state_.max_text())) {
    return state_.Fail("more than " + std::to_string(state_.max_text()) + " bytes of output (limit max_output)");
  }
  out_->Append(text);
}

void Interpreter::Emit(const Value& value) {
  if (value.Is(Kind::kString)) {
    EmitText(value.text());
  } else {
    EmitText(Str(state_, value));
  }
}

// What the body prints, as a string.
Value Interpreter::Capture(const Body& body) {
  OriginText text;
  OriginText* outer = out_;
  out_ = &text;
  Execute(body);
  out_ = outer;
  const bool content = text.HasContent();
  return MakeString(state_, std::move(text), content);
}

Interpreter::Flow Interpreter::Execute(const Body& body) {
  for (const StmtPtr& stmt : body) {
    const Flow flow = Execute(*stmt);
    if (flow != Flow::kNext || state_.failed()) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::Execute(const Stmt& stmt) {
  const Frame frame(this);
  state_.at = stmt.offset;
  if (!state_.Charge(1)) return Flow::kNext;
  switch (stmt.kind) {
    case Stmt::Kind::kData:
      EmitText(stmt.text);
      return Flow::kNext;
    case Stmt::Kind::kOutput: {
      const Value value = Eval(*stmt.exprs[0]);
      state_.at = stmt.offset;
      Emit(value);
      return Flow::kNext;
    }
    case Stmt::Kind::kIf:
      for (size_t i = 0; i < stmt.exprs.size(); ++i) {
        if (Truthy(Eval(*stmt.exprs[i])) && !state_.failed()) return Execute(stmt.bodies[i]);
        if (state_.failed()) return Flow::kNext;
      }
      return stmt.bodies.size() > stmt.exprs.size() ? Execute(stmt.bodies.back()) : Flow::kNext;
    case Stmt::Kind::kFor:
      return Loop(stmt, Eval(*stmt.exprs[0]), 0);
    case Stmt::Kind::kSet:
      Assign(stmt.targets[0], Eval(*stmt.exprs[0]));
      return Flow::kNext;
    case Stmt::Kind::kSetBlock: {
      PushScope();
      Value value = Capture(stmt.bodies[0]);
      PopScope();
      if (stmt.exprs[0] != nullptr) value = EvalChain(*stmt.exprs[0], &value);
      Assign(stmt.targets[0], value);
      return Flow::kNext;
    }
    case Stmt::Kind::kMacro:
      SetName(stmt.targets[0].name, MakeMacro(stmt));
      return Flow::kNext;
    case Stmt::Kind::kCallBlock:
      CallBlock(stmt);
      return Flow::kNext;
    case Stmt::Kind::kFilterBlock: {
      PushScope();
      const Value value = Capture(stmt.bodies[0]);
      PopScope();
      Emit(EvalChain(*stmt.exprs[0], &value));
      return Flow::kNext;
    }
    case Stmt::Kind::kWith: {
      std::vector<Value> values;
      for (const ExprPtr& expr : stmt.exprs) values.push_back(Eval(*expr));
      PushScope();
      for (size_t i = 0; i < values.size(); ++i) Assign(stmt.targets[i], values[i]);
      const Flow flow = Execute(stmt.bodies[0]);
      PopScope();
      return flow;
    }
    case Stmt::Kind::kScope:
    case Stmt::Kind::kGeneration: {
      const size_t begin = out_->size();
      PushScope();
      const Flow flow = Execute(stmt.bodies[0]);
      PopScope();
      if (stmt.kind == Stmt::Kind::kGeneration && out_ == page_) generations_.push_back({begin, out_->size()});
      return flow;
    }
    case Stmt::Kind::kBreak:
      return Flow::kBreak;
    case Stmt::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

// Leaves of the items those for which the loop's condition holds.
bool Interpreter::FilterItems(const Stmt& stmt, std::shared_ptr<ListObject>& items) {
  auto kept = std::make_shared<ListObject>();
  kept->depth = items->depth;
  for (const Value& item : items->items) {
    PushScope();
    Assign(stmt.targets[0], item);
    if (Truthy(Eval(*stmt.exprs[1]))) kept->items.push_back(item);
    PopScope();
    if (!state_.ChargeBytes(sizeof(Value))) return false;
  }
  items = std::move(kept);
  return true;
}

Interpreter::Flow Interpreter::Loop(const Stmt& stmt, const Value& iterated, int depth0) {
  state_.at = stmt.exprs[0]->offset;
  if (state_.failed()) return Flow::kNext;
  std::shared_ptr<ListObject> items = Items(state_, iterated);
  if (items == nullptr || (stmt.exprs[1] != nullptr && !FilterItems(stmt, items))) return Flow::kNext;
  if (items->items.empty() && stmt.bodies.size() > 1) {
    PushScope();
    const Flow flow = Execute(stmt.bodies[1]);
    PopScope();
    return flow;
  }
  auto loop = std::make_shared<LoopObject>();
  loop->items = items;
  loop->depth = items->depth + 1;
  loop->depth0 = depth0;
  if (stmt.recursive && state_.ChargeBytes(kClosureBytes)) {
    loop->stmt = &stmt;
    loop->scope = scope_;
    if (closed_over_.empty() || closed_over_.back() != scope_) closed_over_.push_back(scope_);
  }
  const Value loop_value = Value::Of(Kind::kLoop, loop);
  for (; loop->index0 < items->items.size(); ++loop->index0) {
    if (!state_.Charge(1)) break;
    PushScope();
    Assign(stmt.targets[0], items->items[loop->index0]);
    SetName(program_.loop, loop_value);
    const Flow flow = Execute(stmt.bodies[0]);
    PopScope();
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

void Interpreter::Assign(const Target& target, const Value& value) {
  if (state_.failed()) return;
  state_.at = target.offset;
  if (target.name < 0) {
    const auto items = Items(state_, value);
    if (items == nullptr) return;
    if (items->items.size() != target.items.size()) {
      return state_.Fail("cannot unpack " + std::to_string(items->items.size()) + " value(s) into " +
                         std::to_string(target.items.size()) + " names");
    }
    for (size_t i = 0; i < target.items.size(); ++i) Assign(target.items[i], items->items[i]);
    return;
  }
  if (target.attribute.empty()) return SetName(target.name, value);
  const Value object = Lookup(target.name);
  if (!object.Is(Kind::kNamespace)) {
    return state_.Fail("cannot set an attribute of '" + TypeName(object) + "'; only a namespace() can be changed");
  }
  auto& names = *object.As<NamespaceObject>();
  if (!Nest(state_, names, value)) return;
  names.Set(state_, MakeString(state_, target.attribute, false), value);
}

Value Interpreter::MakeMacro(const Stmt& stmt) {
  auto macro = std::make_shared<MacroObject>();
  macro->stmt = &stmt;
  macro->scope = scope_;
  if (closed_over_.empty() || closed_over_.back() != scope_) closed_over_.push_back(scope_);
  if (!state_.ChargeBytes(kClosureBytes)) return {};
  return Value::Of(Kind::kMacro, std::move(macro));
}

void Interpreter::CallBlock(const Stmt& stmt) {
  const Expr& call = *stmt.exprs[0];
  Value function = call.parts[0] == nullptr ? Value() : Eval(*call.parts[0]);
  for (size_t i = 0; i + 1 < call.suffixes.size(); ++i) function = EvalSuffix(call.suffixes[i], function);
  Args args;
  if (!EvalArguments(call.suffixes.back().call, &args)) return;
  args.keywords.emplace_back("caller", MakeMacro(stmt));
  state_.at = stmt.offset;
  Emit(Call(function, args));
}

// Puts the arguments into the present scope.
bool Interpreter::BindMacro(const MacroParts& parts, Args& args) {
  const size_t count = parts.parameters.size();
  std::vector<Value> values(count);
  std::vector<bool> given(count, false);
  for (size_t i = 0; i < std::min(count, args.positional.size()); ++i) {
    values[i] = args.positional[i];
    given[i] = true;
  }
  auto extra = std::make_shared<DictObject>();
  Value caller = Value::Undefined("no caller defined");
  bool caller_taken = false;
  for (auto& [name, value] : args.keywords) {
    size_t i = 0;
    while (i < count && program_.names[static_cast<size_t>(parts.parameters[i])] != name) ++i;
    if (i < count) {
      if (given[i]) {
        state_.Fail("macro '" + parts.name + "' got the argument '" + name + "' twice");
        return false;
      }
      values[i] = value;
      given[i] = true;
    } else if (name == "caller" && parts.uses_caller) {
      caller = value;
      caller_taken = true;
    } else if (parts.uses_kwargs) {
      extra->Set(state_, MakeString(state_, name, false), value);
    } else {
      state_.Fail("macro '" + parts.name + "' has no argument " + Quote(name, 40) +
                  (name == "caller" ? "; it does not use caller()" : ""));
      return false;
    }
  }
  std::vector<Value> rest;
  if (args.positional.size() > count) {
    rest.assign(args.positional.begin() + static_cast<ptrdiff_t>(count), args.positional.end());
  }
  if (!rest.empty() && !parts.uses_varargs) {
    state_.Fail("macro '" + parts.name + "' takes at most " + std::to_string(count) + " argument(s), not " +
                std::to_string(args.positional.size()));
    return false;
  }
  if (parts.uses_varargs) {
    SetName(program_.varargs, MakeList(state_, std::move(rest), false, Kind::kTuple));
  }
  if (parts.uses_kwargs) SetName(program_.kwargs, MakeDict(state_, std::move(extra), false));
  if (parts.uses_caller || caller_taken) SetName(program_.caller, std::move(caller));
  for (size_t i = 0; i < count && !state_.failed(); ++i) {
    const int32_t name = parts.parameters[i];
    if (!given[i]) {
      const size_t first_default = count - parts.defaults.size();
      values[i] = i >= first_default ? Eval(*parts.defaults[i - first_default])
                                     : Value::Undefined("parameter '" + program_.names[static_cast<size_t>(name)] +
                                                        "' of macro '" + parts.name + "' was not given");
    }
    SetName(name, std::move(values[i]));
  }
  return !state_.failed();
}

Value Interpreter::CallMacro(const MacroObject& macro, Args& args) {
  const Frame frame(this);
  if (macro_depth_ >= kMaxDepth) {
    state_.Fail("macros are called more than " + std::to_string(kMaxDepth) + " deep; does '" + macro.stmt->macro.name +
                "' call itself without end?");
  }
  if (!state_.Charge(1)) return {};
  ++macro_depth_;
  const std::shared_ptr<Scope> outer = scope_;
  scope_ = macro.scope;
  PushScope();
  const uint32_t at = state_.at;
  Value result;
  if (BindMacro(macro.stmt->macro, args)) result = Capture(macro.stmt->bodies[0]);
  if (!state_.failed()) state_.at = at;
  scope_ = outer;
  --macro_depth_;
  return result;
}

// loop(items) in a recursive loop: the loop again, one level deeper.
Value Interpreter::CallLoop(LoopObject& loop, Args& args) {
  const Frame frame(this);
  if (loop.stmt == nullptr) {
    state_.Fail("loop(...) needs a loop with 'recursive'");
    return {};
  }
  if (macro_depth_ >= kMaxDepth) {
    state_.Fail("loop(...) is called more than " + std::to_string(kMaxDepth) + " deep");
  }
  if (!args.Bind(state_, "loop", {"iterable"}, 1)) return {};
  ++macro_depth_;
  const std::shared_ptr<Scope> outer = scope_;
  scope_ = loop.scope;
  OriginText text;
  OriginText* out = out_;
  out_ = &text;
  Loop(*loop.stmt, *args.Get(0), loop.depth0 + 1);
  out_ = out;
  scope_ = outer;
  --macro_depth_;
  const bool content = text.HasContent();
  return MakeString(state_, std::move(text), content);
}

Value Interpreter::Call(const Value& function, Args& args) {
  if (state_.failed()) return {};
  switch (function.kind()) {
    case Kind::kMacro:
      return CallMacro(*function.As<MacroObject>(), args);
    case Kind::kLoop:
      return CallLoop(*function.As<LoopObject>(), args);
    case Kind::kFunction: {
      const auto& object = *function.As<FunctionObject>();
      if (object.self.Is(Kind::kUndefined)) return CallGlobal(*this, object.name, args);
      if (object.self.Is(Kind::kLoop) && object.name == "changed") {
        const auto loop = std::static_pointer_cast<LoopObject>(object.self.object());
        auto now = std::make_shared<ListObject>();
        now->items = args.positional;
        const Value before = loop->changed ? Value::Of(Kind::kTuple, loop->changed) : Value::None();
        if (Equal(state_, before, Value::Of(Kind::kTuple, now))) return Value::Bool(false);
        if (!state_.ChargeBytes(kClosureBytes)) return {};
        if (loop->changed == nullptr) changed_loops_.push_back(loop);
        loop->changed = std::move(now);
        return Value::Bool(true);
      }
      return CallMethod(*this, object.self, object.name, args);
    }
    case Kind::kJoiner: {
      auto& joiner = *function.As<JoinerObject>();
      if (joiner.used) return joiner.separator;
      joiner.used = true;
      return MakeString(state_, std::string(), false);
    }
    case Kind::kUndefined:
      state_.Fail(function.object() ? function.text().bytes() : "an undefined value cannot be called");
      return {};
    default:
      state_.Fail("'" + TypeName(function) + "' cannot be called");
      return {};
  }
}

}  // namespace r1::jinja
