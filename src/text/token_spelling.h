// How tokens are written in tokenizer.json and GGUF.
// Bytes: one printable character a byte (GPT-2's table): bytes 33..126, 161..172 and 174..255 are the code points of
// the same number, the other 68 bytes in increasing order are U+0100, U+0101, and so on.
// Characters (SentencePiece): the text itself with U+2581 for a space; <0xNN> for a byte.
#pragma once

#include <string>
#include <string_view>

namespace r1 {

std::string SpellBytes(std::string_view bytes);
// False if some character is not in the table.
bool ReadSpelledBytes(std::string_view text, std::string* bytes);

std::string SpellCharacters(std::string_view text);        // " a" -> U+2581 a
std::string ReadSpelledCharacters(std::string_view text);  // and back
std::string SpellByteToken(int byte);                      // "<0x0A>"
int ReadByteToken(std::string_view text);                  // 0..255, or -1: only capital digits, as SpellByteToken

}  // namespace r1
