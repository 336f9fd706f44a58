// For tests: enough of a reader of the HTML that the report writes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace r1 {

inline size_t Count(const std::string& text, std::string_view part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

// Every element that the page opens is closed, in order; attributes are quoted. Enough of a parser
// for HTML that we write.
inline std::string FindUnbalanced(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return "unfinished tag";
    const std::string tag = html.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag.empty() || tag[0] == '!') continue;
    const size_t stop = tag.find_first_of(" /\n", 1);
    const std::string name = tag[0] == '/' ? tag.substr(1) : tag.substr(0, stop);
    if (tag[0] == '/') {
      if (open.empty() || open.back() != name)
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
      continue;
    }
    if (tag.back() == '/' || name == "meta" || name == "input") continue;
    if (name == "script" || name == "style") {  // raw text up to its end tag
      at = html.find("</" + name + ">", at);
      if (at == std::string::npos) return name + " without an end";
      at += name.size() + 3;
      continue;
    }
    open.push_back(name);
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

}  // namespace r1
