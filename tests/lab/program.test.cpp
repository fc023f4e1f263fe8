#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "bad_input.hpp"
#include "html_page.hpp"
#include "scratch.hpp"
#include "support/catch.hpp"

#if !defined(_WIN32)
#include <sys/wait.h>
#endif

namespace {

using banyan::lab::testing::scratch;

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("a report is written whole or not at all") {
  const scratch dir;
  const std::string path = dir.file("r.html", "old");
  CHECK(banyan::lab::write_report(path, "new").string().ends_with("r.html"));
  CHECK(content(path) == "new");
  CHECK(dir.files() == 1);
  CHECK_THROWS_AS(banyan::lab::check_report_path(dir.file("none/r.html")), banyan::lab::bad_input);
  CHECK_THROWS_AS(banyan::lab::check_report_path(dir.file("")), banyan::lab::bad_input);
  CHECK_THROWS_AS(banyan::lab::check_report_path(""), banyan::lab::bad_input);
  CHECK_THROWS(banyan::lab::write_report(dir.file("none/r.html"), "x"));
}

#if defined(BANYAN_LAB_PROGRAM) && !defined(_WIN32)

namespace {

// Exit code of the program with these arguments; output goes to "out" and "err" in the scratch directory.
int run(const scratch& dir, const std::string& arguments) {
  const std::string command = "cd '" + dir.file("") + "' && '" BANYAN_LAB_PROGRAM "' " + arguments + " >out 2>err";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("the program studies files and pipes") {
  const scratch dir;
  static_cast<void>(dir.file("keys", "a\nb\na\nc\na\nb\n"));
  REQUIRE(run(dir, "cache keys --capacity 1 2 --policy lru,sieve --report r.html") == 0);
  CHECK(content(dir.file("err")).empty());
  const std::string out = content(dir.file("out"));
  CAPTURE(out);
  CHECK(out.find("keys: 6 requests for 3 keys") != std::string::npos);
  CHECK(out.find("belady") != std::string::npos);
  CHECK(out.find("\033") == std::string::npos);
  CHECK(out.find("report: /") != std::string::npos);
  CHECK(content(dir.file("r.html")).ends_with("</html>\n"));
  REQUIRE(run(dir, "cache - keys <keys") == 0);
  CHECK(content(dir.file("out")).find("standard input: 6 requests") != std::string::npos);
  CHECK(content(dir.file("lab-report.html")).ends_with("</html>\n"));
  CHECK(run(dir, "--help") == 0);
  CHECK(run(dir, "cache --help") == 0);
}

TEST_CASE("the program simulates balancing") {
  const scratch dir;
  REQUIRE(run(dir, "balance --requests 1000 --scenario slow,equal --policy peak_ewma,round_robin --report r.html") ==
          0);
  CHECK(content(dir.file("err")).empty());
  const std::string out = content(dir.file("out"));
  CAPTURE(out);
  CHECK(out.find("\nequal: ") < out.find("\nslow: "));
  CHECK(out.find("round_robin ") < out.find("peak_ewma "));
  CHECK(out.find("\033") == std::string::npos);
  CHECK(out.find("report: /") != std::string::npos);
  CHECK(content(dir.file("r.html")).ends_with("</html>\n"));
  CHECK(run(dir, "balance --help") == 0);
}

TEST_CASE("the program simulates overload") {
  const scratch dir;
  REQUIRE(run(dir, "limit --seconds 9 --scenario pulse,calm --policy gradient2,none --report r.html") == 0);
  CHECK(content(dir.file("err")).empty());
  const std::string out = content(dir.file("out"));
  CAPTURE(out);
  CHECK(out.find("\ncalm: ") < out.find("\npulse: "));
  CHECK(out.find("\nnone ") < out.find("\ngradient2 "));
  CHECK(out.find("figures: before / in trouble / after") != std::string::npos);
  CHECK(out.find("\033") == std::string::npos);
  CHECK(out.find("report: /") != std::string::npos);
  CHECK(content(dir.file("r.html")).ends_with("</html>\n"));
  // Limiters draw their jitter by their address, too; it must not get into the figures of another process.
  const auto long_run = [&dir] {
    CHECK(run(dir, "limit --seconds 300 --workers 3 --scenario mild --policy gradient2,vegas --report r.html") == 0);
    return content(dir.file("r.html"));
  };
  CHECK(long_run() == long_run());
  CHECK(run(dir, "limit --help") == 0);
  CHECK(run(dir, "limit --seconds 5") == 2);
}

TEST_CASE("the program studies rings") {
  const scratch dir;
  REQUIRE(run(dir, "ring --nodes 5,3 --weights 1,2 --algorithm anchor,ring --sets 1 --no-times --report r.html") == 0);
  CHECK(content(dir.file("err")).empty());
  const std::string out = content(dir.file("out"));
  CAPTURE(out);
  CHECK(out.find("\n3 nodes ") < out.find("\n5 nodes "));
  CHECK(out.find("\nring ") < out.find("\nanchor "));
  CHECK(out.find("\033") == std::string::npos);
  CHECK(out.find("report: /") != std::string::npos);
  CHECK(content(dir.file("r.html")).ends_with("</html>\n"));
  CHECK(run(dir, "ring --help") == 0);
}

TEST_CASE("bad input ends with exit code 2, a message, and nothing written") {
  const scratch dir;
  static_cast<void>(dir.file("keys", "a\nb\na\n"));
  static_cast<void>(dir.file("bin", std::string_view("\0\1\2\3", 4)));
  for (const char* arguments : {"",
                                "cache missing",
                                "cache keys missing",
                                "cache bin",
                                "cache keys --policy arc",
                                "cache keys --capacity 0",
                                "cache keys --capacity -5",
                                "cache keys --capacity 200%",
                                "cache keys --capacity",
                                "cache keys --format json",
                                "cache --format u32",
                                "cache keys --unknown",
                                "cache keys --report none/r.html",
                                "cache - - <keys",
                                "cache - </dev/null",
                                "cache keys --seed x",
                                "unknown",
                                "balance --policy lru",
                                "balance --scenario x",
                                "balance --servers 0",
                                "balance --servers -1",
                                "balance --load nan",
                                "balance --load 0",
                                "balance --load x",
                                "balance --requests 10",
                                "balance --service normal",
                                "balance --report none/r.html",
                                "balance extra",
                                "ring --nodes 1",
                                "ring --nodes -5",
                                "ring --weights 0.5",
                                "ring --table 100000",
                                "ring --algorithm lru",
                                "ring --report none/r.html",
                                "ring extra"}) {
    CAPTURE(arguments);
    CHECK(run(dir, arguments) == 2);
    CHECK(content(dir.file("out")).empty());
    const std::string err = content(dir.file("err"));
    CAPTURE(err);
    CHECK(err.starts_with("banyan_lab: "));
    CHECK(dir.files() == 4);  // keys, bin, out, err
  }
}

#endif
