// JSON over HTTP or HTTPS, bounded in every direction: time to connect, time in all, bytes of the reply, tries,
// waiting.
//   a try    is one request. 429, 500, 502, 503, 504, a refused or broken connection and a time-out are tried again;
//            every other status and fault is final. Waits double from `backoff` seconds on; a Retry-After header
//            lengthens a wait, and ends the tries at once if it asks for more than `max_wait`.
//   address  http or https only, without user name in it. Redirects are not followed. The proxy variables of the
//            environment hold as for other programs on libcurl, but never for this machine itself (localhost, 127.*,
//            ::1).
//   key      sent as "Authorization: Bearer KEY"; it is in no message: where a server echoes it, it is blanked.
// Failures are kUnavailable with address, cause and remedy; Ctrl-C is kInterrupted within a fraction of a second.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace r1 {

struct HttpOptions {
  double connect_timeout = 10;  // s
  double total_timeout = 300;   // s, of one try
  int64_t max_response_bytes = int64_t{16} << 20;
  int64_t max_attempts = 4;
  double backoff = 0.5;  // s, before the second try
  double max_wait = 60;  // s, longest single wait
  std::string key;       // "" sends none
};

// One connection at a time: not for several threads at once.
class HttpClient {
 public:
  static Result<HttpClient> Create(const HttpOptions& options);
  HttpClient(HttpClient&& other) noexcept;
  HttpClient& operator=(HttpClient&& other) noexcept;
  ~HttpClient();

  // Body of the 2xx reply.
  Result<std::string> Get(const std::string& url);
  Result<std::string> PostJson(const std::string& url, std::string_view body);

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Is it an absolute http(s) address without user name, password and fragment? Error kUsage says what is wrong.
Status CheckHttpUrl(const std::string& url);

// A key never stands on a command line: it is the value of an environment variable, or the first line of a file. The
// messages name the source, not the key. Error kUnavailable if it is not there, kBadInput if it is no printable ASCII.
// An empty name gives an empty key.
Result<std::string> KeyFromEnvironment(const std::string& name);
Result<std::string> KeyFromFile(const std::string& path);

}  // namespace r1
