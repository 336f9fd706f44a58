// JSON to the variables of a template, without a tree of JSON between: order of keys and large integers are kept.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/json_scan.h"
#include "base/quote.h"
#include "text/chat_template.h"
#include "text/jinja_value.h"

namespace r1 {
namespace {

using jinja::DictObject;
using jinja::Kind;
using jinja::ListObject;
using jinja::RenderState;
using jinja::StringObject;
using jinja::Value;
using Token = JsonScanner::Token;

constexpr size_t kMaxTextBytes = size_t{32} << 20;
constexpr int64_t kMaxValues = 400'000;
constexpr int kMaxJsonDepth = 90;  // leaves levels for what templates build around values
constexpr int64_t kNoLimit = int64_t{1} << 50;

constexpr std::string_view kTokenVariables[] = {"bos_token", "eos_token", "pad_token", "unk_token",
                                                "sep_token", "cls_token", "mask_token"};
constexpr std::string_view kRoles[] = {"system", "developer", "user",        "assistant", "tool",
                                       "model",  "function",  "observation", "ipython"};

Value Text(std::string_view text, bool content) {
  auto object = std::make_shared<StringObject>();
  object->text = OriginText(std::string(text), content);
  return Value::Of(Kind::kString, std::move(object), content);
}

// False if the number does not fit a double.
bool Number(std::string_view text, bool integer, Value* out) {
  const char* end = text.data() + text.size();
  int64_t value = 0;
  if (integer && std::from_chars(text.data(), end, value).ec == std::errc()) {
    *out = Value::Int(value, true);
    return true;
  }
  if (integer) {
    *out = Value::Of(Kind::kBigInt, Text(text, true).object(), true);
    return true;
  }
  double number = 0;
  if (std::from_chars(text.data(), end, number).ec != std::errc()) {
    number = std::strtod(std::string(text).c_str(), nullptr);  // tells too small (0) from too large (infinity)
  }
  *out = Value::Float(number, true);
  return std::isfinite(number);
}

class Reader {
 public:
  Reader(std::string_view text, std::string_view where)
      : text_(text), where_(where), scanner_(text, kMaxJsonDepth), state_(kNoLimit, kNoLimit, kNoLimit, kNoLimit) {}

  Result<std::shared_ptr<DictObject>> Read() {
    for (;;) {
      const Token token = scanner_.Next();
      if (token == Token::kError) return Bad(scanner_.error());
      if (token == Token::kEnd) break;
      if (++values_ > kMaxValues) return Bad("more than " + std::to_string(kMaxValues) + " values");
      if (token == Token::kKey) {
        DictObject& dict = *open_.back().value.As<DictObject>();
        if (dict.Find(scanner_.value()) != nullptr) return Bad("duplicate key " + Quote(scanner_.value()));
        open_.back().key = Text(scanner_.value(), true);
        continue;
      }
      Value value;
      switch (token) {
        case Token::kObjectBegin:
          open_.push_back({Value::Of(Kind::kDict, std::make_shared<DictObject>(), true), {}});
          continue;
        case Token::kArrayBegin:
          open_.push_back({Value::Of(Kind::kList, std::make_shared<ListObject>(), true), {}});
          continue;
        case Token::kObjectEnd:
        case Token::kArrayEnd:
          value = std::move(open_.back().value);
          open_.pop_back();
          break;
        case Token::kString:
          value = Text(scanner_.value(), true);
          break;
        case Token::kTrue:
        case Token::kFalse:
          value = Value::Bool(token == Token::kTrue, true);
          break;
        case Token::kNull:
          value = Value::None(true);
          break;
        default:
          if (!Number(scanner_.value(), token == Token::kInteger, &value)) {
            return Bad("the number " + Quote(scanner_.value()) + " is too large");
          }
      }
      Put(std::move(value));
    }
    if (!root_.Is(Kind::kDict)) return Bad("the variables are not a JSON object");
    return std::static_pointer_cast<DictObject>(root_.object());
  }

 private:
  struct Open {
    Value value;
    Value key;  // of a dict: the one whose value comes next
  };

  Error Bad(const std::string& message) const {
    return {ErrorCode::kBadInput, where_ + ":" + LineColumn(text_, scanner_.offset()) + ": " + message};
  }

  void Put(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    jinja::Nest(state_, *open_.back().value.object(), value);
    if (open_.back().value.Is(Kind::kList)) {
      open_.back().value.As<ListObject>()->items.push_back(std::move(value));
    } else {
      open_.back().value.As<DictObject>()->Set(state_, open_.back().key, std::move(value));
    }
  }

  std::string_view text_;
  std::string where_;
  JsonScanner scanner_;
  RenderState state_;
  std::vector<Open> open_;
  Value root_;
  int64_t values_ = 0;
};

// Makes scaffold of an entry of the dict if it is a string, and one of the roles if `role`.
void Trust(DictObject& dict, std::string_view name, bool role) {
  for (auto& [key, value] : dict.items) {
    if (!key.Is(Kind::kString) || key.text().bytes() != name || !value.Is(Kind::kString)) continue;
    const std::string& text = value.text().bytes();
    if (!role || std::find(std::begin(kRoles), std::end(kRoles), text) != std::end(kRoles)) value = Text(text, false);
  }
}

template <class Json>
Result<TemplateVars> FromTree(const Json& vars, std::string_view where) {
  return TemplateVars::FromJsonText(vars.dump(-1, ' ', false, Json::error_handler_t::replace), where);
}

}  // namespace

Result<TemplateVars> TemplateVars::FromJsonText(std::string_view text, std::string_view where) {
  if (text.size() > kMaxTextBytes) {
    return Error{ErrorCode::kBadInput, std::string(where) + ": variables of more than 32 MiB"};
  }
  R1_ASSIGN(std::shared_ptr<DictObject> root, Reader(text, where).Read());
  for (const std::string_view name : kTokenVariables) Trust(*root, name, false);
  if (const Value* messages = root->Find("messages"); messages != nullptr && messages->Is(Kind::kList)) {
    for (const Value& message : messages->As<ListObject>()->items) {
      if (message.Is(Kind::kDict)) Trust(*message.As<DictObject>(), "role", true);
    }
  }
  TemplateVars vars;
  vars.values_ = std::move(root);
  return vars;
}

Result<TemplateVars> TemplateVars::FromJson(const nlohmann::ordered_json& vars, std::string_view where) {
  return FromTree(vars, where);
}

Result<TemplateVars> TemplateVars::FromJson(const nlohmann::json& vars, std::string_view where) {
  return FromTree(vars, where);
}

}  // namespace r1
