#include <banyan/version.hpp>
#include <regex>
#include <string>

#include "source_tree.hpp"
#include "support/catch.hpp"

namespace {

const std::string version = std::to_string(banyan::version_major) + "." + std::to_string(banyan::version_minor) + "." +
                            std::to_string(banyan::version_patch);

}  // namespace

TEST_CASE("CMake, and so the package version and pkg-config, reads the version from version.hpp") {
  CHECK(std::string(BANYAN_CMAKE_VERSION) == version);
}

TEST_CASE("the vcpkg port has the version of version.hpp") {
  CHECK(between(read_source("packaging/vcpkg/vcpkg.json"), "\"version\": \"", "\"") == version);
}

TEST_CASE("the newest entry of the change log is the version of version.hpp") {
  CHECK(between(read_source("CHANGELOG.md"), "\n## ", "\n") == version);
}

TEST_CASE("the README and the consumer ask for the version of version.hpp") {
  const std::string minor = version.substr(0, version.rfind('.'));
  CHECK(between(read_source("README.md"), "requires = \"banyan/", "\"") == version);
  CHECK(between(read_source("README.md"), "find_package(banyan ", " ") == minor);
  CHECK(between(read_source("test_package/CMakeLists.txt"), "find_package(banyan ", " ") == minor);
}

TEST_CASE("the Conan recipe reads the version from version.hpp and repeats it nowhere") {
  const std::string recipe = read_source("conanfile.py");
  CHECK(recipe.find("\"version.hpp\"") != std::string::npos);
  CHECK_FALSE(std::regex_search(recipe, std::regex("[0-9]+\\.[0-9]+\\.[0-9]+")));
}
