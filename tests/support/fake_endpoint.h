// For tests only: an HTTP server on 127.0.0.1 with a port of the system's choice that says what a test wants: replies,
// errors, slow, endless, cut off, garbage. One thread a connection; one request a connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace r1 {

struct FakeRequest {
  std::string method, path;
  std::string head;  // request line and headers
  std::string body = {};
};

struct FakeReply {
  int status = 200;
  std::string body = {};
  std::vector<std::string> headers = {};  // further lines, as in "Retry-After: 1"
  double delay = 0;                       // s, before the first byte
  int64_t claimed_length = -1;            // Content-Length to lie about; -1: the truth
  bool raw = false;                       // body is sent as it is, with no status line and headers
};

// {"choices": [...]} of a chat endpoint with one choice.
std::string FakeChatBody(const std::string& content, const std::string& reasoning = "",
                         const std::string& finish_reason = "stop");

class FakeEndpoint {
 public:
  // index: how many requests came before it. Called from several threads, one at a time.
  using Handler = std::function<FakeReply(const FakeRequest& request, int64_t index)>;
  explicit FakeEndpoint(Handler handler);
  ~FakeEndpoint();
  FakeEndpoint(const FakeEndpoint&) = delete;
  FakeEndpoint& operator=(const FakeEndpoint&) = delete;
  std::string url() const;  // http://127.0.0.1:PORT/v1
  std::vector<FakeRequest> requests() const;
  int64_t most_at_once() const;  // connections open together and not yet answered, at most

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace r1
