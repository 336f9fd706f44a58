// The pen of the world's documents: words with one space before each, prompts with their markers, and the slips and
// flips of one who calculates on paper. Shared by the files that make documents; every draw comes from the rng given.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/rng.h"
#include "world/words.h"

namespace r1 {

// Words with a space before each.
class Writer {
 public:
  Writer& Put(std::string_view word) {
    (text_ += ' ') += word;
    return *this;
  }
  Writer& Put(int number) { return Put(std::to_string(number)); }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

// The prompt of these words, each with its space.
inline std::string UserPrompt(std::string_view words) {
  std::string text(kBeginMarker);
  text += kUserMarker;
  text += words;
  text += kAssistantMarker;
  return text;
}

inline std::string Ended(std::string reply) { return reply += kEndMarker; }

// Chooses the language of each word of a document.
class Speaker {
 public:
  Speaker(Rng& rng, bool chinese, bool by_coin) : rng_(rng), chinese_(chinese), by_coin_(by_coin) {}
  std::string_view Say(Word word) { return WordText(word, by_coin_ ? rng_.Below(2) == 1 : chinese_); }

 private:
  Rng& rng_;
  bool chinese_;
  bool by_coin_;
};

// A sum or product as it is written: with probability slip off by 1, 2 or 10, and always in 0..63.
inline int WrittenSum(Rng& rng, int sum, double slip) {
  if (slip > 0 && rng.Chance(slip)) {
    constexpr std::array<int, 3> kSlips = {1, 2, 10};
    const int size = kSlips[rng.Below(3)];
    sum += rng.Below(2) == 0 ? size : -size;
  }
  return std::clamp(sum, 0, kMaxNumber);
}

inline Word Verdict(int value, int target) {
  if (value == target) return Word::kYes;
  return value > target ? Word::kBig : Word::kSmall;
}

// The verdict as it is written: with probability flip one of the other two.
inline Word WrittenVerdict(Rng& rng, int value, int target, double flip) {
  const Word truth = Verdict(value, target);
  if (flip <= 0 || !rng.Chance(flip)) return truth;
  std::array<Word, 2> others{};
  size_t count = 0;
  for (const Word word : {Word::kBig, Word::kSmall, Word::kYes}) {
    if (word != truth) others[count++] = word;
  }
  return others[rng.Below(2)];
}

}  // namespace r1
