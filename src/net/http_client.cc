#include "net/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/quote.h"

namespace r1 {
namespace {

constexpr int64_t kMaxHeaderBytes = int64_t{64} << 10;
constexpr int64_t kMaxKeyFileBytes = 16384;
constexpr size_t kMaxKeyBytes = 4096;
constexpr size_t kShownBytes = 200;  // of a server's own words
constexpr auto kNap = std::chrono::milliseconds(20);

struct UrlParts {
  std::string host;
  bool local = false;  // this machine itself
};

struct CurlUrl {
  CURLU* handle = curl_url();
  CurlUrl() = default;
  CurlUrl(const CurlUrl&) = delete;
  CurlUrl& operator=(const CurlUrl&) = delete;
  ~CurlUrl() { curl_url_cleanup(handle); }
  // "" if the address has no such part.
  std::string Part(CURLUPart what) const {
    char* text = nullptr;
    if (curl_url_get(handle, what, &text, 0) != CURLUE_OK) return "";
    std::string part = text;
    curl_free(text);
    return part;
  }
};

Result<UrlParts> ParseUrl(const std::string& url) {
  CurlUrl parsed;
  if (parsed.handle == nullptr) return Error{ErrorCode::kTryAgain, "out of memory"};
  const CURLUcode code = curl_url_set(parsed.handle, CURLUPART_URL, url.c_str(), 0);
  const std::string scheme = code == CURLUE_OK ? parsed.Part(CURLUPART_SCHEME) : "";
  // The address may hold a password: it is not repeated.
  if (!parsed.Part(CURLUPART_USER).empty() || !parsed.Part(CURLUPART_PASSWORD).empty()) {
    return Error{ErrorCode::kUsage,
                 "an address must not hold a user name or password: give a key by an environment variable"};
  }
  if (scheme != "http" && scheme != "https") {
    return Error{ErrorCode::kUsage, Quote(url) + ": not an address that starts with http:// or https://"};
  }
  if (!parsed.Part(CURLUPART_FRAGMENT).empty())
    return Error{ErrorCode::kUsage, Quote(url) + ": an address must not have a part after '#'"};
  UrlParts parts;
  parts.host = parsed.Part(CURLUPART_HOST);
  parts.local = parts.host == "localhost" || parts.host == "[::1]" || parts.host.rfind("127.", 0) == 0;
  return parts;
}

Result<std::string> CheckKey(std::string key, const std::string& source) {
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r' || key.back() == ' ')) key.pop_back();
  if (key.empty()) return Error{ErrorCode::kUnavailable, source + " is empty; it should hold the key of the endpoint"};
  const bool good =
      key.size() <= kMaxKeyBytes && std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!good) {
    return Error{ErrorCode::kBadInput,
                 source + " holds what no key is: it must be one line of printable ASCII without spaces"};
  }
  return key;
}

// libcurl keeps global state; the first client sets it up, and it stays.
bool InitCurl() {
  static const bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return good;
}

// False if interrupted.
bool Sleep(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (Interrupted()) return false;
    std::this_thread::sleep_for(kNap);
  }
  return !Interrupted();
}

struct Try {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::string body;
  std::string detail;      // libcurl's words
  double retry_after = 0;  // s
  bool oversized = false;
};

bool WorthRepeating(const Try& t) {
  switch (t.code) {
    case CURLE_OK:
      return t.status == 429 || t.status == 500 || t.status == 502 || t.status == 503 || t.status == 504;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
      return true;
    default:
      return false;
  }
}

// {"error": {"message": "..."}} and its common relatives; else the beginning of the text.
std::string ServerWords(const std::string& body) {
  const Result<nlohmann::json> json = ParseJson(body, "", 32);
  if (!json.ok() || !json->is_object()) return body;
  for (const char* name : {"error", "message", "detail"}) {
    const auto found = json->find(name);
    if (found == json->end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object() && found->contains("message") && (*found)["message"].is_string())
      return (*found)["message"].get<std::string>();
  }
  return body;
}

std::string Remedy(long status) {
  switch (status) {
    case 401:
    case 403:
      return "check the key, and that the environment variable or file that holds it is the right one";
    case 404:
      return "check the address (a base address often ends in /v1) and the model's name";
    case 400:
    case 422:
      return "check the model's name and the limits of the endpoint";
    case 429:
      return "ask fewer at a time, or try again later: what is done is kept";
    default:
      break;
  }
  if (status >= 300 && status < 400) return "redirects are not followed; give the final address";
  return "check the endpoint, then run the same command again";
}

std::string Remedy(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return "is the endpoint running, and the address right?";
    case CURLE_OPERATION_TIMEDOUT:
      return "raise the time-out, ask for fewer tokens, or fewer at a time";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
      return "its certificate or encryption is not accepted by this machine";
    default:
      return "check that an HTTP endpoint answers there";
  }
}

}  // namespace

struct HttpClient::Impl {
  HttpOptions options;
  CURL* curl = nullptr;
  curl_slist* headers = nullptr;
  Try* current = nullptr;
  int64_t header_bytes = 0;
  char detail[CURL_ERROR_SIZE] = "";

  ~Impl() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
  }

  static size_t OnBody(char* data, size_t size, size_t count, void* self) {
    Impl& impl = *static_cast<Impl*>(self);
    const size_t bytes = size * count;
    if (impl.current->body.size() + bytes > static_cast<size_t>(impl.options.max_response_bytes)) {
      impl.current->oversized = true;
      return 0;
    }
    impl.current->body.append(data, bytes);
    return bytes;
  }
  static size_t OnHeader(char*, size_t size, size_t count, void* self) {
    Impl& impl = *static_cast<Impl*>(self);
    impl.header_bytes += static_cast<int64_t>(size * count);
    impl.current->oversized = impl.header_bytes > kMaxHeaderBytes;
    return impl.current->oversized ? 0 : size * count;
  }
  static int OnProgress(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return Interrupted() ? 1 : 0; }

  std::string Blanked(std::string text) const {
    if (options.key.empty()) return text;
    for (size_t at = 0; (at = text.find(options.key, at)) != std::string::npos;)
      text.replace(at, options.key.size(), "[key]");
    return text;
  }

  // body: nullptr for GET.
  Try Send(const std::string& url, bool local, const std::string_view* body) {
    Try result;
    current = &result;
    header_bytes = 0;
    detail[0] = '\0';
    const auto milliseconds = [](double seconds) { return static_cast<long>(seconds * 1000); };
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options.connect_timeout));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(options.total_timeout));
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "r1");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, OnProgress);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (local) curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (body != nullptr) {
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    }
    result.code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &result.status);
    curl_off_t wait = 0;
    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK)
      result.retry_after = static_cast<double>(wait);
    result.detail = detail[0] != '\0' ? detail : curl_easy_strerror(result.code);
    current = nullptr;
    return result;
  }

  Error Failed(const std::string& url, const Try& t, int64_t tries) const {
    const std::string after = tries > 1 ? fmt::format(" (after {} tries)", tries) : "";
    std::string what, remedy;
    if (t.oversized) {
      what = fmt::format("the reply is larger than {}", BytesText(options.max_response_bytes));
      remedy = "ask for fewer tokens at a time";
    } else if (t.code != CURLE_OK) {
      what = Blanked(t.detail);
      remedy = Remedy(t.code);
    } else {
      what = fmt::format("HTTP status {}", t.status);
      const std::string words = Blanked(ServerWords(t.body));
      if (!words.empty()) what += ": " + Quote(words, kShownBytes);
      remedy = Remedy(t.status);
      if (t.retry_after > options.max_wait) remedy = fmt::format("it asks to come back in {:.0f} s", t.retry_after);
    }
    return {ErrorCode::kUnavailable, fmt::format("{}: {}{}; {}", Blanked(url), what, after, remedy)};
  }

  Result<std::string> Request(const std::string& url, const std::string_view* body) {
    R1_ASSIGN(const UrlParts parts, ParseUrl(url));
    double wait = options.backoff;
    for (int64_t tries = 1;; ++tries) {
      if (Interrupted()) break;
      Try t = Send(url, parts.local, body);
      if (t.code == CURLE_ABORTED_BY_CALLBACK) break;
      if (t.code == CURLE_OK && t.status >= 200 && t.status < 300) return std::move(t.body);
      if (t.oversized || !WorthRepeating(t) || tries >= options.max_attempts || t.retry_after > options.max_wait)
        return Failed(url, t, tries);
      if (!Sleep(std::max(std::min(wait, options.max_wait), t.retry_after))) break;
      wait *= 2;
    }
    return Error{ErrorCode::kInterrupted, "interrupted while asking " + Blanked(url)};
  }
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::HttpClient(HttpClient&& other) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&& other) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::Create(const HttpOptions& options) {
  const bool good = options.connect_timeout > 0 && options.connect_timeout <= 86400 && options.total_timeout > 0 &&
                    options.total_timeout <= 86400 && options.max_response_bytes > 0 && options.max_attempts >= 1 &&
                    options.max_attempts <= 100 && options.backoff >= 0 && options.max_wait >= 0 &&
                    options.max_wait <= 86400;
  if (!good) return Error{ErrorCode::kUsage, "a limit of the HTTP client is out of range"};
  if (!options.key.empty()) {
    const Result<std::string> key = CheckKey(options.key, "the key");
    if (!key.ok()) return key.error();
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (!InitCurl() || (impl->curl = curl_easy_init()) == nullptr)
    return Error{ErrorCode::kUnavailable, "libcurl cannot be started on this machine"};
  for (const std::string& line :
       {std::string("Content-Type: application/json"), std::string("Accept: application/json"), std::string("Expect:"),
        options.key.empty() ? std::string() : "Authorization: Bearer " + options.key}) {
    if (!line.empty()) impl->headers = curl_slist_append(impl->headers, line.c_str());
  }
  return HttpClient(std::move(impl));
}

Result<std::string> HttpClient::Get(const std::string& url) { return impl_->Request(url, nullptr); }

Result<std::string> HttpClient::PostJson(const std::string& url, std::string_view body) {
  return impl_->Request(url, &body);
}

Status CheckHttpUrl(const std::string& url) {
  const Result<UrlParts> parts = ParseUrl(url);
  if (!parts.ok()) return parts.error();
  return {};
}

Result<std::string> KeyFromEnvironment(const std::string& name) {
  if (name.empty()) return std::string();
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) {
    return Error{ErrorCode::kUnavailable,
                 "the environment variable " + Quote(name) + " is not set; it should hold the key of the endpoint"};
  }
  return CheckKey(value, "the environment variable " + Quote(name));
}

Result<std::string> KeyFromFile(const std::string& path) {
  if (path.empty()) return std::string();
  R1_ASSIGN(std::string text, ReadFile(path, kMaxKeyFileBytes));
  return CheckKey(text.substr(0, text.find('\n')), path);
}

}  // namespace r1
