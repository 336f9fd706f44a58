// What the checkers of replies share, whatever the task: markers, thinking, the last answer, written tries of pick.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "world/reply.h"
#include "world/words.h"

namespace r1 {

using ReplyItems = std::vector<ReplyItem>;
using ReplyWords = std::vector<std::string_view>;

inline bool IsWord(std::string_view text, Word word) {
  return text == WordText(word, false) || text == WordText(word, true);
}
inline bool IsMarker(const ReplyItem& item, std::string_view marker) { return item.is_marker && item.text == marker; }
inline bool IsTryWord(std::string_view text) { return IsWord(text, Word::kTry) || IsWord(text, Word::kWait); }

// -1 small, 0 yes, 1 big; kNoVerdict if it is none.
inline constexpr int kNoVerdict = 2;
int VerdictOf(std::string_view text);

// The words of the last complete <answer>…</answer>; empty if there is none or a marker lies in it.
ReplyWords LastAnswer(const ReplyItems& items);
// The words between the first <think> and the next marker.
ReplyWords ThinkingOf(const ReplyItems& items);
// Exactly <think> X </think> <answer> Y </answer><|end|>, X and Y not empty?
bool IsWellFormed(const ReplyItems& items);

// Fills what needs no knowledge of the task: ended, well_formed, style, reflects, mixed and the thinking words. A reply
// without markers is bare if each of its words passes is_bare_word.
void AnalyzeForm(const ReplyItems& items, bool chinese, const std::function<bool(std::string_view)>& is_bare_word,
                 ReplyFacts* facts);

// "a + b = s + c = t" from words[at] on: `words` of the nine are there, -1 stands for the numbers that are not.
struct WrittenTry {
  int a = -1, b = -1, s = -1, c = -1, t = -1;
  size_t words = 0;
};
inline constexpr size_t kPickTryWords = 9;
WrittenTry ReadTry(const ReplyWords& words, size_t at);

}  // namespace r1
