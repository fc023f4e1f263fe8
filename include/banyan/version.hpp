#pragma once

/// \file
/// The version of banyan, following semantic versioning; while the major number is 0, a new minor number may break
/// callers. This is the only place where it is written by hand: CMake and Conan read the three lines below, and a test
/// checks every other copy. They are macros because a caller may need them in `#if`.

#define BANYAN_VERSION_MAJOR 0
#define BANYAN_VERSION_MINOR 1
#define BANYAN_VERSION_PATCH 0

namespace banyan {

inline constexpr int version_major = BANYAN_VERSION_MAJOR;
inline constexpr int version_minor = BANYAN_VERSION_MINOR;
inline constexpr int version_patch = BANYAN_VERSION_PATCH;

}  // namespace banyan
