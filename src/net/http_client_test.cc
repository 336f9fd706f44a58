#include "net/http_client.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/interrupt.h"
#include "base/test_dir.h"
#include "support/fake_endpoint.h"

namespace r1 {
namespace {

constexpr char kKey[] = "sk-very-secret-0123456789";

HttpOptions Quick() {
  HttpOptions options;
  options.connect_timeout = 5;
  options.total_timeout = 5;
  options.backoff = 0.01;
  options.max_wait = 2;
  return options;
}

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Result<std::string> Ask(const FakeEndpoint& endpoint, const HttpOptions& options) {
  Result<HttpClient> client = HttpClient::Create(options);
  if (!client.ok()) return client.error();
  return client->PostJson(endpoint.url() + "/x", "{\"a\":1}");
}

// Checks that the error is "unavailable", says `words`, names the address, and does not hold the key.
void ExpectUnavailable(const Result<std::string>& result, const FakeEndpoint& endpoint, const std::string& words) {
  ASSERT_FALSE(result.ok()) << *result;
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
  EXPECT_NE(result.error().message.find(endpoint.url()), std::string::npos) << result.error().message;
  EXPECT_EQ(result.error().message.find(kKey), std::string::npos) << result.error().message;
}

TEST(HttpClient, PostsJsonWithTheKeyAndReturnsTheBody) {
  FakeEndpoint endpoint([](const FakeRequest& r, int64_t) { return FakeReply{.body = r.method + " " + r.body}; });
  HttpOptions options = Quick();
  options.key = kKey;
  const Result<std::string> result = Ask(endpoint, options);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, "POST {\"a\":1}");
  ASSERT_EQ(endpoint.requests().size(), 1u);
  const std::string head = endpoint.requests()[0].head;
  EXPECT_EQ(endpoint.requests()[0].path, "/v1/x");
  EXPECT_NE(head.find(std::string("Authorization: Bearer ") + kKey + "\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Content-Type: application/json\r\n"), std::string::npos) << head;
}

TEST(HttpClient, GetSendsNoBodyAndNoKeyIfThereIsNone) {
  FakeEndpoint endpoint([](const FakeRequest& r, int64_t) { return FakeReply{.body = r.method + r.body}; });
  Result<HttpClient> client = HttpClient::Create(Quick());
  ASSERT_TRUE(client.ok());
  const Result<std::string> result = client->Get(endpoint.url() + "/models");
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, "GET");
  EXPECT_EQ(endpoint.requests()[0].head.find("Authorization"), std::string::npos);
}

TEST(HttpClient, TooManyRequestsIsTriedAgainAfterTheTimeAskedFor) {
  FakeEndpoint endpoint([](const FakeRequest&, int64_t index) {
    return index == 0 ? FakeReply{.status = 429, .headers = {"Retry-After: 1"}} : FakeReply{.body = "ok"};
  });
  const double began = Now();
  const Result<std::string> result = Ask(endpoint, Quick());
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, "ok");
  EXPECT_EQ(endpoint.requests().size(), 2u);
  EXPECT_GE(Now() - began, 0.95);
}

TEST(HttpClient, ALongRetryAfterEndsTheTries) {
  FakeEndpoint endpoint(
      [](const FakeRequest&, int64_t) { return FakeReply{.status = 503, .headers = {"Retry-After: 3600"}}; });
  ExpectUnavailable(Ask(endpoint, Quick()), endpoint, "come back in 3600 s");
  EXPECT_EQ(endpoint.requests().size(), 1u);
}

TEST(HttpClient, ServerErrorsAreTriedABoundedNumberOfTimes) {
  FakeEndpoint endpoint([](const FakeRequest&, int64_t) { return FakeReply{.status = 500, .body = "overloaded"}; });
  HttpOptions options = Quick();
  options.max_attempts = 3;
  ExpectUnavailable(Ask(endpoint, options), endpoint, "after 3 tries");
  EXPECT_EQ(endpoint.requests().size(), 3u);
}

TEST(HttpClient, ARefusedKeyIsNotTriedAgainAndNotShownEvenIfEchoed) {
  FakeEndpoint endpoint([](const FakeRequest& r, int64_t) {
    return FakeReply{.status = 401,
                     .body = "{\"error\": {\"message\": \"bad key " + std::string(kKey) + "\"}}" + r.body};
  });
  HttpOptions options = Quick();
  options.key = kKey;
  ExpectUnavailable(Ask(endpoint, options), endpoint, "HTTP status 401");
  EXPECT_EQ(endpoint.requests().size(), 1u);

  FakeEndpoint echo([](const FakeRequest&, int64_t) {
    return FakeReply{.status = 400, .body = "{\"error\": {\"message\": \"key " + std::string(kKey) + " unknown\"}}"};
  });
  ExpectUnavailable(Ask(echo, options), echo, "key [key] unknown");
}

TEST(HttpClient, RedirectsAreNotFollowed) {
  FakeEndpoint target([](const FakeRequest&, int64_t) { return FakeReply{.body = "stolen"}; });
  FakeEndpoint endpoint(
      [&](const FakeRequest&, int64_t) { return FakeReply{.status = 302, .headers = {"Location: " + target.url()}}; });
  HttpOptions options = Quick();
  options.key = kKey;
  ExpectUnavailable(Ask(endpoint, options), endpoint, "redirects are not followed");
  EXPECT_TRUE(target.requests().empty());
}

TEST(HttpClient, ASlowReplyTimesOut) {
  FakeEndpoint endpoint([](const FakeRequest&, int64_t) { return FakeReply{.body = "late", .delay = 30}; });
  HttpOptions options = Quick();
  options.total_timeout = 0.1;
  options.max_attempts = 2;
  const double began = Now();
  ExpectUnavailable(Ask(endpoint, options), endpoint, "raise the time-out");
  EXPECT_LT(Now() - began, 5);
  EXPECT_EQ(endpoint.requests().size(), 2u);
}

TEST(HttpClient, ATimeOutIsTriedAgain) {
  FakeEndpoint endpoint(
      [](const FakeRequest&, int64_t index) { return FakeReply{.body = "ok", .delay = index == 0 ? 30.0 : 0.0}; });
  HttpOptions options = Quick();
  options.total_timeout = 0.5;
  const Result<std::string> result = Ask(endpoint, options);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, "ok");
}

TEST(HttpClient, AnOversizedReplyIsCutAndNotAskedForAgain) {
  FakeEndpoint endpoint([](const FakeRequest&, int64_t) { return FakeReply{.body = std::string(200'000, 'x')}; });
  HttpOptions options = Quick();
  options.max_response_bytes = 100'000;
  ExpectUnavailable(Ask(endpoint, options), endpoint, "larger than 100.0 kB");
  EXPECT_EQ(endpoint.requests().size(), 1u);
  options.max_response_bytes = 200'000;
  EXPECT_TRUE(Ask(endpoint, options).ok());
}

TEST(HttpClient, EndlessHeadersAreCut) {
  FakeEndpoint endpoint([](const FakeRequest&, int64_t) {
    FakeReply reply{.body = "ok"};
    for (int i = 0; i < 100; ++i) reply.headers.push_back("X-Pad: " + std::string(1000, 'x'));
    return reply;
  });
  EXPECT_FALSE(Ask(endpoint, Quick()).ok());
}

TEST(HttpClient, ABrokenOrGarbledReplyIsAnError) {
  HttpOptions options = Quick();
  options.max_attempts = 2;
  FakeEndpoint broken([](const FakeRequest&, int64_t) { return FakeReply{.body = "half", .claimed_length = 1000}; });
  ExpectUnavailable(Ask(broken, options), broken, "after 2 tries");
  FakeEndpoint garbage([](const FakeRequest&, int64_t) { return FakeReply{.body = "\x01\x02 no http", .raw = true}; });
  ExpectUnavailable(Ask(garbage, options), garbage, "check that an HTTP endpoint answers there");
  FakeEndpoint silent([](const FakeRequest&, int64_t) { return FakeReply{.raw = true}; });
  ExpectUnavailable(Ask(silent, options), silent, "after 2 tries");
}

TEST(HttpClient, NobodyListeningNamesTheAddress) {
  std::string url;
  {
    FakeEndpoint gone([](const FakeRequest&, int64_t) { return FakeReply{}; });
    url = gone.url();
  }
  HttpOptions options = Quick();
  options.max_attempts = 2;
  Result<HttpClient> client = HttpClient::Create(options);
  const Result<std::string> result = client->PostJson(url, "{}");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(result.error().message.find(url), std::string::npos) << result.error().message;
  EXPECT_NE(result.error().message.find("is the endpoint running"), std::string::npos) << result.error().message;
}

TEST(HttpClient, AProxyOfTheEnvironmentDoesNotSeeThisMachinesOwnTraffic) {
  FakeEndpoint proxy([](const FakeRequest&, int64_t) { return FakeReply{.body = "proxy"}; });
  FakeEndpoint endpoint([](const FakeRequest&, int64_t) { return FakeReply{.body = "direct"}; });
  setenv("http_proxy", proxy.url().c_str(), 1);
  const Result<std::string> result = Ask(endpoint, Quick());
  unsetenv("http_proxy");
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, "direct");
  EXPECT_TRUE(proxy.requests().empty());
}

TEST(HttpClient, AnInterruptEndsARequestAndAWait) {
  for (const bool waiting : {false, true}) {
    FakeEndpoint endpoint([&](const FakeRequest&, int64_t) {
      FakeReply reply;
      if (waiting) {
        reply.status = 503;
      } else {
        reply.delay = 30;
      }
      return reply;
    });
    HttpOptions options = Quick();
    options.backoff = waiting ? 2 : 0;
    std::thread interrupt([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      RequestInterrupt();
    });
    const double began = Now();
    const Result<std::string> result = Ask(endpoint, options);
    const double took = Now() - began;
    interrupt.join();
    ClearInterrupt();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kInterrupted) << result.error().message;
    EXPECT_LT(took, 1.9);
    EXPECT_EQ(endpoint.requests().size(), 1u);
  }
}

TEST(HttpUrl, OnlyPlainHttpAddressesAreTaken) {
  EXPECT_TRUE(CheckHttpUrl("http://localhost:8080/v1").ok());
  EXPECT_TRUE(CheckHttpUrl("https://example.org/v1").ok());
  for (const char* url : {"", "example.org/v1", "file:///etc/passwd", "ftp://example.org", "http://", "http://a#b"}) {
    const Status status = CheckHttpUrl(url);
    EXPECT_FALSE(status.ok()) << url;
    EXPECT_EQ(status.error().code, ErrorCode::kUsage) << url;
  }
  const Status secret = CheckHttpUrl("http://user:hunter2@example.org");
  ASSERT_FALSE(secret.ok());
  EXPECT_EQ(secret.error().message.find("hunter2"), std::string::npos);
}

TEST(HttpKey, ComesFromTheEnvironmentOrAFile) {
  setenv("R1_TEST_KEY", kKey, 1);
  EXPECT_EQ(*KeyFromEnvironment("R1_TEST_KEY"), kKey);
  EXPECT_EQ(*KeyFromEnvironment(""), "");
  setenv("R1_TEST_KEY", "two words secret", 1);
  const Result<std::string> odd = KeyFromEnvironment("R1_TEST_KEY");
  ASSERT_FALSE(odd.ok());
  EXPECT_EQ(odd.error().message.find("secret"), std::string::npos);
  EXPECT_NE(odd.error().message.find("R1_TEST_KEY"), std::string::npos);
  unsetenv("R1_TEST_KEY");
  const Result<std::string> missing = KeyFromEnvironment("R1_TEST_KEY");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kUnavailable);

  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "key", std::string(kKey) + "\n").ok());
  EXPECT_EQ(*KeyFromFile(dir / "key"), kKey);
  EXPECT_FALSE(KeyFromFile(dir / "none").ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "key", "a\tb\n").ok());
  EXPECT_FALSE(KeyFromFile(dir / "key").ok());
}

}  // namespace
}  // namespace r1
