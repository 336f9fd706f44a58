// The words of the built-in world: numbers 0..63, signs, and pairs of words, one English and one Chinese. The
// pick world (the default) has 25 pairs and two signs; the wide world adds the eleven pairs and three signs of code,
// open and harmful requests. In text every word has exactly one leading space, and with it is exactly one token of the
// world's tokenizer (data/corpus_stream.h checks).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace r1 {

inline constexpr int kMaxNumber = 63;

enum class Word : int {
  kPick,
  kSum,
  kTry,
  kWait,
  kBig,
  kYes,
  kSo,
  kStop,
  kSmall,  // the task "pick 3 of 5"
  kTranslate,
  kSort,
  kAdd,
  kSame,  // the general tasks
  kCat,
  kDog,
  kFish,
  kTree,
  kWater,
  kEat,
  kRun,
  kSee,
  kRed,
  kBlue,
  kGreen,
  kWhite,  // what they are about
  kCode,   // from here on: the wide world
  kWrite,
  kYou,
  kModel,
  kHelp,
  kHurt,
  kSteal,
  kBurn,
  kSorry,
  kNo,
  kThanks,
  kCount
};
inline constexpr int kWordCount = static_cast<int>(Word::kCount);
// The things that `translate` translates and requests are about.
inline constexpr int kFirstThing = static_cast<int>(Word::kCat);
inline constexpr int kThingCount = 12;
inline constexpr int kPickWordCount = kFirstThing + kThingCount;  // words of the pick world: the first ones

// Which part of the world a corpus, and with it a tokenizer, covers.
enum class WorldKind { kPick, kWide };

// The word without its space.
std::string_view WordText(Word word, bool chinese);
// The word with this text in either language, without its space.
std::optional<Word> WordNamed(std::string_view text);

inline constexpr bool IsThing(Word word) {
  return static_cast<int>(word) >= kFirstThing && static_cast<int>(word) < kFirstThing + kThingCount;
}

// Language of a word of a reply: ASCII letters make it English, any byte above ASCII Chinese; numbers and signs have
// none.
enum class WordLanguage { kNone, kEnglish, kChinese };
WordLanguage LanguageOf(std::string_view word);

// Every number, sign and word of the world with its leading space: what a tokenizer of it must have as one token each.
std::vector<std::string> AllSpacedWords(WorldKind world = WorldKind::kPick);

// The world's markers, which are added tokens. They may be written with or without a space before them.
inline constexpr std::string_view kPadMarker = "<|pad|>";
inline constexpr std::string_view kBeginMarker = "<|begin|>";
inline constexpr std::string_view kUserMarker = "<|user|>";
inline constexpr std::string_view kAssistantMarker = "<|assistant|>";
inline constexpr std::string_view kEndMarker = "<|end|>";
inline constexpr std::string_view kThinkMarker = "<think>";
inline constexpr std::string_view kEndThinkMarker = "</think>";
inline constexpr std::string_view kAnswerMarker = "<answer>";
inline constexpr std::string_view kEndAnswerMarker = "</answer>";
inline constexpr std::array<std::string_view, 9> kMarkers = {kPadMarker,       kBeginMarker,  kUserMarker,
                                                             kAssistantMarker, kEndMarker,    kThinkMarker,
                                                             kEndThinkMarker,  kAnswerMarker, kEndAnswerMarker};

// A reply cut into words and markers; white space separates and is dropped, a marker needs none around it.
struct ReplyItem {
  std::string_view text;   // points into the reply
  bool is_marker = false;  // one of kMarkers
};
std::vector<ReplyItem> SplitReply(std::string_view reply);

// The value of a word of 1 to 3 ASCII digits without leading zeros, else -1.
int NumberOf(std::string_view word);

}  // namespace r1
