// Messages for the person at the terminal, on stderr, and optionally in a file with times. Never pass text of prompts
// or completions. NO_COLOR is honoured; colour only on a terminal.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace r1 {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

void SetLogLevel(LogLevel level);  // what reaches stderr; kInfo at start
// Everything from kDebug up is also appended to the file; "" closes it.
Status SetLogFile(const std::string& path);
// Control bytes are escaped; further lines of a message are indented, so that no message can forge another.
void Log(LogLevel level, std::string_view message);
inline void LogDebug(std::string_view message) { Log(LogLevel::kDebug, message); }
inline void LogInfo(std::string_view message) { Log(LogLevel::kInfo, message); }
inline void LogWarn(std::string_view message) { Log(LogLevel::kWarn, message); }
inline void LogError(std::string_view message) { Log(LogLevel::kError, message); }

// Whether stderr is a terminal that a line may be redrawn on.
bool StderrIsTerminal();
// Shows text as the last line of the terminal, below the messages; "" takes it away. No effect if it is no terminal.
void SetStatusLine(std::string_view text);

// Calls sink instead of writing to stderr (tests, embedding); nullptr restores it. The line has no newline and no
// colour.
using LogSink = void (*)(LogLevel level, std::string_view line);
void SetLogSink(LogSink sink);

}  // namespace r1
