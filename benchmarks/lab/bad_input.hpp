#pragma once

#include <stdexcept>

namespace banyan::lab {

/// What the person who runs the lab gave cannot be used: a file, a line in it, or an argument. The text says where and
/// what; the program prints it and ends with exit code 2.
class bad_input : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

}  // namespace banyan::lab
