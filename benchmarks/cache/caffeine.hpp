#pragma once

#include <string>
#include <vector>

#include "java_rival.hpp"

namespace bench {

/// Caffeine, as Debian has it in libcaffeine-java.
class caffeine : public java_rival {
 public:
  caffeine(const std::string& jar, const std::vector<std::string>& arguments)
      : java_rival{source(), jar, {"-Xms2g", "-Xmx3g", "-XX:+UseParallelGC"}, arguments} {}

 private:
  static std::string source() {
    const std::string file = __FILE__;
    return file.substr(0, file.rfind('/') + 1) + "rivals/CaffeineRival.java";
  }
};

}  // namespace bench
