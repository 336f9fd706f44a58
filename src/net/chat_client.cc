#include "net/chat_client.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/interrupt.h"
#include "base/json.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr int64_t kMaxParallel = 256;
constexpr int64_t kMaxCount = int64_t{1} << 40;

// A member that is a string; "" if it is missing or null. False if it is anything else.
bool TakeText(const Json& object, const char* name, std::string* out) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return true;
  if (!found->is_string()) return false;
  *out = found->get<std::string>();
  return true;
}

int64_t TakeCount(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return 0;
  const bool fits = found->is_number_unsigned() ? found->get<uint64_t>() <= static_cast<uint64_t>(kMaxCount)
                                                : found->get<int64_t>() >= 0 && found->get<int64_t>() <= kMaxCount;
  return fits ? found->get<int64_t>() : 0;
}

}  // namespace

Result<ChatAnswer> ParseChatAnswer(std::string_view body, std::string_view where, int64_t n) {
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::kBadInput,
                 std::string(where) + ": " + what + "; is it an OpenAI-compatible chat endpoint?"};
  };
  const Result<Json> parsed = ParseJson(body, "reply", kMaxDepth);
  if (!parsed.ok()) return bad("the reply is not JSON (" + parsed.error().message + ")");
  const Json& root = *parsed;
  if (!root.is_object() || !root.contains("choices") || !root["choices"].is_array())
    return bad("the reply has no list 'choices'");
  const Json& choices = root["choices"];
  const size_t count = choices.size();
  if (count == 0 || count > static_cast<size_t>(std::max<int64_t>(n, 1)))
    return bad("the reply has " + std::to_string(count) + " choices where " + std::to_string(n) + " were asked for");
  ChatAnswer reply;
  reply.choices.resize(count);
  std::vector<bool> seen(count);
  for (size_t i = 0; i < count; ++i) {
    const Json& choice = choices[i];
    if (!choice.is_object() || !choice.contains("message") || !choice["message"].is_object())
      return bad("a choice has no 'message'");
    size_t at = i;
    if (const auto index = choice.find("index"); index != choice.end()) {
      const bool good = index->is_number_integer() && !(*index < 0) && *index < count;
      if (!good) return bad("a choice's 'index' is wrong");
      at = index->get<size_t>();
    }
    if (seen[at]) return bad("two choices have one 'index'");
    seen[at] = true;
    const Json& message = choice["message"];
    ChatChoice& out = reply.choices[at];
    std::string other;
    if (!TakeText(message, "content", &out.content)) return bad("a message's 'content' is not text");
    if (!TakeText(message, "reasoning_content", &out.reasoning) || !TakeText(message, "reasoning", &other))
      return bad("a message's 'reasoning_content' is not text");
    if (out.reasoning.empty()) out.reasoning = std::move(other);
    if (!TakeText(choice, "finish_reason", &out.finish_reason)) return bad("a choice's 'finish_reason' is not text");
  }
  if (const auto usage = root.find("usage"); usage != root.end() && usage->is_object()) {
    reply.prompt_tokens = TakeCount(*usage, "prompt_tokens");
    reply.completion_tokens = TakeCount(*usage, "completion_tokens");
  }
  return Result<ChatAnswer>(std::move(reply));
}

std::string ChatRequestText(const ChatRequest& request, const std::string& model) {
  nlohmann::ordered_json body;
  body["model"] = model;
  body["messages"] = nlohmann::ordered_json::array();
  for (const ChatMessage& message : request.messages)
    body["messages"].push_back({{"role", message.role}, {"content", message.content}});
  body["temperature"] = request.temperature;
  body["top_p"] = request.top_p;
  if (request.max_tokens > 0) body["max_tokens"] = request.max_tokens;
  if (request.n > 1) body["n"] = request.n;
  if (request.seed >= 0) body["seed"] = request.seed;
  if (request.json) body["response_format"] = {{"type", "json_object"}};
  return ToLineText(body);
}

Result<ChatClient> ChatClient::Create(ChatOptions options) {
  R1_TRY(CheckHttpUrl(options.base_url));
  if (options.parallel < 1 || options.parallel > kMaxParallel) {
    return Error{ErrorCode::kUsage, "requests at a time: " + std::to_string(options.parallel) + " is not in 1 .. 256"};
  }
  const Result<HttpClient> probe = HttpClient::Create(options.http);
  if (!probe.ok()) return probe.error();
  std::string url = options.base_url;
  while (url.ends_with('/')) url.pop_back();
  url += "/chat/completions";
  return ChatClient(std::move(options), std::move(url));
}

std::vector<Result<ChatAnswer>> ChatClient::Complete(const std::vector<ChatRequest>& requests) const {
  std::vector<Result<ChatAnswer>> results(requests.size(), Error{ErrorCode::kInterrupted, "interrupted"});
  std::atomic<size_t> next{0};
  const auto work = [&] {
    Result<HttpClient> client = HttpClient::Create(options_.http);
    for (size_t i; (i = next.fetch_add(1)) < requests.size();) {
      if (Interrupted()) continue;
      if (!client.ok()) {
        results[i] = client.error();
        continue;
      }
      const Result<std::string> body = client->PostJson(url_, ChatRequestText(requests[i], options_.model));
      results[i] = body.ok() ? ParseChatAnswer(*body, url_, requests[i].n) : Result<ChatAnswer>(body.error());
    }
  };
  std::vector<std::thread> threads;
  const size_t count = std::min(requests.size(), static_cast<size_t>(options_.parallel));
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return results;
}

}  // namespace r1
