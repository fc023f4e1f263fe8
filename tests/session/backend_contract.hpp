#pragma once

#include "support/catch.hpp"

#include <chrono>
#include <string>

#include <banyan/session/session_backend.hpp>

namespace banyan::testing {

inline session_time at_ms(std::int64_t ms) { return session_time{std::chrono::milliseconds{ms}}; }

/// What each backend has to do, see `session_backend`.
template <session_backend Backend>
void check_backend_contract(Backend& backend) {
  using namespace std::chrono_literals;
  const unexpected missing{session_errc::not_found};
  const unexpected conflict{session_errc::conflict};
  const session_id id = session_id::make();
  const session_record first{
      .data = std::string{"a\0b\xff", 4}, .version = 1, .created = at_ms(-5), .expires = at_ms(100)};

  CHECK(backend.get(id, at_ms(0)) == missing);
  CHECK(backend.put(id, first, 1, at_ms(0)) == missing);
  CHECK(backend.touch(id, 1, at_ms(50), at_ms(0)) == missing);
  CHECK(backend.erase(id, 1, at_ms(0)) == missing);
  CHECK(backend.touch(id, 0, at_ms(50), at_ms(0)) == missing);
  CHECK(backend.erase(id, 0, at_ms(0)) == missing);

  REQUIRE(backend.put(id, first, 0, at_ms(0)));
  CHECK(backend.get(id, at_ms(0)) == first);
  CHECK(backend.get(session_id::make(), at_ms(0)) == missing);
  CHECK(backend.put(id, first, 0, at_ms(0)) == conflict);

  // There while now is before its expiry, to the millisecond, and by the now of each call alone.
  CHECK(backend.get(id, at_ms(99)) == first);
  CHECK(backend.get(id, at_ms(100)) == missing);
  CHECK(backend.put(id, first, 1, at_ms(100)) == missing);
  CHECK(backend.touch(id, 1, at_ms(500), at_ms(100)) == missing);
  CHECK(backend.erase(id, 1, at_ms(100)) == missing);
  CHECK(backend.get(id, at_ms(99)) == first);

  // Versions.
  session_record second = first;
  second.data = "second";
  second.version = 2;
  CHECK(backend.put(id, second, 2, at_ms(1)) == conflict);
  CHECK(backend.touch(id, 2, at_ms(500), at_ms(1)) == conflict);
  CHECK(backend.erase(id, 2, at_ms(1)) == conflict);
  CHECK(backend.get(id, at_ms(1)) == first);
  REQUIRE(backend.put(id, second, 1, at_ms(1)));
  CHECK(backend.get(id, at_ms(1)) == second);
  CHECK(backend.put(id, second, 1, at_ms(1)) == conflict);

  // Expiry goes forward only.
  REQUIRE(backend.touch(id, 2, at_ms(300), at_ms(1)));
  REQUIRE(backend.touch(id, 2, at_ms(200), at_ms(1)));
  second.expires = at_ms(300);
  CHECK(backend.get(id, at_ms(1)) == second);
  session_record third = second;
  third.version = 3;
  third.data.clear();
  third.expires = at_ms(150);
  REQUIRE(backend.put(id, third, 2, at_ms(1)));
  third.expires = at_ms(300);
  CHECK(backend.get(id, at_ms(299)) == third);

  // But for what has moved.
  const session_id target = session_id::make();
  session_record moved{.data = std::string{target.text()},
                       .version = 4,
                       .created = at_ms(1),
                       .expires = at_ms(20),
                       .state = session_state::moved};
  REQUIRE(backend.put(id, moved, 3, at_ms(1)));
  CHECK(backend.get(id, at_ms(19)) == moved);
  CHECK(backend.get(id, at_ms(20)) == missing);
  CHECK(backend.put(id, third, 3, at_ms(1)) == conflict);

  // What has expired leaves its place, and nothing of it.
  session_record again = first;
  again.expires = at_ms(60);
  REQUIRE(backend.put(id, again, 0, at_ms(50)));
  CHECK(backend.get(id, at_ms(59)) == again);
  REQUIRE(backend.erase(id, 1, at_ms(50)));
  CHECK(backend.get(id, at_ms(50)) == missing);
  CHECK(backend.put(id, second, 1, at_ms(50)) == missing);

  // An empty one, and a large one.
  for (const std::size_t size : {std::size_t{0}, std::size_t{1'000'000}}) {
    const session_id other = session_id::make();
    const session_record record{
        .data = std::string(size, '\0'), .version = 1, .created = at_ms(0), .expires = at_ms(10)};
    REQUIRE(backend.put(other, record, 0, at_ms(0)));
    CHECK((backend.get(other, at_ms(0)) == record));
  }
}

}  // namespace banyan::testing
