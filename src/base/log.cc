#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <optional>

#include "base/files.h"

namespace r1 {
namespace {

struct State {
  std::mutex mutex;
  std::optional<LineWriter> file;
  std::string status;
};

State& GetState() {
  static State* const state = new State;  // never destroyed: threads may log while the program ends
  return *state;
}

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogSink> g_sink{nullptr};

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warning";
    default:
      return "error";
  }
}

std::string Escaped(std::string_view message) {
  std::string out;
  for (const char c : message) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\n  ";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

void WriteStderr(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

bool Colours() {
  static const bool colours = [] {
    const char* no_color = std::getenv("NO_COLOR");
    return StderrIsTerminal() && (no_color == nullptr || *no_color == '\0');
  }();
  return colours;
}

std::string Timestamp() {
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  std::tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

void SetLogLevel(LogLevel level) { g_level = level; }
void SetLogSink(LogSink sink) { g_sink = sink; }

bool StderrIsTerminal() {
  static const bool terminal = [] {
    const char* term = std::getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
  }();
  return terminal;
}

Status SetLogFile(const std::string& path) {
  State& state = GetState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  state.file.reset();
  if (path.empty()) return {};
  R1_ASSIGN(LineWriter writer, LineWriter::Open(path));
  state.file.emplace(std::move(writer));
  return {};
}

void Log(LogLevel level, std::string_view message) {
  if (level == LogLevel::kOff) return;
  const std::string text = Escaped(message);
  State& state = GetState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.file) {
    const std::string record = fmt::format("{} {} {}", Timestamp(), LevelName(level), text);
    size_t begin = 0;
    for (size_t end = 0; end != std::string::npos; begin = end + 1) {
      end = record.find('\n', begin);
      // A log that cannot be written (disk full) must not stop the work; stderr has the message too.
      if (!state.file->Append(std::string_view(record).substr(begin, end - begin)).ok() || end == std::string::npos)
        break;
    }
  }
  if (level < g_level.load()) return;
  std::string line = level == LogLevel::kInfo ? text : fmt::format("{}: {}", LevelName(level), text);
  if (const LogSink sink = g_sink.load(); sink != nullptr) {
    sink(level, line);
    return;
  }
  if (Colours() && level == LogLevel::kWarn) line = "\x1b[33m" + line + "\x1b[0m";
  if (Colours() && level == LogLevel::kError) line = "\x1b[31m" + line + "\x1b[0m";
  if (!state.status.empty())
    line = "\r\x1b[K" + line + "\n" + state.status;
  else
    line += '\n';
  WriteStderr(line);
}

void SetStatusLine(std::string_view text) {
  if (!StderrIsTerminal()) return;
  State& state = GetState();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (state.status.empty() && text.empty()) return;
  state.status = text;
  WriteStderr("\r\x1b[K" + state.status);
}

}  // namespace r1
