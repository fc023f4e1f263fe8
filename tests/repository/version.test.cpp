#include <banyan/version.hpp>

#include "support/catch.hpp"

TEST_CASE("version") { CHECK(banyan::version_major >= 0); }
