#pragma once

// Catch2 3 where a package manager brought it, Catch2 2 (one header) as Debian 12 has it.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
