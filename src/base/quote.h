// Text from files and command lines inside a message: escaped and cut, so that a name cannot forge lines or move a
// terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace r1 {

// 'text' in single quotes. Control bytes, quotes, backslashes and invalid UTF-8 become \xNN (\n, \t as such); longer
// than max_bytes is cut and ends with "...".
std::string Quote(std::string_view text, size_t max_bytes = 128);

}  // namespace r1
