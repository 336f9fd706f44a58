// Jinja source to a Program. The grammar is that of Jinja 3.1 with the loop controls and the generation block that
// Hugging Face adds; include, import, from, extends and autoescape are refused by name. The parser recurses at most
// kMaxDepth deep, whatever the text.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace r1::jinja {

inline constexpr int kMaxDepth = 100;

// False: *error says why. text has normal newlines and is valid UTF-8.
bool ParseProgram(std::string_view text, Program* program, SourceError* error);

// The two halves of the parser share this: jinja_parse.cc has statements, jinja_parse_expr.cc expressions. After the
// first error the present token is the end, so every loop stops.
class Parser {
 public:
  Parser(std::vector<Token> tokens, Program* program) : tokens_(std::move(tokens)), program_(program) {}
  bool Run(SourceError* error);

 private:
  // Counts nesting while it lives.
  class Nested {
   public:
    explicit Nested(Parser* parser);
    ~Nested() { --parser_->depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Parser* parser_;
  };

  const Token& Peek(size_t ahead = 0) const;
  const Token& Take();
  bool IsOperator(std::string_view op, size_t ahead = 0) const;
  bool IsName(std::string_view name, size_t ahead = 0) const;
  bool TakeOperator(std::string_view op);
  bool TakeName(std::string_view name);
  void Expect(std::string_view op);
  std::string ExpectName(const char* what);
  void Fail(uint32_t offset, std::string message);
  void FailHere(const std::string& wanted);
  int32_t NameId(const std::string& name);

  // Statements.
  Body Statements(std::initializer_list<std::string_view> ends, const Token& begin);
  Body BlockBody(std::string_view end);
  void EndOfTag();
  StmtPtr Statement();
  StmtPtr If(StmtPtr stmt);
  StmtPtr For(StmtPtr stmt);
  StmtPtr Set(StmtPtr stmt);
  StmtPtr With(StmtPtr stmt);
  StmtPtr Macro(StmtPtr stmt);
  StmtPtr CallBlock(StmtPtr stmt);
  StmtPtr FilterBlock(StmtPtr stmt);
  StmtPtr Block(StmtPtr stmt);
  StmtPtr MacroBody(StmtPtr stmt, std::string_view end);
  void Signature(MacroParts* macro);
  Target AssignTarget(bool with_namespace);
  Target OneTarget(bool with_namespace);
  StmtPtr Output();

  // Expressions.
  ExprPtr NewExpr(Expr::Kind kind) const;
  ExprPtr Expression(bool with_condition = true);
  ExprPtr Tuple(bool with_condition, bool explicit_parentheses, std::string_view end_name = "");
  bool TupleEnds(std::string_view end_name) const;
  ExprPtr Or();
  ExprPtr And();
  ExprPtr Not();
  ExprPtr Compare();
  ExprPtr Sum();
  ExprPtr Concat();
  ExprPtr Product();
  ExprPtr Power();
  ExprPtr Unary(bool with_filter);
  ExprPtr Primary();
  ExprPtr Number();
  ExprPtr ListLiteral();
  ExprPtr DictLiteral();
  void Postfix(ExprPtr& expr);
  void Filters(ExprPtr& expr);
  void Subscript(Expr& chain);
  void FilterSuffix(Expr& chain);
  void TestSuffix(Expr& chain);
  Expr& Chain(ExprPtr& expr) const;
  Arguments CallArguments();

  std::vector<Token> tokens_;
  Program* program_;
  size_t next_ = 0;
  int depth_ = 0;
  int loops_ = 0;  // open for blocks: break and continue need one
  bool failed_ = false;
  SourceError error_;
  std::unordered_map<std::string, int32_t> name_ids_;
  std::vector<MacroParts*> open_macros_;
};

}  // namespace r1::jinja
