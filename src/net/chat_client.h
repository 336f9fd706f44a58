// An OpenAI-compatible endpoint: POST {base}/chat/completions. Replies are hostile input: their form is checked, their
// size is bounded (net/http_client.h), what they say is text and nothing else.
//   asked    {"model", "messages": [{"role", "content"}], "temperature", "top_p", "max_tokens", "n", "seed",
//             "response_format": {"type": "json_object"}}
//   read     choices[].message.content and .reasoning_content (or .reasoning), choices[].finish_reason, usage
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http_client.h"

namespace r1 {

struct ChatMessage {
  std::string role, content;
};

struct ChatRequest {
  std::vector<ChatMessage> messages;
  double temperature = 1;
  double top_p = 1;
  int64_t max_tokens = 0;  // 0: the endpoint's own limit
  int64_t n = 1;
  int64_t seed = -1;  // < 0: not sent
  bool json = false;  // asks for one JSON object
};

struct ChatChoice {
  std::string content;
  std::string reasoning;      // "" if the endpoint gives none
  std::string finish_reason;  // "stop", "length", ...; "" if it does not say
};

struct ChatAnswer {
  std::vector<ChatChoice> choices;                   // 1 .. n of them, by their index
  int64_t prompt_tokens = 0, completion_tokens = 0;  // 0 if it does not say
};

// The body of a reply to a request with this n. Error kBadInput says what is wrong with it; `where` names the endpoint.
Result<ChatAnswer> ParseChatAnswer(std::string_view body, std::string_view where, int64_t n);
std::string ChatRequestText(const ChatRequest& request, const std::string& model);

struct ChatOptions {
  std::string base_url;  // as in "https://host/v1"
  std::string model;
  HttpOptions http;
  int64_t parallel = 4;  // requests under way at a time
};

class ChatClient {
 public:
  static Result<ChatClient> Create(ChatOptions options);
  // A result for each request, in their order, whatever order they came in. kUnavailable: the endpoint did not answer;
  // kBadInput: its answer is malformed; kInterrupted after Ctrl-C.
  std::vector<Result<ChatAnswer>> Complete(const std::vector<ChatRequest>& requests) const;
  const std::string& url() const { return url_; }
  const std::string& model() const { return options_.model; }

 private:
  ChatClient(ChatOptions options, std::string url) : options_(std::move(options)), url_(std::move(url)) {}
  ChatOptions options_;
  std::string url_;
};

}  // namespace r1
