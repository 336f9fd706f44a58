#include "recipe/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace r1 {

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size();) {
    const int length = Utf8Length(text.substr(i));
    const auto c = static_cast<unsigned char>(text[i]);
    if (length == 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
      out += "\xEF\xBF\xBD";
      ++i;
      continue;
    }
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out.append(text.substr(i, static_cast<size_t>(length)));
    }
    i += static_cast<size_t>(length);
  }
  return out;
}

std::string JsonInScript(std::string json) {
  for (size_t at = 0; (at = json.find('<', at)) != std::string::npos;) json.replace(at, 1, "\\u003c");
  return json;
}

std::string PercentText(double share, int decimals) {
  if (std::isnan(share)) return "–";
  return fmt::format("{:.{}f} %", 100 * share, decimals);
}

std::string NumberText(double value, int decimals) {
  if (std::isnan(value)) return "–";
  return fmt::format("{:.{}f}", value, decimals);
}

std::string CompactText(double value) {
  if (std::isnan(value)) return "–";
  const double size = std::abs(value);
  const auto scaled = [](double scaled_value, const char* unit) { return fmt::format("{:.3g}{}", scaled_value, unit); };
  if (size >= 999.5e6) return scaled(value / 1e9, "G");
  if (size >= 999.5e3) return scaled(value / 1e6, "M");
  if (size >= 9999.5) return scaled(value / 1e3, "k");
  if (size >= 999.5) return fmt::format("{:.0f}", value);
  if (size >= 1e-3 || size == 0) return fmt::format("{:.3g}", value);
  std::string text = fmt::format("{:.1e}", value);  // "3.4e-04"
  const size_t zero = text.find("e-0");
  if (zero != std::string::npos) text.erase(zero + 2, 1);
  return text;
}

std::string SpelledDuration(double seconds) {
  if (std::isnan(seconds)) return "–";
  if (!(seconds < 1e15)) return CompactText(seconds) + " s";
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string Shortened(std::string_view text, size_t characters) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    if (++count == characters && text.size() - i > static_cast<size_t>(std::max(1, Utf8Length(text.substr(i))))) {
      return std::string(text.substr(0, i)) + "…";
    }
  }
  return std::string(text);
}

std::string CountText(double value) {
  if (std::isnan(value)) return "–";
  std::string digits = fmt::format("{:.0f}", value);
  for (size_t i = digits.size(); i > 3 && digits[i - 4] != '-';) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

}  // namespace r1
