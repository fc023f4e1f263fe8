#include "support/catch.hpp"

#if !defined(BANYAN_TEST_SQLITE)

TEST_CASE("sqlite_session_backend: skipped, this build has no SQLite") { SUCCEED(); }

#else

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <banyan/adapters/sqlite.hpp>
#include <banyan/adapters/sqlite_session_backend.hpp>
#include <banyan/session/session_store.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "adapters/scratch_file.hpp"
#include "session/backend_contract.hpp"
#include "session/model.hpp"
#include "support/joining_thread.hpp"
#include "support/refused_field.hpp"
#include "support/seed.hpp"

using namespace std::chrono_literals;

namespace {

using backend = banyan::sqlite_session_backend;
using store = banyan::session_store<std::string, backend>;
using banyan::session_errc;
using banyan::unexpected;

using banyan::testing::scratch_file;

constexpr banyan::sqlite_session_backend_options patient{.busy_timeout = 60s};

// Calls `work` in a process of its own; the test framework stays in this one.
template <class Work>
pid_t in_a_process(Work work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int code = 1;
  try {
    code = work();
  } catch (...) {
    code = 2;
  }
  ::_exit(code);
}

int exit_code(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

}  // namespace

TEST_CASE("sqlite_session_backend: does what a backend does") {
  const scratch_file file;
  backend kept{file.path, patient};
  banyan::testing::check_backend_contract(kept);
  CHECK(kept.purge(banyan::testing::at_ms(9)) == 0);
  CHECK(kept.purge(banyan::testing::at_ms(10), 1) == 1);
  CHECK(kept.purge(banyan::testing::at_ms(10)) == 1);
}

TEST_CASE("sqlite_session_backend: a store over it does what a map does") {
  const scratch_file file;
  for (std::uint64_t run = 0; run < 3; ++run) {
    const std::uint64_t seed = banyan::testing::derived_seed("SQLite sessions beside a map", run);
    CAPTURE(seed);
    backend kept{file.path, patient};
    banyan::testing::compare_with_model(kept, seed, 400);
  }
}

TEST_CASE("sqlite_session_backend: new sessions clear away old ones") {
  const scratch_file file;
  backend kept{file.path, {.busy_timeout = 60s, .durable = true}};
  const auto put = [&](std::int64_t expires, std::int64_t now) {
    return kept.put(banyan::session_id::make(), {.data = "x", .version = 1, .expires = banyan::testing::at_ms(expires)},
                    0, banyan::testing::at_ms(now));
  };
  for (int i = 0; i < 10; ++i) REQUIRE(put(100, 0));
  for (int i = 0; i < 4; ++i) REQUIRE(put(1000, 100));
  CHECK(kept.purge(banyan::testing::at_ms(100)) == 2);
  CHECK(kept.purge(banyan::testing::at_ms(100)) == 0);
}

TEST_CASE("sqlite_session_backend: sessions outlive their process's store, and its file is shared") {
  const scratch_file file;
  std::string cookie;
  {
    backend kept{file.path, patient};
    cookie = store{kept}.create("x")->id.text();
  }
  backend one{file.path, patient};
  backend other{file.path, patient};
  store here{one};
  store there{other};
  auto mine = here.load(cookie);
  auto theirs = there.load(cookie);
  REQUIRE(mine);
  REQUIRE(theirs);
  mine->value = "mine";
  REQUIRE(here.save(*mine));
  CHECK(there.load(cookie)->value == "mine");
  CHECK(there.save(*theirs) == unexpected{session_errc::conflict});
  REQUIRE(there.destroy(cookie));
  CHECK(here.save(*mine) == unexpected{session_errc::not_found});
}

TEST_CASE("sqlite_session_backend: of what threads over several connections add nothing is lost") {
  const scratch_file file;
  backend one{file.path, patient};
  backend other{file.path, patient};
  const std::string cookie{store{one}.create("")->id.text()};
  constexpr std::size_t threads = 4;
  constexpr std::size_t each = 25;
  std::atomic<std::size_t> added{0};
  {
    std::vector<banyan::testing::joining_thread> workers;
    for (std::size_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        store sessions{t % 2 == 0 ? one : other, {.update_attempts = 1000, .breaker = std::nullopt}};
        for (std::size_t i = 0; i < each; ++i) {
          if (sessions.update(cookie, [](std::string& v) { v += 'x'; })) ++added;
        }
      });
    }
  }
  CHECK(added == threads * each);
  CHECK(store{one}.load(cookie)->value.size() == added);
  CHECK(store{other}.load(cookie)->version == added + 1);
}

TEST_CASE("sqlite_session_backend: processes that start and write together lose nothing") {
  const scratch_file file;
  const banyan::session_id id = banyan::session_id::make();
  constexpr int processes = 3;
  constexpr int each = 20;
  std::vector<pid_t> children;
  for (int p = 0; p < processes; ++p) {
    children.push_back(in_a_process([&] {
      backend kept{file.path, patient};
      store sessions{kept, {.update_attempts = 1000, .breaker = std::nullopt}};
      // Whoever is first makes it; the others find it.
      const auto now = banyan::detail::to_session_time(std::chrono::system_clock::now());
      (void)kept.put(id, {.version = 1, .created = now, .expires = now + 1h}, 0, now);
      int added = 0;
      for (int i = 0; i < each; ++i) {
        if (sessions.update(id.text(), [](std::string& v) { v += 'x'; })) ++added;
      }
      return added == each ? 0 : 3;
    }));
  }
  for (const pid_t child : children) CHECK(exit_code(child) == 0);
  backend kept{file.path, patient};
  CHECK(store{kept}.load(id.text())->value.size() == processes * each);
}

TEST_CASE("sqlite_session_backend: what a killed process was told is saved is there") {
  const scratch_file file;
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  const banyan::session_id id = banyan::session_id::make();
  const pid_t child = in_a_process([&] {
    backend kept{file.path, patient};
    store sessions{kept};
    const auto now = banyan::detail::to_session_time(std::chrono::system_clock::now());
    if (!kept.put(id, {.version = 1, .created = now, .expires = now + 1h}, 0, now)) return 3;
    for (;;) {
      if (!sessions.update(id.text(), [](std::string& v) { v += 'x'; })) return 4;
      if (::write(pipe[1], "x", 1) != 1) return 5;
    }
  });
  std::size_t told = 0;
  std::array<char, 1> said{};
  while (told < 50 && ::read(pipe[0], said.data(), 1) == 1) ++told;
  ::kill(child, SIGKILL);
  CHECK(exit_code(child) == -2);
  ::close(pipe[1]);
  while (::read(pipe[0], said.data(), 1) == 1) ++told;
  ::close(pipe[0]);
  CHECK(told >= 50);
  backend kept{file.path, patient};
  const auto s = store{kept}.load(id.text());
  REQUIRE(s);
  CHECK(s->value.size() >= told);
  CHECK(s->value.size() <= told + 1);
  CHECK(s->version == s->value.size() + 1);
}

TEST_CASE("sqlite_session_backend: while another holds the file, changes are unavailable and loads go on") {
  const scratch_file file;
  backend kept{file.path, {.busy_timeout = 20ms}};
  std::string why;
  store sessions{kept, {.breaker = std::nullopt, .on_failure = [&](const banyan::session_failure& failure) {
                          why = "not said";
                          if (failure.thrown != nullptr) {
                            try {
                              std::rethrow_exception(failure.thrown);
                            } catch (const banyan::sqlite_error& error) {
                              why = error.what();
                            }
                          }
                        }}};
  // So short a time may be over before a connection is open.
  const auto again = [](auto ask) {
    auto answer = ask();
    while (!answer && answer.error() == session_errc::unavailable) answer = ask();
    return answer;
  };
  auto s = again([&] { return sessions.create("x"); });
  REQUIRE(s);
  const std::string cookie{s->id.text()};
  banyan::sqlite_connection other{file.path};
  other.exec("begin immediate");
  s->value = "y";
  CHECK(sessions.save(*s) == unexpected{session_errc::unavailable});
  CHECK(sessions.destroy(cookie) == unexpected{session_errc::unavailable});
  CHECK(again([&] { return sessions.load(cookie); })->value == "x");
  other.exec("commit");
  REQUIRE(again([&] { return sessions.save(*s); }));
  CHECK(again([&] { return sessions.load(cookie); })->value == "y");

  // Gone altogether: everything is unavailable, nothing throws.
  other.exec("drop table banyan_session");
  CHECK(sessions.load(cookie) == unexpected{session_errc::unavailable});
  INFO(why);
  CHECK(why.find("banyan_session") != std::string::npos);  // no such table
  CHECK(sessions.save(*s) == unexpected{session_errc::unavailable});
  CHECK(sessions.create("z") == unexpected{session_errc::unavailable});
}

TEST_CASE("sqlite_session_backend: the ids are for the owner of the file to read, and for whom he let in before") {
  using std::filesystem::perms;
  constexpr perms others = perms::group_all | perms::others_all;
  const mode_t before = ::umask(022);
  const scratch_file own;
  const scratch_file shared;
  { const banyan::sqlite_connection made_before{shared.path}; }
  backend kept{own.path, patient};
  backend kept_shared{shared.path, patient};
  ::umask(before);
  store sessions{kept};
  REQUIRE(sessions.create("x"));
  int files = 0;
  for (const auto& each : std::filesystem::directory_iterator{own.folder}) {
    INFO(each.path());
    CHECK((each.status().permissions() & others) == perms::none);
    ++files;
  }
  CHECK(files == 3);  // the database, its write-ahead log and the index of that
  CHECK((std::filesystem::status(shared.path).permissions() & others) == (perms::group_read | perms::others_read));
}

TEST_CASE("sqlite_session_backend: what is stored and no session") {
  const scratch_file file;
  backend kept{file.path, patient};
  store sessions{kept};
  const auto s = sessions.create("x");
  REQUIRE(s);
  banyan::sqlite_connection other{file.path, {.busy_timeout = 60s}};
  // A byte of it would be 0, live.
  for (const char* const change : {"state = 256", "state = -1", "state = 0, version = -1", "version = 0"}) {
    INFO(change);
    other.exec(std::string{"update banyan_session set "} + change);
    CHECK(sessions.load(s->id.text()) == unexpected{session_errc::corrupt});
  }
  other.exec("update banyan_session set version = 1");
  CHECK(sessions.load(s->id.text())->value == "x");
}

TEST_CASE("sqlite_session_backend: files and options that cannot be") {
  const scratch_file file;
  const auto refused = [&](const std::string& path, banyan::sqlite_session_backend_options options) {
    return banyan::testing::refused_field([&] {
      const backend kept{path, options};
      return 0;
    });
  };
  CHECK(refused("", {}) == "file");
  CHECK(refused(":memory:", {}) == "file");
  CHECK(refused(file.path, {.readers = 0}) == "sqlite_session_backend_options.readers");
  CHECK(refused(file.path, {.readers = 1025}) == "sqlite_session_backend_options.readers");
  CHECK(refused(file.path, {.busy_timeout = 0ms}) == "sqlite_session_backend_options.busy_timeout");
  CHECK(refused(file.path, {.busy_timeout = std::chrono::milliseconds::max()}) ==
        "sqlite_session_backend_options.busy_timeout");
  CHECK(!std::filesystem::exists(file.path));
  CHECK_THROWS_AS(backend((file.folder / "none" / "a.db").string()), banyan::sqlite_error);
}

#endif
