#include "text/jinja_parse.h"

#include <algorithm>

#include "base/quote.h"

namespace r1::jinja {
namespace {

std::string Describe(const Token& token) {
  switch (token.type) {
    case TokenType::kData:
    case TokenType::kVariableBegin:
    case TokenType::kBlockBegin:
      return "text";
    case TokenType::kVariableEnd:
      return "'}}'";
    case TokenType::kBlockEnd:
      return "'%}'";
    case TokenType::kEnd:
      return "the end of the template";
    case TokenType::kString:
      return "the string " + Quote(token.text, 40);
    default:
      return Quote(token.text, 40);
  }
}

}  // namespace

Parser::Nested::Nested(Parser* parser) : parser_(parser) {
  if (++parser_->depth_ > kMaxDepth) {
    parser_->Fail(parser_->Peek().offset,
                  "nested more than " + std::to_string(kMaxDepth) + " deep; simplify the template");
  }
}

const Token& Parser::Peek(size_t ahead) const { return tokens_[std::min(next_ + ahead, tokens_.size() - 1)]; }

const Token& Parser::Take() {
  const Token& token = Peek();
  if (next_ + 1 < tokens_.size()) ++next_;
  return token;
}

bool Parser::IsOperator(std::string_view op, size_t ahead) const {
  return Peek(ahead).type == TokenType::kOperator && Peek(ahead).text == op;
}

bool Parser::IsName(std::string_view name, size_t ahead) const {
  return Peek(ahead).type == TokenType::kName && Peek(ahead).text == name;
}

bool Parser::TakeOperator(std::string_view op) {
  if (!IsOperator(op)) return false;
  Take();
  return true;
}

bool Parser::TakeName(std::string_view name) {
  if (!IsName(name)) return false;
  Take();
  return true;
}

void Parser::Expect(std::string_view op) {
  if (!TakeOperator(op)) FailHere("'" + std::string(op) + "'");
}

std::string Parser::ExpectName(const char* what) {
  if (Peek().type == TokenType::kName) return Take().text;
  FailHere(what);
  return "";
}

void Parser::Fail(uint32_t offset, std::string message) {
  if (!failed_) error_ = {offset, std::move(message)};
  failed_ = true;
  next_ = tokens_.size() - 1;
}

void Parser::FailHere(const std::string& wanted) {
  Fail(Peek().offset, "expected " + wanted + ", found " + Describe(Peek()));
}

int32_t Parser::NameId(const std::string& name) {
  const auto [entry, fresh] = name_ids_.emplace(name, static_cast<int32_t>(program_->names.size()));
  if (fresh) program_->names.push_back(name);
  return entry->second;
}

bool Parser::Run(SourceError* error) {
  program_->loop = NameId("loop");
  program_->caller = NameId("caller");
  program_->varargs = NameId("varargs");
  program_->kwargs = NameId("kwargs");
  program_->body = Statements({}, Peek());
  if (failed_) *error = error_;
  return !failed_;
}

// Up to a block that begins with one of `ends`; the next token is then that name. Without ends: the whole template.
Body Parser::Statements(std::initializer_list<std::string_view> ends, const Token& begin) {
  const Nested nested(this);
  const uint32_t begin_offset = begin.offset;
  Body body;
  while (!failed_) {
    const Token& token = Peek();
    if (token.type == TokenType::kEnd) {
      if (ends.size() == 0) break;
      Fail(begin_offset, "this block has no end; write {% " + std::string(*(ends.end() - 1)) + " %}");
    } else if (token.type == TokenType::kData) {
      auto stmt = std::make_unique<Stmt>();
      stmt->offset = token.offset;
      stmt->text = OriginText(Take().text, false);
      body.push_back(std::move(stmt));
    } else if (token.type == TokenType::kVariableBegin) {
      Take();
      body.push_back(Output());
      if (!failed_ && Peek().type != TokenType::kVariableEnd) FailHere("'}}'");
      Take();
    } else {
      Take();
      const auto is_end = [&](std::string_view end) { return IsName(end); };
      if (std::any_of(ends.begin(), ends.end(), is_end)) break;
      if (StmtPtr stmt = Statement()) body.push_back(std::move(stmt));
    }
  }
  return body;
}

void Parser::EndOfTag() {
  TakeOperator(":");
  if (Peek().type != TokenType::kBlockEnd) return FailHere("'%}'");
  Take();
}

// The end of the tag, what the block holds, and its end tag.
Body Parser::BlockBody(std::string_view end) {
  const Token begin = Peek();
  EndOfTag();
  Body body = Statements({end}, begin);
  Take();
  return body;
}

StmtPtr Parser::Output() {
  auto stmt = std::make_unique<Stmt>();
  stmt->kind = Stmt::Kind::kOutput;
  stmt->offset = Peek().offset;
  stmt->exprs.push_back(Tuple(true, false));
  return stmt;
}

StmtPtr Parser::Statement() {
  const Token tag = Peek();
  if (tag.type != TokenType::kName) {
    FailHere("the name of a tag");
    return nullptr;
  }
  Take();
  auto stmt = std::make_unique<Stmt>();
  stmt->offset = tag.offset;
  const std::string& name = tag.text;
  if (name == "if") {
    stmt = If(std::move(stmt));
  } else if (name == "for") {
    stmt = For(std::move(stmt));
  } else if (name == "set") {
    stmt = Set(std::move(stmt));
  } else if (name == "with") {
    stmt = With(std::move(stmt));
  } else if (name == "macro") {
    stmt = Macro(std::move(stmt));
  } else if (name == "call") {
    stmt = CallBlock(std::move(stmt));
  } else if (name == "filter") {
    stmt = FilterBlock(std::move(stmt));
  } else if (name == "block") {
    stmt = Block(std::move(stmt));
  } else if (name == "generation") {
    stmt->kind = Stmt::Kind::kGeneration;
    stmt->bodies.push_back(BlockBody("endgeneration"));
  } else if (name == "print") {
    stmt = Output();
  } else if (name == "break" || name == "continue") {
    stmt->kind = name == "break" ? Stmt::Kind::kBreak : Stmt::Kind::kContinue;
    if (loops_ == 0) Fail(tag.offset, "'" + name + "' outside of a loop");
  } else if (name == "include" || name == "import" || name == "from" || name == "extends" || name == "autoescape") {
    Fail(tag.offset, "'" + name + "' is not supported: a chat template is one file; copy in what it needs");
  } else if (name.rfind("end", 0) == 0 || name == "else" || name == "elif") {
    Fail(tag.offset, "'" + name + "' without the block that it belongs to");
  } else {
    Fail(tag.offset, "unknown tag " + Quote(name, 40));
  }
  if (!failed_ && Peek().type != TokenType::kBlockEnd) FailHere("'%}'");
  Take();
  return stmt;
}

StmtPtr Parser::If(StmtPtr stmt) {
  stmt->kind = Stmt::Kind::kIf;
  const Token begin = Peek();
  for (;;) {
    stmt->exprs.push_back(Tuple(false, false));
    EndOfTag();
    stmt->bodies.push_back(Statements({"elif", "else", "endif"}, begin));
    if (failed_) break;
    const std::string end = Take().text;
    if (end == "elif") continue;
    if (end == "else") stmt->bodies.push_back(BlockBody("endif"));
    break;
  }
  return stmt;
}

StmtPtr Parser::For(StmtPtr stmt) {
  stmt->kind = Stmt::Kind::kFor;
  const Token begin = Peek();
  stmt->targets.push_back(AssignTarget(false));
  if (!failed_ && !TakeName("in")) FailHere("'in'");
  stmt->exprs.push_back(Tuple(false, false, "recursive"));
  stmt->exprs.push_back(TakeName("if") ? Expression() : nullptr);
  stmt->recursive = TakeName("recursive");
  EndOfTag();
  ++loops_;
  stmt->bodies.push_back(Statements({"else", "endfor"}, begin));
  --loops_;
  if (!failed_ && Take().text == "else") stmt->bodies.push_back(BlockBody("endfor"));
  return stmt;
}

StmtPtr Parser::Set(StmtPtr stmt) {
  stmt->targets.push_back(AssignTarget(true));
  if (TakeOperator("=")) {
    stmt->kind = Stmt::Kind::kSet;
    stmt->exprs.push_back(Tuple(true, false));
    return stmt;
  }
  stmt->kind = Stmt::Kind::kSetBlock;
  ExprPtr filters;
  while (IsOperator("|")) {
    if (filters == nullptr) {
      filters = NewExpr(Expr::Kind::kChain);
      filters->parts.push_back(nullptr);
    }
    FilterSuffix(*filters);
  }
  stmt->exprs.push_back(std::move(filters));
  stmt->bodies.push_back(BlockBody("endset"));
  return stmt;
}

StmtPtr Parser::With(StmtPtr stmt) {
  stmt->kind = Stmt::Kind::kWith;
  while (!failed_ && Peek().type != TokenType::kBlockEnd && !IsOperator(":")) {
    if (!stmt->targets.empty()) Expect(",");
    stmt->targets.push_back(OneTarget(false));
    Expect("=");
    stmt->exprs.push_back(Expression());
  }
  stmt->bodies.push_back(BlockBody("endwith"));
  return stmt;
}

void Parser::Signature(MacroParts* macro) {
  Expect("(");
  while (!failed_ && !IsOperator(")")) {
    if (!macro->parameters.empty()) Expect(",");
    const uint32_t offset = Peek().offset;
    macro->parameters.push_back(NameId(ExpectName("the name of a parameter")));
    if (TakeOperator("=")) {
      macro->defaults.push_back(Expression());
    } else if (!macro->defaults.empty()) {
      Fail(offset, "a parameter without a default after one with a default");
    }
  }
  Expect(")");
}

StmtPtr Parser::MacroBody(StmtPtr stmt, std::string_view end) {
  open_macros_.push_back(&stmt->macro);
  const int loops = loops_;
  loops_ = 0;
  stmt->bodies.push_back(BlockBody(end));
  loops_ = loops;
  open_macros_.pop_back();
  return stmt;
}

StmtPtr Parser::Macro(StmtPtr stmt) {
  stmt->kind = Stmt::Kind::kMacro;
  stmt->macro.name = ExpectName("the name of the macro");
  Target target;
  target.offset = stmt->offset;
  target.name = NameId(stmt->macro.name);
  stmt->targets.push_back(std::move(target));
  Signature(&stmt->macro);
  return MacroBody(std::move(stmt), "endmacro");
}

StmtPtr Parser::CallBlock(StmtPtr stmt) {
  stmt->kind = Stmt::Kind::kCallBlock;
  stmt->macro.name = "caller";
  if (IsOperator("(")) Signature(&stmt->macro);
  const uint32_t offset = Peek().offset;
  stmt->exprs.push_back(Expression());
  const ExprPtr& call = stmt->exprs[0];
  if (!failed_ && (call == nullptr || call->kind != Expr::Kind::kChain || call->suffixes.empty() ||
                   call->suffixes.back().kind != Suffix::Kind::kCall)) {
    Fail(offset, "a call block must call a macro: {% call name(...) %}");
  }
  return MacroBody(std::move(stmt), "endcall");
}

StmtPtr Parser::FilterBlock(StmtPtr stmt) {
  stmt->kind = Stmt::Kind::kFilterBlock;
  ExprPtr filters = NewExpr(Expr::Kind::kChain);
  filters->parts.push_back(nullptr);
  do {
    FilterSuffix(*filters);
  } while (!failed_ && IsOperator("|"));
  stmt->exprs.push_back(std::move(filters));
  stmt->bodies.push_back(BlockBody("endfilter"));
  return stmt;
}

// Without inheritance a block is what it holds.
StmtPtr Parser::Block(StmtPtr stmt) {
  stmt->kind = Stmt::Kind::kScope;
  const std::string name = ExpectName("the name of the block");
  stmt->recursive = TakeName("scoped");
  TakeName("required");
  stmt->bodies.push_back(BlockBody("endblock"));
  TakeName(name);
  return stmt;
}

Target Parser::OneTarget(bool with_namespace) {
  const Nested nested(this);
  Target target;
  target.offset = Peek().offset;
  if (TakeOperator("(")) {
    target = AssignTarget(with_namespace);
    Expect(")");
    return target;
  }
  const std::string name = ExpectName("the name of a variable");
  for (const char* constant : {"true", "false", "none", "True", "False", "None"}) {
    if (name == constant) Fail(target.offset, "'" + name + "' cannot be assigned to");
  }
  target.name = NameId(name);
  if (with_namespace && TakeOperator(".")) target.attribute = ExpectName("the name of an attribute");
  return target;
}

Target Parser::AssignTarget(bool with_namespace) {
  Target first = OneTarget(with_namespace);
  if (!IsOperator(",")) return first;
  Target tuple;
  tuple.offset = first.offset;
  tuple.items.push_back(std::move(first));
  while (!failed_ && TakeOperator(",")) {
    if (Peek().type != TokenType::kName && !IsOperator("(")) break;
    if (IsName("in")) break;
    tuple.items.push_back(OneTarget(with_namespace));
  }
  return tuple;
}

bool ParseProgram(std::string_view text, Program* program, SourceError* error) {
  std::vector<Token> tokens;
  if (!Tokenize(text, &tokens, error)) return false;
  return Parser(std::move(tokens), program).Run(error);
}

}  // namespace r1::jinja
