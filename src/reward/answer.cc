#include "reward/answer.h"

#include <algorithm>

namespace r1 {

namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kOpenAnswer = "<answer>", kCloseAnswer = "</answer>", kBoxed = "\\boxed{", kMark = "####";

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

size_t Count(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); !part.empty() && at != std::string_view::npos;
       at = text.find(part, at + part.size()))
    ++count;
  return count;
}

std::optional<std::string_view> LastTag(std::string_view text) {
  const size_t end = text.rfind(kCloseAnswer);
  if (end == std::string_view::npos) return {};
  const size_t begin = text.substr(0, end).rfind(kOpenAnswer);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin + kOpenAnswer.size(), end - begin - kOpenAnswer.size());
}

std::optional<std::string_view> LastBox(std::string_view text) {
  const size_t at = text.rfind(kBoxed);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + kBoxed.size();
  int64_t depth = 1;
  for (size_t i = begin; i < text.size(); ++i) {
    depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (depth == 0) return text.substr(begin, i - begin);
  }
  return {};
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// A number in one spelling: sign, digits without leading zeros, and after a point without trailing ones. "" if the text
// is no number.
std::string CanonicalNumber(std::string_view text) {
  text = Trimmed(text);
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.ends_with('%')) text.remove_suffix(1);
  bool negative = false, signed_already = false;
  for (; !text.empty() && !IsDigit(text[0]) && text[0] != '.'; text.remove_prefix(1)) {
    const bool sign = text[0] == '-' || text[0] == '+';
    if (text[0] != '$' && text[0] != ' ' && (!sign || signed_already)) return {};
    signed_already = signed_already || sign;
    negative = negative || text[0] == '-';
  }
  const size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point), part = text.substr(std::min(point + 1, text.size()));
  std::string digits;
  const bool grouped = whole.find(',') != std::string_view::npos;
  for (size_t i = 0; i < whole.size(); ++i) {
    const bool comma = grouped && i > 0 && (whole.size() - i) % 4 == 0;
    if (comma ? whole[i] != ',' : !IsDigit(whole[i])) return {};
    if (!comma) digits += whole[i];
  }
  if (!std::all_of(part.begin(), part.end(), IsDigit) || (digits.empty() && part.empty())) return {};
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  const size_t last = part.find_last_not_of('0');
  const std::string fraction(part.substr(0, last == std::string_view::npos ? 0 : last + 1));
  if (digits.empty()) digits = "0";
  const bool zero = digits == "0" && fraction.empty();
  return (negative && !zero ? "-" : "") + digits + (fraction.empty() ? "" : "." + fraction);
}

std::string CanonicalText(std::string_view text) {
  text = Trimmed(text);
  while (text.size() >= 2 && text.front() == '$' && text.back() == '$') text = Trimmed(text.substr(1, text.size() - 2));
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string out;
  for (const char c : text) {
    if (kSpace.find(c) != std::string_view::npos) continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

}  // namespace

std::optional<ReplyForm> ReplyFormFromName(std::string_view name) {
  if (name == "ended") return ReplyForm::kEnded;
  if (name == "think") return ReplyForm::kThink;
  if (name == "think_answer") return ReplyForm::kThinkAnswer;
  return std::nullopt;
}

AnswerReply SplitAnswerReply(std::string_view reply, const ThinkTags& tags) {
  AnswerReply out;
  std::string_view rest = Trimmed(reply);
  const size_t close = rest.rfind(tags.close);
  const bool opened = rest.starts_with(tags.open);
  out.thinks = opened || close != std::string_view::npos;
  if (!out.thinks) {
    out.content = rest;
    return out;
  }
  const size_t begin = opened ? tags.open.size() : 0;
  if (close == std::string_view::npos || close < begin) {
    out.thinking = Trimmed(rest.substr(begin));
    return out;
  }
  out.thinking = Trimmed(rest.substr(begin, close - begin));
  out.content = Trimmed(rest.substr(close + tags.close.size()));
  return out;
}

std::optional<std::string> ExtractAnswer(std::string_view content) {
  const std::optional<std::string_view> tag = LastTag(content);
  if (const auto box = LastBox(tag.value_or(content)); box.has_value()) return std::string(Trimmed(*box));
  if (tag.has_value()) return std::string(Trimmed(*tag));
  const size_t mark = content.rfind(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  const std::string_view line = content.substr(mark + kMark.size());
  return std::string(Trimmed(line.substr(0, line.find('\n'))));
}

bool SameAnswer(std::string_view a, std::string_view b) {
  const std::string number_a = CanonicalNumber(a), number_b = CanonicalNumber(b);
  if (!number_a.empty() && !number_b.empty()) return number_a == number_b;
  const std::string text = CanonicalText(a);
  return !text.empty() && text == CanonicalText(b);
}

bool HasForm(std::string_view reply, bool ended, ReplyForm form, const ThinkTags& tags) {
  if (!ended) return false;
  if (form == ReplyForm::kEnded) return true;
  const AnswerReply parts = SplitAnswerReply(reply, tags);
  if (!Trimmed(reply).starts_with(tags.open) || Count(reply, tags.open) != 1 || Count(reply, tags.close) != 1 ||
      parts.thinking.empty() || parts.content.empty())
    return false;
  if (form == ReplyForm::kThink) return true;
  const std::string_view content = parts.content;
  return content.starts_with(kOpenAnswer) && content.ends_with(kCloseAnswer) && Count(content, kOpenAnswer) == 1 &&
         Count(content, kCloseAnswer) == 1 && !Trimmed(LastTag(content).value_or("")).empty();
}

}  // namespace r1
