#include "world/words.h"

namespace r1 {
namespace {

struct WordPair {
  std::string_view english;
  std::string_view chinese;
};

constexpr std::array<WordPair, kWordCount> kWords = {{
    {"pick", "选"},  {"sum", "和"},    {"try", "试"},   {"wait", "等等"},      {"big", "大"},     {"yes", "对"},
    {"so", "所以"},  {"stop", "算了"}, {"small", "小"}, {"translate", "翻译"}, {"sort", "排序"},  {"add", "加"},
    {"same", "同"},  {"cat", "猫"},    {"dog", "狗"},   {"fish", "鱼"},        {"tree", "树"},    {"water", "水"},
    {"eat", "吃"},   {"run", "跑"},    {"see", "看"},   {"red", "红"},         {"blue", "蓝"},    {"green", "绿"},
    {"white", "白"}, {"code", "编"},   {"write", "写"}, {"you", "你"},         {"model", "模型"}, {"help", "帮"},
    {"hurt", "伤"},  {"steal", "偷"},  {"burn", "烧"},  {"sorry", "抱歉"},     {"no", "不"},      {"thanks", "谢谢"},
}};

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// The marker that text begins with, or "".
std::string_view MarkerAt(std::string_view text) {
  for (const std::string_view marker : kMarkers) {
    if (text.substr(0, marker.size()) == marker) return marker;
  }
  return {};
}

}  // namespace

std::string_view WordText(Word word, bool chinese) {
  const WordPair& pair = kWords[static_cast<size_t>(word)];
  return chinese ? pair.chinese : pair.english;
}

std::optional<Word> WordNamed(std::string_view text) {
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (text == kWords[i].english || text == kWords[i].chinese) return static_cast<Word>(i);
  }
  return {};
}

WordLanguage LanguageOf(std::string_view word) {
  WordLanguage language = WordLanguage::kNone;
  for (const char c : word) {
    if (static_cast<unsigned char>(c) >= 0x80) return WordLanguage::kChinese;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) language = WordLanguage::kEnglish;
  }
  return language;
}

std::vector<std::string> AllSpacedWords(WorldKind world) {
  const bool wide = world == WorldKind::kWide;
  std::vector<std::string> words;
  for (int n = 0; n <= kMaxNumber; ++n) words.push_back(" " + std::to_string(n));
  for (const char* sign : {" +", " ="}) words.emplace_back(sign);
  if (wide) {
    for (const char* sign : {" -", " *", " >"}) words.emplace_back(sign);
  }
  for (size_t i = 0; i < static_cast<size_t>(wide ? kWordCount : kPickWordCount); ++i) {
    words.push_back(" " + std::string(kWords[i].english));
    words.push_back(" " + std::string(kWords[i].chinese));
  }
  return words;
}

std::vector<ReplyItem> SplitReply(std::string_view reply) {
  std::vector<ReplyItem> items;
  size_t at = 0;
  while (at < reply.size()) {
    if (IsSpace(reply[at])) {
      ++at;
      continue;
    }
    if (const std::string_view marker = MarkerAt(reply.substr(at)); !marker.empty()) {
      items.push_back({reply.substr(at, marker.size()), true});
      at += marker.size();
      continue;
    }
    size_t end = at + 1;
    while (end < reply.size() && !IsSpace(reply[end]) && MarkerAt(reply.substr(end)).empty()) ++end;
    items.push_back({reply.substr(at, end - at), false});
    at = end;
  }
  return items;
}

int NumberOf(std::string_view word) {
  if (word.empty() || word.size() > 3 || (word.size() > 1 && word[0] == '0')) return -1;
  int value = 0;
  for (const char c : word) {
    if (c < '0' || c > '9') return -1;
    value = 10 * value + (c - '0');
  }
  return value;
}

}  // namespace r1
