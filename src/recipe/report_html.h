// Small pieces of the report's HTML: escaping, numbers for readers, the page around the sections.
// Everything that comes from a run goes through EscapeHtml (text and attribute values) or
// JsonInScript (data for the page's script).
#pragma once

#include <string>
#include <string_view>

namespace r1 {

// Safe as HTML text and inside quoted attributes. Control characters and bytes that are not UTF-8
// become U+FFFD.
std::string EscapeHtml(std::string_view text);

// JSON text made safe inside <script>: '<' becomes <.
std::string JsonInScript(std::string json);

// Numbers for readers; kMissing becomes an en dash.
std::string PercentText(double share, int decimals = 1);  // 0.7712 -> "77.1 %"
std::string NumberText(double value, int decimals = 1);   // 73.04 -> "73.0"
std::string CompactText(double value);                    // 6500000 -> "6.5M", 0.00034 -> "3.4e-4"
std::string SpelledDuration(double seconds);              // 154 -> "2 min 34 s"
std::string CountText(double value);                      // 6500000 -> "6,500,000"

std::string Shortened(std::string_view text, size_t characters);  // ends with an ellipsis if it is cut

// The style sheet: light and dark, narrow and wide screens, print (report_style.cc).
std::string PageStyle();

// The whole document: style sheet and script are part of it (report_page.cc).
std::string HtmlPage(std::string_view title, std::string_view body);

}  // namespace r1
