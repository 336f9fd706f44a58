// What commands print. Standard output carries the answer (text, or one JSON document with --json); standard error
// carries messages. Writing errors are remembered by the stream and reported once, by app.cc.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace r1::cli {

void Print(std::string_view text);                    // to standard output, as it is
void PrintError(std::string_view text);               // to standard error, with a line end
void PrintJson(const nlohmann::ordered_json& value);  // pretty, with a line end; invalid UTF-8 is replaced

// "671,026,419,200".
std::string CountText(int64_t count);
// "671.03 B", "37.6 M", "820": three or four digits.
std::string ShortCountText(int64_t count);

// Rows of cells as left-aligned columns two spaces apart, each line indented and ended with a line end.
std::string ColumnsText(const std::vector<std::vector<std::string>>& rows, int indent);

// Breaks text at spaces so that no line is longer than `width`, counting `indent` spaces put before every line. Keeps
// line ends of text; no line end at the end.
std::string WrapText(std::string_view text, size_t width, size_t indent);

// A word as a POSIX shell would have to see it: plain, or in single quotes.
std::string ShellQuote(std::string_view word);

// Columns of the terminal on standard output, between 60 and 110; 100 if it is not a terminal.
int TerminalWidth();

}  // namespace r1::cli
