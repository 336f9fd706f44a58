#include "distill/judge.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/fake_endpoint.h"

namespace r1 {
namespace {

constexpr char kKey[] = "sk-judge-secret-42";

ChatClient ClientOf(const FakeEndpoint& endpoint) {
  ChatOptions options;
  options.base_url = endpoint.url();
  options.model = "judge";
  options.parallel = 3;
  options.http.backoff = 0.01;
  options.http.max_attempts = 2;
  options.http.total_timeout = 5;
  options.http.key = kKey;
  return ChatClient::Create(options).value();
}

nlohmann::json AskedOf(const FakeRequest& request) {
  const nlohmann::json body = nlohmann::json::parse(request.body);
  return nlohmann::json::parse(body["messages"][1]["content"].get<std::string>());
}

TEST(ParseVerdict, OnlyTheFormAskedForCounts) {
  EXPECT_EQ(ParseVerdict(R"({"analysis":"same","correctness":"correct"})"), Verdict::kCorrect);
  EXPECT_EQ(ParseVerdict(" {\"correctness\": \"incorrect\",\n\"analysis\": \"\"}\n"), Verdict::kIncorrect);
  for (const char* text : {
           "",
           "correct",
           "\"correct\"",
           "[]",
           "{}",
           R"({"correctness":"correct"})",
           R"({"analysis":"x","correctness":"Correct"})",
           R"({"analysis":"x","correctness":"correct "})",
           R"({"analysis":"x","correctness":true})",
           R"({"analysis":7,"correctness":"correct"})",
           R"({"analysis":"x","correctness":"correct","more":1})",
           R"({"analysis":"x","correctness":"incorrect","correctness":"correct"})",
           R"(Sure! {"analysis":"x","correctness":"correct"})",
           R"({"analysis":"x","correctness":"correct"} trailing)",
           "```json\n{\"analysis\":\"x\",\"correctness\":\"correct\"}\n```",
           R"([{"analysis":"x","correctness":"correct"}])",
           R"({"analysis":"x","correctness":["correct"]})",
           R"({"analysis":"x","correctness":"correct")",
       }) {
    EXPECT_EQ(ParseVerdict(text), Verdict::kFailed) << text;
  }
}

TEST(ParseYesNo, TheFirstWordAfterThinkingCounts) {
  EXPECT_EQ(ParseYesNo(" yes<|end|>"), Verdict::kCorrect);
  EXPECT_EQ(ParseYesNo("Yes, it is."), Verdict::kCorrect);
  EXPECT_EQ(ParseYesNo("<think> no wait yes </think> <answer> NO </answer>"), Verdict::kIncorrect);
  for (const char* text :
       {"", "maybe yes", "yesterday", "not", "<think> yes", "<think> yes no", "1 yes", "yes\xe7\xad\x89", "<|end|>"}) {
    EXPECT_EQ(ParseYesNo(text), Verdict::kFailed) << text;
  }
}

TEST(EndpointJudge, AsksWithQuestionReferenceAndAnswerAndReadsVerdicts) {
  FakeEndpoint endpoint([](const FakeRequest& r, int64_t) {
    const bool good = AskedOf(r)["answer"] == AskedOf(r)["reference"];
    return FakeReply{.body = FakeChatBody(std::string(R"({"analysis":"x","correctness":")") +
                                          (good ? "correct" : "incorrect") + "\"}")};
  });
  const Judge judge = EndpointJudge(ClientOf(endpoint));
  const auto verdicts = judge({{"q1", "4", "4"}, {"q2", "4", "5"}, {"q3", "a\"},{", "a\"},{"}});
  ASSERT_TRUE(verdicts.ok()) << verdicts.error().message;
  EXPECT_EQ(*verdicts, (std::vector<Verdict>{Verdict::kCorrect, Verdict::kIncorrect, Verdict::kCorrect}));
  for (const FakeRequest& request : endpoint.requests()) {
    const nlohmann::json body = nlohmann::json::parse(request.body);
    EXPECT_EQ(body["temperature"], 0);
    EXPECT_EQ(body["response_format"]["type"], "json_object");
    EXPECT_EQ(AskedOf(request).size(), 3u);
  }
}

TEST(EndpointJudge, GarbageAndSingleFailuresNeverBecomeCorrect) {
  FakeEndpoint endpoint([](const FakeRequest& r, int64_t) {
    const std::string question = AskedOf(r)["question"];
    if (question == "prose") return FakeReply{.body = FakeChatBody("The answer is correct.")};
    if (question == "html") return FakeReply{.body = "<html>correct</html>"};
    if (question == "error") return FakeReply{.status = 400, .body = "correct"};
    if (question == "empty") return FakeReply{.body = FakeChatBody("")};
    return FakeReply{.body = FakeChatBody(R"({"analysis":"","correctness":"correct"})")};
  });
  const auto verdicts = EndpointJudge(ClientOf(endpoint))(
      {{"prose", "", ""}, {"html", "", ""}, {"error", "", ""}, {"empty", "", ""}, {"fine", "", ""}});
  ASSERT_TRUE(verdicts.ok()) << verdicts.error().message;
  EXPECT_EQ(*verdicts, (std::vector<Verdict>{Verdict::kFailed, Verdict::kFailed, Verdict::kFailed, Verdict::kFailed,
                                             Verdict::kCorrect}));
}

TEST(EndpointJudge, AnEndpointThatIsGoneIsAnErrorWithoutTheKey) {
  FakeEndpoint endpoint([](const FakeRequest&, int64_t) {
    return FakeReply{.status = 401, .body = "no such key: " + std::string(kKey)};
  });
  const auto verdicts = EndpointJudge(ClientOf(endpoint))({{"a", "", ""}, {"b", "", ""}});
  ASSERT_FALSE(verdicts.ok());
  EXPECT_EQ(verdicts.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(verdicts.error().message.find(endpoint.url()), std::string::npos);
  EXPECT_EQ(verdicts.error().message.find(kKey), std::string::npos) << verdicts.error().message;
}

}  // namespace
}  // namespace r1
