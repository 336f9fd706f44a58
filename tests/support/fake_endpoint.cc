#include "support/fake_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/check.h"

namespace r1 {

struct FakeEndpoint::Impl {
  Handler handler;
  int listener = -1;
  int port = 0;
  std::atomic<bool> stop{false};
  mutable std::mutex mutex;
  std::vector<FakeRequest> requests;
  std::atomic<int64_t> open{0}, most{0};
  std::vector<std::thread> connections;
  std::thread acceptor;

  bool WaitFor(int fd) const {
    while (!stop) {
      pollfd p{fd, POLLIN, 0};
      if (poll(&p, 1, 20) > 0) return true;
    }
    return false;
  }

  void Accept() {
    while (WaitFor(listener)) {
      const int fd = accept(listener, nullptr, nullptr);
      if (fd < 0) continue;
      connections.emplace_back([this, fd] {
        const int64_t now = ++open;
        for (int64_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        bool counted = true;
        Serve(fd, [&] { open -= std::exchange(counted, false) ? 1 : 0; });
        open -= counted ? 1 : 0;
        close(fd);
      });
    }
  }

  bool Read(int fd, std::string* text) const {
    char block[65536];
    if (!WaitFor(fd)) return false;
    const ssize_t got = read(fd, block, sizeof block);
    if (got <= 0) return false;
    text->append(block, static_cast<size_t>(got));
    return true;
  }

  // answered() comes before the first byte of the reply: whoever has that may open the next connection.
  void Serve(int fd, const std::function<void()>& answered) {
    std::string text;
    size_t head_end;
    while ((head_end = text.find("\r\n\r\n")) == std::string::npos) {
      if (!Read(fd, &text)) return;
    }
    FakeRequest request;
    request.head = text.substr(0, head_end + 2);
    const size_t space = request.head.find(' ');
    request.method = request.head.substr(0, space);
    request.path = request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
    std::string lower = request.head;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    size_t length = 0;
    if (const size_t at = lower.find("content-length:"); at != std::string::npos)
      length = std::stoul(lower.substr(at + 15));
    text.erase(0, head_end + 4);
    while (text.size() < length) {
      if (!Read(fd, &text)) return;
    }
    request.body = text;
    FakeReply reply;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const int64_t index = static_cast<int64_t>(requests.size());
      requests.push_back(request);
      reply = handler(request, index);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(reply.delay);
    while (!stop && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::string out = reply.body;
    if (!reply.raw) {
      const int64_t claimed =
          reply.claimed_length >= 0 ? reply.claimed_length : static_cast<int64_t>(reply.body.size());
      std::string head = "HTTP/1.1 " + std::to_string(reply.status) +
                         " Fake\r\nConnection: close\r\nContent-Length: " + std::to_string(claimed) + "\r\n";
      for (const std::string& line : reply.headers) head += line + "\r\n";
      out = head + "\r\n" + out;
    }
    answered();
    for (size_t sent = 0; sent < out.size();) {
      const ssize_t n = send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
    shutdown(fd, SHUT_WR);
  }
};

FakeEndpoint::FakeEndpoint(Handler handler) : impl_(std::make_unique<Impl>()) {
  impl_->handler = std::move(handler);
  impl_->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  R1_CHECK(impl_->listener >= 0 && bind(impl_->listener, generic, size) == 0 && listen(impl_->listener, 64) == 0 &&
               getsockname(impl_->listener, generic, &size) == 0,
           "cannot listen on 127.0.0.1");
  impl_->port = ntohs(address.sin_port);
  impl_->acceptor = std::thread([this] { impl_->Accept(); });
}

FakeEndpoint::~FakeEndpoint() {
  impl_->stop = true;
  impl_->acceptor.join();
  for (std::thread& thread : impl_->connections) thread.join();
  close(impl_->listener);
}

std::string FakeEndpoint::url() const { return "http://127.0.0.1:" + std::to_string(impl_->port) + "/v1"; }

std::vector<FakeRequest> FakeEndpoint::requests() const {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  return impl_->requests;
}

int64_t FakeEndpoint::most_at_once() const { return impl_->most; }

std::string FakeChatBody(const std::string& content, const std::string& reasoning, const std::string& finish_reason) {
  nlohmann::json message = {{"role", "assistant"}, {"content", content}};
  if (!reasoning.empty()) message["reasoning_content"] = reasoning;
  const nlohmann::json choice = {{"index", 0}, {"message", message}, {"finish_reason", finish_reason}};
  return nlohmann::json{{"choices", nlohmann::json::array({choice})},
                        {"usage", {{"prompt_tokens", 3}, {"completion_tokens", 5}}}}
      .dump();
}

}  // namespace r1
