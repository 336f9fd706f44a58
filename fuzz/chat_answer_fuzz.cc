// What a remote endpoint or a file of recorded replies says, as hostile input: an error with a message, or texts within
// the promises of their readers; and a verdict that is "correct" only if it says so in the form asked for.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "data/traces.h"
#include "distill/judge.h"
#include "distill/reply_text.h"
#include "net/chat_client.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const int64_t n = static_cast<int64_t>(size % 4) + 1;
  const auto answer = r1::ParseChatAnswer(text, "fuzz", n);
  if (answer.ok()) {
    if (answer->choices.empty() || static_cast<int64_t>(answer->choices.size()) > n) std::abort();
    for (const r1::ChatChoice& choice : answer->choices) (void)r1::SplitReplyText(choice.content);
  } else if (answer.error().message.empty()) {
    std::abort();
  }
  if (r1::ParseVerdict(text) == r1::Verdict::kCorrect && text.find("correctness") == std::string_view::npos &&
      text.find('\\') == std::string_view::npos) {
    std::abort();
  }
  (void)r1::ParseYesNo(text);
  const auto traces = r1::ParseTraces(text, "fuzz");
  if (traces.ok()) {
    for (const r1::Trace& trace : *traces) {
      if (trace.question.empty() || trace.content.empty()) std::abort();
    }
  }
  const r1::ReplyText reply = r1::SplitReplyText(text);
  if (reply.regular) {  // what is regular is read back the same
    const r1::ReplyText again = r1::SplitReplyText(r1::JoinReplyText(reply.thinking, reply.content));
    if (!again.regular || again.thinking != reply.thinking || again.content != reply.content) std::abort();
  }
  return 0;
}
