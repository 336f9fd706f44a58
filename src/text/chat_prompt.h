// A rendered chat template: its text, which stretches of it the template wrote and which came from variables, the
// tokens of it, and where a reply would begin with regard to <think> and </think>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace r1 {

struct RenderedPrompt {
  struct Stretch {
    size_t begin = 0, end = 0;  // bytes of text
    bool content = false;       // from a variable; false: scaffold, from the template
  };
  std::string text;
  std::vector<Stretch> stretches;    // of alternating origin; together all of text, in order
  std::vector<Stretch> generations;  // what stands in {% generation %} blocks: what a model is trained on
};

// Added tokens are looked for in scaffold only: one that touches content is plain text. What lies between them is
// encoded as a whole, across the borders of scaffold and content. So without added tokens in the content the ids are
// those of Encode(text), and content never becomes an added token whatever it says.
std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, const RenderedPrompt& prompt);

enum class ThinkState {
  kOutside,  // no tag since the turn began
  kOpen,     // after an opening tag: the reply's first text is thinking
  kClosed,   // after a closing tag: the reply must not think
};
// Decided by the last tag in the scaffold, if no other scaffold but white space follows it (an end-of-turn mark, for
// one, ends the turn that the tag was in). Content may follow: the reply goes on from there.
ThinkState ThinkStateOf(const RenderedPrompt& prompt, std::string_view open_tag = "<think>",
                        std::string_view close_tag = "</think>");
// "outside", "open", "closed".
const char* ThinkStateName(ThinkState state);

}  // namespace r1
