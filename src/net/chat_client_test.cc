#include "net/chat_client.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/fake_endpoint.h"

namespace r1 {
namespace {

ChatOptions OptionsFor(const FakeEndpoint& endpoint, int64_t parallel) {
  ChatOptions options;
  options.base_url = endpoint.url() + "/";
  options.model = "teacher";
  options.parallel = parallel;
  options.http.total_timeout = 10;
  options.http.backoff = 0.01;
  options.http.max_attempts = 2;
  return options;
}

ChatRequest Question(const std::string& text) {
  ChatRequest request;
  request.messages = {{"user", text}};
  return request;
}

std::string QuestionOf(const FakeRequest& request) {
  return nlohmann::json::parse(request.body)["messages"][0]["content"].get<std::string>();
}

TEST(ChatClient, AsksInTheFormOfOpenAi) {
  FakeEndpoint endpoint([](const FakeRequest&, int64_t) { return FakeReply{.body = FakeChatBody("4", "2 and 2")}; });
  const Result<ChatClient> client = ChatClient::Create(OptionsFor(endpoint, 1));
  ASSERT_TRUE(client.ok()) << client.error().message;
  ChatRequest request = Question("2 + 2?");
  request.temperature = 0.5;
  request.max_tokens = 100;
  request.seed = 7;
  request.json = true;
  const auto results = client->Complete({request});
  ASSERT_EQ(results.size(), 1u);
  ASSERT_TRUE(results[0].ok()) << results[0].error().message;
  ASSERT_EQ(results[0]->choices.size(), 1u);
  EXPECT_EQ(results[0]->choices[0].content, "4");
  EXPECT_EQ(results[0]->choices[0].reasoning, "2 and 2");
  EXPECT_EQ(results[0]->choices[0].finish_reason, "stop");
  EXPECT_EQ(results[0]->prompt_tokens, 3);
  EXPECT_EQ(results[0]->completion_tokens, 5);
  const FakeRequest seen = endpoint.requests()[0];
  EXPECT_EQ(seen.path, "/v1/chat/completions");
  const nlohmann::json body = nlohmann::json::parse(seen.body);
  EXPECT_EQ(body["model"], "teacher");
  EXPECT_EQ(body["messages"][0]["role"], "user");
  EXPECT_EQ(body["messages"][0]["content"], "2 + 2?");
  EXPECT_EQ(body["temperature"], 0.5);
  EXPECT_EQ(body["max_tokens"], 100);
  EXPECT_EQ(body["seed"], 7);
  EXPECT_EQ(body["response_format"]["type"], "json_object");
  EXPECT_FALSE(body.contains("n"));
}

TEST(ChatClient, ResultsAreInTheOrderOfRequestsHoweverTheyArrive) {
  FakeEndpoint endpoint([](const FakeRequest& r, int64_t) {
    const std::string text = QuestionOf(r);
    return FakeReply{.body = FakeChatBody("re " + text), .delay = std::stoi(text) % 3 == 0 ? 0.1 : 0.0};
  });
  const Result<ChatClient> client = ChatClient::Create(OptionsFor(endpoint, 4));
  std::vector<ChatRequest> requests;
  for (int i = 0; i < 12; ++i) requests.push_back(Question(std::to_string(i)));
  const auto results = client->Complete(requests);
  ASSERT_EQ(results.size(), 12u);
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(results[static_cast<size_t>(i)].ok()) << results[static_cast<size_t>(i)].error().message;
    EXPECT_EQ(results[static_cast<size_t>(i)]->choices[0].content, "re " + std::to_string(i));
  }
  EXPECT_GT(endpoint.most_at_once(), 1);
  EXPECT_LE(endpoint.most_at_once(), 4);
}

TEST(ChatClient, OneBadReplyDoesNotSpoilTheOthers) {
  FakeEndpoint endpoint([](const FakeRequest& r, int64_t) {
    const std::string text = QuestionOf(r);
    if (text == "1") return FakeReply{.body = "<html>"};
    if (text == "2") return FakeReply{.status = 400};
    return FakeReply{.body = FakeChatBody("fine")};
  });
  const Result<ChatClient> client = ChatClient::Create(OptionsFor(endpoint, 2));
  const auto results = client->Complete({Question("0"), Question("1"), Question("2"), Question("3")});
  EXPECT_TRUE(results[0].ok());
  ASSERT_FALSE(results[1].ok());
  EXPECT_EQ(results[1].error().code, ErrorCode::kBadInput);
  EXPECT_NE(results[1].error().message.find(client->url()), std::string::npos) << results[1].error().message;
  ASSERT_FALSE(results[2].ok());
  EXPECT_EQ(results[2].error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(results[3].ok());
}

TEST(ChatClient, ImpossibleOptionsAreRefused) {
  ChatOptions options;
  options.base_url = "localhost:8080";
  EXPECT_FALSE(ChatClient::Create(options).ok());
  options.base_url = "http://localhost:8080/v1";
  options.parallel = 0;
  EXPECT_FALSE(ChatClient::Create(options).ok());
  options.parallel = 1;
  options.http.key = "not a key";
  const Result<ChatClient> client = ChatClient::Create(options);
  ASSERT_FALSE(client.ok());
  EXPECT_EQ(client.error().message.find("not a key"), std::string::npos);
}

TEST(ParseChatAnswer, ReadsTheVariantsOfTheFormat) {
  const auto reply = ParseChatAnswer(
      R"({"choices":[{"index":1,"message":{"content":"b","reasoning":"r"}},{"index":0,"message":{"content":null}}]})",
      "x", 2);
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  ASSERT_EQ(reply->choices.size(), 2u);
  EXPECT_EQ(reply->choices[0].content, "");
  EXPECT_EQ(reply->choices[1].content, "b");
  EXPECT_EQ(reply->choices[1].reasoning, "r");
  EXPECT_EQ(reply->completion_tokens, 0);
}

TEST(ParseChatAnswer, RefusesWhatIsNoChatReply) {
  const std::string deep = R"({"choices":)" + std::string(1000, '[') + std::string(1000, ']') + "}";
  const std::vector<std::string> bad = {
      "",
      "null",
      "[]",
      "{}",
      deep,
      R"({"choices":{}})",
      R"({"choices":[]})",
      R"({"choices":["text"]})",
      R"({"choices":[{"text":"old form"}]})",
      R"({"choices":[{"message":"text"}]})",
      R"({"choices":[{"message":{"content":5}}]})",
      R"({"choices":[{"message":{"content":["a"]}}]})",
      R"({"choices":[{"message":{"content":"a","reasoning_content":{}}}]})",
      R"({"choices":[{"message":{"content":"a"},"finish_reason":1}]})",
      R"({"choices":[{"index":1,"message":{"content":"a"}}]})",
      R"({"choices":[{"index":-1,"message":{"content":"a"}}]})",
      R"({"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]})",
      R"({"choices":[{"message":{"content":"a"}}]} trailing)",
      "{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}",
  };
  for (const std::string& body : bad) {
    const auto reply = ParseChatAnswer(body, "http://x", 1);
    EXPECT_FALSE(reply.ok()) << body;
    if (reply.ok()) continue;
    EXPECT_EQ(reply.error().code, ErrorCode::kBadInput) << body;
    EXPECT_EQ(reply.error().message.rfind("http://x: ", 0), 0u) << reply.error().message;
  }
  const auto twice = ParseChatAnswer(
      R"({"choices":[{"index":0,"message":{"content":"a"}},{"index":0,"message":{"content":"b"}}]})", "x", 2);
  EXPECT_FALSE(twice.ok());
}

TEST(ParseChatAnswer, SillyCountsBecomeZero) {
  const auto reply = ParseChatAnswer(
      R"({"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":-4,"completion_tokens":18446744073709551615}})",
      "x", 1);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->prompt_tokens, 0);
  EXPECT_EQ(reply->completion_tokens, 0);
}

}  // namespace
}  // namespace r1
