// Upper and lower case of Unicode characters (the default mappings, without language and context: a final sigma is not
// special), as compact ranges of the Unicode Character Database. Used by chat templates.
#pragma once

#include <cstdint>
#include <string>

namespace r1 {

// code is a Unicode scalar value. May append several characters (the upper case of U+00DF is "SS").
void AppendUpper(std::string& text, int32_t code);
void AppendLower(std::string& text, int32_t code);
// Characters that have another lower (upper) case.
bool IsUpper(int32_t code);
bool IsLower(int32_t code);

}  // namespace r1
