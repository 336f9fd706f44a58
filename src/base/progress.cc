#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/log.h"
#include "base/utf8.h"

namespace r1 {
namespace {

constexpr double kRedrawSeconds = 0.1;

Progress::Output Stderr() {
  Progress::Output output;
  output.terminal = StderrIsTerminal();
  winsize size{};
  if (output.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) output.width = size.ws_col;
  output.line = [](std::string_view text) {
    SetStatusLine("");
    std::string line(text);
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stderr);
  };
  output.status = [](std::string_view text) { SetStatusLine(text); };
  output.now = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  return output;
}

// At most `width` characters.
std::string Cut(std::string_view text, int width) {
  size_t at = 0;
  for (int i = 0; i < width && at < text.size(); ++i)
    at += static_cast<size_t>(std::max(1, Utf8Length(text.substr(at))));
  return std::string(text.substr(0, at));
}

}  // namespace

std::string DurationText(double seconds) {
  const int64_t s = seconds > 0 ? static_cast<int64_t>(std::min(seconds, 1e12) + 0.5) : 0;
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string BarText(std::string_view title, int64_t done, int64_t total, double eta_seconds, std::string_view text,
                    int width) {
  constexpr int kCells = 20;
  const int64_t shown = std::clamp<int64_t>(done, 0, std::max<int64_t>(total, 0));
  const int filled = total > 0 ? static_cast<int>(static_cast<double>(shown) / static_cast<double>(total) * kCells) : 0;
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < kCells) bar += '>';
  bar.resize(kCells, ' ');
  std::string line = fmt::format("{} [{}] {}/{}", title, bar, done, total);
  if (eta_seconds >= 0) line += "  ETA " + DurationText(eta_seconds);
  if (!text.empty()) line += fmt::format("  {}", text);
  return Cut(line, width - 1);  // the last column would wrap on some terminals
}

Progress::Progress(std::string title, int64_t total, int64_t first)
    : Progress(std::move(title), total, first, Stderr()) {}

Progress::Progress(std::string title, int64_t total, int64_t first, Output output)
    : title_(std::move(title)), total_(total), first_(first), output_(std::move(output)), start_(output_.now()) {}

Progress::~Progress() {
  if (!finished_ && output_.terminal) output_.status("");
}

double Progress::Eta(int64_t done) const {
  if (done <= first_ || done >= total_) return -1;
  return (output_.now() - start_) / static_cast<double>(done - first_) * static_cast<double>(total_ - done);
}

void Progress::Update(int64_t done, std::string_view text) {
  if (!output_.terminal) {
    std::string line = fmt::format("{} {}/{}", title_, done, total_);
    if (const double eta = Eta(done); eta >= 0) line += "  ETA " + DurationText(eta);
    if (!text.empty()) line += fmt::format("  {}", text);
    output_.line(line);
    return;
  }
  const double now = output_.now();
  if (shown_ >= 0 && now - shown_ < kRedrawSeconds && done < total_) return;
  shown_ = now;
  output_.status(BarText(title_, done, total_, Eta(done), text, output_.width));
}

void Progress::Finish(std::string_view text) {
  if (finished_) return;
  finished_ = true;
  if (output_.terminal) output_.status("");
  output_.line(fmt::format("{}: {}  ({})", title_, text, DurationText(output_.now() - start_)));
}

}  // namespace r1
