#include <cstdio>
#include <string>

#include "source_tree.hpp"
#include "support/catch.hpp"

namespace {

std::string output_of(const std::string& program) {
  std::FILE* const pipe = popen(program.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  for (int byte = std::getc(pipe); byte != EOF; byte = std::getc(pipe)) output += static_cast<char>(byte);
  REQUIRE(pclose(pipe) == 0);
  return output;
}

}  // namespace

TEST_CASE("the README's example is examples/readme.cpp, word for word") {
  CHECK(between(read_source("README.md"), "```cpp\n", "```") == read_source("examples/readme.cpp"));
}

TEST_CASE("the output that the README shows is what its example prints") {
  CHECK(between(read_source("README.md"), "```text\n", "```") == output_of(BANYAN_README_EXAMPLE));
}
