#pragma once

#include <filesystem>
#include <random>
#include <string>
#include <system_error>

namespace banyan::testing {

/// A path in a folder of the test's own, for a database file and what its client puts beside it; removed at the end.
struct scratch_file {
  scratch_file() { std::filesystem::create_directory(folder); }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;
  ~scratch_file() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("banyan_test_" + std::to_string(std::random_device{}()));
  std::string path = (folder / "test.db").string();
};

}  // namespace banyan::testing
