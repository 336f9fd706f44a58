// The r1 binary. All of it is in app.cc, where tests can reach it.
#include <string>
#include <vector>

#include "cli/app.h"

int main(int argc, char** argv) {
  return r1::cli::RunApp(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
