// Catch2 2 wants one file that holds its body and main(). Catch2 3 brings both in a library of its own.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
