// Expressions of the grammar in jinja_parse.h. From loosest to tightest: if-else, or, and, not, comparisons and in,
// + -, ~, * / // %, **, unary + -, then attribute, subscript and call, then | filter and is test.

#include <charconv>

#include "base/quote.h"
#include "text/jinja_parse.h"

namespace r1::jinja {
namespace {

constexpr int kMaxOpenConditions = 8;  // of "a if b if c": the tree nests as deep as they are many

}  // namespace

ExprPtr Parser::NewExpr(Expr::Kind kind) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->offset = Peek().offset;
  return expr;
}

ExprPtr Parser::Expression(bool with_condition) {
  const Nested nested(this);
  if (!with_condition) return Or();
  ExprPtr expr = Or();
  while (!failed_ && IsName("if")) {
    ExprPtr choice = NewExpr(Expr::Kind::kIf);
    Take();
    choice->parts.push_back(std::move(expr));
    choice->parts.push_back(Or());
    choice->parts.push_back(TakeName("else") ? Expression() : nullptr);
    expr = std::move(choice);
    const auto deeper = [](const ExprPtr& e) { return e != nullptr && e->kind == Expr::Kind::kIf; };
    // "a if b if c ..." nests to the left: as deep as it is long.
    int depth = 0;
    for (const Expr* e = expr.get(); e != nullptr; e = deeper(e->parts[0]) ? e->parts[0].get() : nullptr) ++depth;
    if (depth > kMaxOpenConditions) Fail(expr->offset, "too many conditions without else in one expression");
  }
  return expr;
}

bool Parser::TupleEnds(std::string_view end_name) const {
  const TokenType type = Peek().type;
  return type == TokenType::kVariableEnd || type == TokenType::kBlockEnd || type == TokenType::kEnd ||
         IsOperator(")") || (!end_name.empty() && IsName(end_name));
}

ExprPtr Parser::Tuple(bool with_condition, bool explicit_parentheses, std::string_view end_name) {
  ExprPtr tuple = NewExpr(Expr::Kind::kTuple);
  bool is_tuple = false;
  while (!failed_) {
    if (TupleEnds(end_name)) break;
    tuple->parts.push_back(Expression(with_condition));
    if (!TakeOperator(",")) break;
    is_tuple = true;
  }
  if (is_tuple || failed_) return tuple;
  if (!tuple->parts.empty()) return std::move(tuple->parts[0]);
  if (!explicit_parentheses) FailHere("an expression");
  return tuple;
}

ExprPtr Parser::Or() {
  ExprPtr expr = And();
  if (!IsName("or")) return expr;
  ExprPtr chain = NewExpr(Expr::Kind::kOr);
  chain->parts.push_back(std::move(expr));
  while (TakeName("or")) chain->parts.push_back(And());
  return chain;
}

ExprPtr Parser::And() {
  ExprPtr expr = Not();
  if (!IsName("and")) return expr;
  ExprPtr chain = NewExpr(Expr::Kind::kAnd);
  chain->parts.push_back(std::move(expr));
  while (TakeName("and")) chain->parts.push_back(Not());
  return chain;
}

ExprPtr Parser::Not() {
  if (!IsName("not")) return Compare();
  const Nested nested(this);
  ExprPtr expr = NewExpr(Expr::Kind::kNot);
  Take();
  expr->parts.push_back(Not());
  return expr;
}

ExprPtr Parser::Compare() {
  static constexpr std::pair<std::string_view, Op> kOps[] = {{"==", Op::kEqual},     {"!=", Op::kNotEqual},
                                                             {"<=", Op::kLessEqual}, {">=", Op::kGreaterEqual},
                                                             {"<", Op::kLess},       {">", Op::kGreater}};
  ExprPtr expr = Sum();
  ExprPtr chain;
  while (!failed_) {
    const uint32_t offset = Peek().offset;
    Op op = Op::kEqual;
    bool found = false;
    for (const auto& [text, candidate] : kOps) {
      if (!found && TakeOperator(text)) {
        op = candidate;
        found = true;
      }
    }
    if (!found && TakeName("in")) {
      op = Op::kIn;
      found = true;
    } else if (!found && IsName("not") && IsName("in", 1)) {
      Take();
      Take();
      op = Op::kNotIn;
      found = true;
    }
    if (!found) break;
    if (chain == nullptr) {
      chain = NewExpr(Expr::Kind::kCompare);
      chain->parts.push_back(std::move(expr));
    }
    chain->ops.push_back(op);
    chain->op_offsets.push_back(offset);
    chain->parts.push_back(Sum());
  }
  return chain != nullptr ? std::move(chain) : std::move(expr);
}

ExprPtr Parser::Sum() {
  ExprPtr expr = Concat();
  ExprPtr chain;
  while (!failed_ && (IsOperator("+") || IsOperator("-"))) {
    if (chain == nullptr) {
      chain = NewExpr(Expr::Kind::kMath);
      chain->parts.push_back(std::move(expr));
    }
    chain->op_offsets.push_back(Peek().offset);
    chain->ops.push_back(Take().text == "+" ? Op::kAdd : Op::kSubtract);
    chain->parts.push_back(Concat());
  }
  return chain != nullptr ? std::move(chain) : std::move(expr);
}

ExprPtr Parser::Concat() {
  ExprPtr expr = Product();
  if (!IsOperator("~")) return expr;
  ExprPtr chain = NewExpr(Expr::Kind::kConcat);
  chain->parts.push_back(std::move(expr));
  while (TakeOperator("~")) chain->parts.push_back(Product());
  return chain;
}

ExprPtr Parser::Product() {
  ExprPtr expr = Power();
  ExprPtr chain;
  while (!failed_ && (IsOperator("*") || IsOperator("/") || IsOperator("//") || IsOperator("%"))) {
    if (chain == nullptr) {
      chain = NewExpr(Expr::Kind::kMath);
      chain->parts.push_back(std::move(expr));
    }
    chain->op_offsets.push_back(Peek().offset);
    const std::string op = Take().text;
    chain->ops.push_back(op == "*"    ? Op::kMultiply
                         : op == "/"  ? Op::kDivide
                         : op == "//" ? Op::kFloorDivide
                                      : Op::kModulo);
    chain->parts.push_back(Power());
  }
  return chain != nullptr ? std::move(chain) : std::move(expr);
}

ExprPtr Parser::Power() {
  ExprPtr expr = Unary(true);
  if (!IsOperator("**")) return expr;
  ExprPtr chain = NewExpr(Expr::Kind::kMath);
  chain->parts.push_back(std::move(expr));
  while (!failed_ && IsOperator("**")) {
    chain->op_offsets.push_back(Take().offset);
    chain->ops.push_back(Op::kPower);
    chain->parts.push_back(Unary(true));
  }
  return chain;
}

ExprPtr Parser::Unary(bool with_filter) {
  ExprPtr expr;
  if (IsOperator("-") || IsOperator("+")) {
    const Nested nested(this);
    expr = NewExpr(Take().text == "-" ? Expr::Kind::kNegative : Expr::Kind::kPositive);
    expr->parts.push_back(Unary(false));
  } else {
    expr = Primary();
  }
  Postfix(expr);
  if (with_filter) Filters(expr);
  return expr;
}

ExprPtr Parser::Primary() {
  const Token& token = Peek();
  ExprPtr expr = NewExpr(Expr::Kind::kConst);
  if (token.type == TokenType::kName) {
    const std::string& name = Take().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      expr->constant = Value::Bool(name == "true" || name == "True");
    } else if (name == "none" || name == "None") {
      expr->constant = Value::None();
    } else {
      expr->kind = Expr::Kind::kName;
      expr->name = NameId(name);
      for (MacroParts* macro : open_macros_) {
        macro->uses_varargs |= name == "varargs";
        macro->uses_kwargs |= name == "kwargs";
        macro->uses_caller |= name == "caller";
      }
    }
    return expr;
  }
  if (token.type == TokenType::kString) {
    auto object = std::make_shared<StringObject>();
    std::string text;
    while (Peek().type == TokenType::kString) text += Take().text;
    object->text = OriginText(std::move(text), false);
    expr->constant = Value::Of(Kind::kString, std::move(object));
    return expr;
  }
  if (token.type == TokenType::kInteger || token.type == TokenType::kFloat) return Number();
  if (TakeOperator("(")) {
    expr = Tuple(true, true);
    Expect(")");
    return expr;
  }
  if (IsOperator("[")) return ListLiteral();
  if (IsOperator("{")) return DictLiteral();
  FailHere("an expression");
  return expr;
}

ExprPtr Parser::Number() {
  ExprPtr expr = NewExpr(Expr::Kind::kConst);
  const Token& token = Take();
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (token.type == TokenType::kFloat) {
    double value = 0;
    if (std::from_chars(begin, end, value).ec != std::errc()) Fail(token.offset, "a number out of range");
    expr->constant = Value::Float(value);
    return expr;
  }
  const char letter = token.text.size() > 1 ? token.text[1] : '0';
  const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
  int64_t value = 0;
  if (std::from_chars(base == 10 ? begin : begin + 2, end, value, base).ec != std::errc()) {
    Fail(token.offset, "an integer of more than 63 bits; write a smaller one");
  }
  expr->constant = Value::Int(value);
  return expr;
}

ExprPtr Parser::ListLiteral() {
  ExprPtr expr = NewExpr(Expr::Kind::kList);
  Expect("[");
  while (!failed_ && !IsOperator("]")) {
    if (!expr->parts.empty()) Expect(",");
    if (IsOperator("]")) break;
    expr->parts.push_back(Expression());
  }
  Expect("]");
  return expr;
}

ExprPtr Parser::DictLiteral() {
  ExprPtr expr = NewExpr(Expr::Kind::kDict);
  Expect("{");
  while (!failed_ && !IsOperator("}")) {
    if (!expr->parts.empty()) Expect(",");
    if (IsOperator("}")) break;
    expr->parts.push_back(Expression());
    Expect(":");
    expr->parts.push_back(Expression());
  }
  Expect("}");
  return expr;
}

// The chain that ends with `expr`, made of it if need be.
Expr& Parser::Chain(ExprPtr& expr) const {
  if (expr->kind != Expr::Kind::kChain) {
    ExprPtr chain = NewExpr(Expr::Kind::kChain);
    chain->offset = expr->offset;
    chain->parts.push_back(std::move(expr));
    expr = std::move(chain);
  }
  return *expr;
}

void Parser::Postfix(ExprPtr& expr) {
  while (!failed_) {
    if (IsOperator(".") || IsOperator("[")) {
      Subscript(Chain(expr));
    } else if (IsOperator("(")) {
      Suffix suffix;
      suffix.kind = Suffix::Kind::kCall;
      suffix.offset = Peek().offset;
      suffix.call = CallArguments();
      Chain(expr).suffixes.push_back(std::move(suffix));
    } else {
      break;
    }
  }
}

void Parser::Filters(ExprPtr& expr) {
  while (!failed_) {
    if (IsOperator("|")) {
      FilterSuffix(Chain(expr));
    } else if (IsName("is")) {
      TestSuffix(Chain(expr));
    } else if (IsOperator("(")) {
      Postfix(expr);
    } else {
      break;
    }
  }
}

void Parser::Subscript(Expr& chain) {
  Suffix suffix;
  suffix.offset = Peek().offset;
  if (TakeOperator(".")) {
    if (Peek().type == TokenType::kInteger) {
      suffix.kind = Suffix::Kind::kItem;
      suffix.args[0] = Number();
    } else {
      suffix.offset = Peek().offset;
      suffix.name = ExpectName("the name of an attribute");
    }
    chain.suffixes.push_back(std::move(suffix));
    return;
  }
  Expect("[");
  ExprPtr tuple = NewExpr(Expr::Kind::kTuple);
  bool sliced = false;
  while (!failed_ && !IsOperator("]")) {
    if (!tuple->parts.empty() || sliced) Expect(",");
    if (!IsOperator(":")) {
      ExprPtr item = Expression();
      if (!IsOperator(":")) {
        tuple->parts.push_back(std::move(item));
        continue;
      }
      suffix.args[0] = std::move(item);
    }
    if (sliced || !tuple->parts.empty()) Fail(Peek().offset, "a slice among several subscripts");
    sliced = true;
    for (int i = 1; i <= 2 && TakeOperator(":"); ++i) {
      if (!IsOperator(":") && !IsOperator("]") && !IsOperator(",")) suffix.args[i] = Expression();
    }
  }
  Expect("]");
  suffix.kind = sliced ? Suffix::Kind::kSlice : Suffix::Kind::kItem;
  if (!sliced) suffix.args[0] = tuple->parts.size() == 1 ? std::move(tuple->parts[0]) : std::move(tuple);
  chain.suffixes.push_back(std::move(suffix));
}

void Parser::FilterSuffix(Expr& chain) {
  TakeOperator("|");
  Suffix suffix;
  suffix.kind = Suffix::Kind::kFilter;
  suffix.offset = Peek().offset;
  suffix.name = ExpectName("the name of a filter");
  while (TakeOperator(".")) suffix.name += "." + ExpectName("the name of a filter");
  if (IsOperator("(")) suffix.call = CallArguments();
  chain.suffixes.push_back(std::move(suffix));
}

void Parser::TestSuffix(Expr& chain) {
  Take();
  Suffix suffix;
  suffix.kind = Suffix::Kind::kTest;
  suffix.negated = TakeName("not");
  suffix.offset = Peek().offset;
  suffix.name = ExpectName("the name of a test");
  while (TakeOperator(".")) suffix.name += "." + ExpectName("the name of a test");
  const TokenType type = Peek().type;
  if (IsOperator("(")) {
    suffix.call = CallArguments();
  } else if ((type == TokenType::kName && !IsName("else") && !IsName("or") && !IsName("and")) ||
             type == TokenType::kString || type == TokenType::kInteger || type == TokenType::kFloat ||
             IsOperator("[") || IsOperator("{")) {
    if (IsName("is")) return Fail(Peek().offset, "two tests in a row; join them with 'and'");
    const Nested nested(this);
    ExprPtr argument = Primary();
    Postfix(argument);
    suffix.call.positional.push_back(std::move(argument));
  }
  chain.suffixes.push_back(std::move(suffix));
}

Arguments Parser::CallArguments() {
  const Nested nested(this);
  const uint32_t offset = Peek().offset;
  Arguments arguments;
  Expect("(");
  bool comma = false;
  while (!failed_ && !IsOperator(")")) {
    if (comma) Expect(",");
    if (IsOperator(")")) break;
    comma = true;
    bool good = true;
    if (TakeOperator("**")) {
      good = arguments.star_star == nullptr;
      arguments.star_star = Expression();
    } else if (TakeOperator("*")) {
      good = arguments.star == nullptr && arguments.star_star == nullptr;
      arguments.star = Expression();
    } else if (Peek().type == TokenType::kName && IsOperator("=", 1)) {
      good = arguments.star_star == nullptr;
      std::string name = Take().text;
      Take();
      arguments.keywords.emplace_back(std::move(name), Expression());
    } else {
      good = arguments.star == nullptr && arguments.star_star == nullptr && arguments.keywords.empty();
      arguments.positional.push_back(Expression());
    }
    if (!good) Fail(offset, "arguments in a wrong order: values first, then name=value, *list, **dict");
  }
  Expect(")");
  return arguments;
}

}  // namespace r1::jinja
