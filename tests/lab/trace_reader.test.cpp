#include "trace_reader.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "access_log.hpp"
#include "bad_input.hpp"
#include "scratch.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::string_literals;
using namespace banyan::lab;
using banyan::lab::testing::scratch;
using numbers = std::vector<std::uint32_t>;

trace read(const std::string& path, const std::string& format = "auto") {
  progress silent(stderr, false);
  return read_trace(path, parse_trace_format(format), silent);
}

// The error's text must hold every one of `parts`.
void refuses(const std::string& path, const std::string& format, const std::vector<std::string>& parts) {
  CAPTURE(path, format);
  std::string what;
  try {
    static_cast<void>(read(path, format));
  } catch (const bad_input& error) {
    what = error.what();
  }
  REQUIRE_FALSE(what.empty());
  CAPTURE(what);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(what.find(part) != std::string::npos);
  }
}

const std::string log_lines =
    R"(1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /a.gif?size=1 HTTP/1.0" 200 2326
1.2.3.4 - bob [10/Oct/2000:13:55:36 -0700] "GET /b HTTP/1.0" 200 - "http://from/" "Mozilla \"x\" y"
1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "-" 408 0
1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET http://proxied.example/a.gif HTTP/1.0" 304 0
)";

}  // namespace

TEST_CASE("plain keys are numbered by first appearance") {
  const scratch dir;
  const trace t = read(dir.file("k.txt", "b\na\r\n\nb\n  a \nlast"));
  CHECK(t.requests == numbers{0, 1, 0, 1, 2});
  CHECK(t.keys == 3);
  CHECK(t.skipped == 1);
  CHECK(t.name == "k.txt");
  CHECK(read(dir.file("mark", "\xEF\xBB\xBFx\nx\n")).keys == 1);
}

TEST_CASE("csv columns by number, by name and by guess") {
  const scratch dir;
  const std::string path = dir.file("a.csv", "time,key,size\n1,foo,3\n2,\"b\"\"a,r\",4\r\n3,foo,3\n");
  CHECK(read(path).requests == numbers{0, 1, 0});
  CHECK(read(path, "csv:key").requests == numbers{0, 1, 0});
  CHECK(read(path, "csv:1").requests == numbers{0, 1, 2});     // "time" above numbers is a heading
  CHECK(read(path, "csv:2").requests == numbers{0, 1, 2, 1});  // words above words are data
  CHECK(read(dir.file("n.csv", "7,1\n8,1\n7,1\n"), "csv:1").requests == numbers{0, 1, 0});
  CHECK(read(dir.file("lines.csv", "key,x\n\"a\nb\",1\n\"a\nb\",2\n")).requests == numbers{0, 0});
  CHECK(read(dir.file("one.csv", "5\n6\n5\n")).requests == numbers{0, 1, 0});
}

TEST_CASE("access logs give paths") {
  const scratch dir;
  const trace t = read(dir.file("x.log", log_lines));
  CHECK(t.requests == numbers{0, 1, 0});
  CHECK(t.skipped == 1);
  CHECK(read(dir.file("without-ending", log_lines)).requests == numbers{0, 1, 0});
  CHECK(parse_access_log_line(R"(h - - [d] "GET / HTTP/1.1" 200 5)").path == "/");
  CHECK_FALSE(parse_access_log_line(R"(h - - [d] "GET / HTTP/1.1" 20)").well_formed);
  CHECK_FALSE(parse_access_log_line(R"(h - - [d] "GET / HTTP/1.1" 200 5 "ref)").well_formed);
  CHECK_FALSE(parse_access_log_line("").well_formed);
}

TEST_CASE("32-bit numbers are little-endian") {
  const scratch dir;
  const std::string bytes = "\1\0\0\0\0\0\0\1\1\0\0\0"s;
  CHECK(read(dir.file("a.u32", bytes)).requests == numbers{0, 1, 0});
  CHECK(read(dir.file("a", bytes), "u32").keys == 2);
  // Longer than the buffer, so that numbers are put together across its edge.
  std::string many;
  for (unsigned i = 0; i < 50'000; ++i) many += {static_cast<char>(i & 0xff), static_cast<char>(i >> 8), 0, 0};
  const trace t = read(dir.file("many.u32", many));
  CHECK(t.requests.size() == 50'000);
  CHECK(t.keys == 50'000);
}

TEST_CASE("bad traces are refused with file and line") {
  const scratch dir;
  refuses(dir.file("missing"), "auto", {"missing", "cannot open"});
  refuses(dir.file("empty", ""), "auto", {"empty: is empty"});
  refuses(dir.file("empty.u32", ""), "u32", {"is empty"});
  refuses(dir.file("blank", "\n\n"), "auto", {"holds no requests"});
  refuses(dir.file("binary", "ab\n\0\1\2\3"s), "auto", {"binary", "--format u32"});
  refuses(dir.file("binary", "ab\n\0\1\2\3"s), "keys", {"binary:2:", "0x00"});
  refuses(dir.file("cut.u32", "\1\0\0\0\1\0"s), "auto", {"cut short", "6 bytes"});
  refuses(dir.file("z.u32.xz",
                   "\xFD"
                   "7zXZ\0rest"s),
          "auto", {"xz -dc", "| banyan_lab cache - --format u32"});
  refuses(dir.file("zipped", "\x1F\x8B\x08rest"s), "keys", {"gzip -dc"});
  refuses(dir.file("cut.log", log_lines + R"(1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /a.)"), "auto",
          {"cut.log:5:", "common or combined"});
  refuses(dir.file("short.csv", "t,k,s\n1,foo,3\n2,bar\n"), "csv:3", {"short.csv:3:", "2 columns", "column 3"});
  refuses(dir.file("short.csv"), "csv:none", {"short.csv:1:", "none"});
  refuses(dir.file("short.csv"), "auto", {"short.csv:1:", "which of the 3 columns"});
  refuses(dir.file("open.csv", "t,k\n1,\"foo\n2,bar\n"), "csv:2", {"open.csv:2:", "never closed"});
  refuses(dir.file("after.csv", "t,k\n1,\"foo\"x\n"), "csv:2", {"after.csv:2:", "closing quote"});
  std::filesystem::create_directory(dir.file("directory"));
  refuses(dir.file("directory"), "auto", {"is a directory"});
}

TEST_CASE("lines of megabytes are refused, lines up to the limit are read") {
  const scratch dir;
  const std::string longest(byte_source::longest_line, 'x');
  CHECK(read(dir.file("longest", "a\n" + longest + "\na\n")).requests == numbers{0, 1, 0});
  refuses(dir.file("longer", "a\nb\n" + longest + "x\na\n"), "auto", {"longer:3:", "longer than"});
  refuses(dir.file("longer.csv", "t,k\n1,\"" + longest + "\"\n"), "csv:2", {"longer.csv:2:", "longer than"});
  std::string rows = "t,k\n1,\"";
  while (rows.size() < 2 * byte_source::longest_line) rows += "a line inside quotes\n";
  refuses(dir.file("runaway.csv", rows), "csv:2", {"runaway.csv:2:", "quote missing"});
}

TEST_CASE("format names") {
  CHECK(parse_trace_format("csv:url").column == "url");
  CHECK(parse_trace_format("csv:3").kind == trace_kind::csv);
  for (const char* name : {"", "CSV", "csv:", "csv:0", "csv:99999999999", "json", "u16"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(parse_trace_format(name), bad_input);
  }
}
