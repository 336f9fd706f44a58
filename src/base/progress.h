// Progress of a loop of known length: one updating bar on a terminal, one line a step elsewhere (files, CI).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace r1 {

std::string DurationText(double seconds);  // "0:07", "12:34", "1:02:03"
// "zero [=====>    ]  37/150  ETA 1:23  reward 0.41", cut to width columns. eta_seconds < 0: left out.
std::string BarText(std::string_view title, int64_t done, int64_t total, double eta_seconds, std::string_view text,
                    int width);

class Progress {
 public:
  struct Output {  // for tests; the default writes to stderr
    bool terminal = false;
    int width = 80;
    std::function<void(std::string_view)> line;    // a line that stays
    std::function<void(std::string_view)> status;  // the line that is redrawn
    std::function<double()> now;                   // seconds
  };
  // first: steps already done by an earlier run (resume); they do not count for the ETA.
  Progress(std::string title, int64_t total, int64_t first = 0);
  Progress(std::string title, int64_t total, int64_t first, Output output);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // done steps of total; text is preformatted ("reward 0.41  length 33").
  void Update(int64_t done, std::string_view text);
  // Leaves one last line.
  void Finish(std::string_view text);

 private:
  double Eta(int64_t done) const;
  std::string title_;
  int64_t total_;
  int64_t first_;
  Output output_;
  double start_ = 0;
  double shown_ = -1;
  bool finished_ = false;
};

}  // namespace r1
