#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::lab {

/// A file or a pipe, read once from front to end, with a look at the first bytes before anything is consumed.
/// Throws `bad_input` naming the file when it cannot be opened or read.
class byte_source {
 public:
  /// Longest line that is accepted. A longer one is not a list of keys but something else, or damage.
  static constexpr std::size_t longest_line = std::size_t{1} << 20;

  /// Opens `path`; "-" is standard input.
  explicit byte_source(const std::string& path);
  byte_source(const byte_source&) = delete;
  byte_source& operator=(const byte_source&) = delete;
  ~byte_source();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Length in bytes; 0 when unknown (a pipe).
  [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
  /// Number of the line that `next_line` returned last, from 1.
  [[nodiscard]] std::uint64_t line_number() const noexcept { return line_number_; }

  /// The first bytes not consumed yet, up to 64 KiB; shorter only when the input ends there.
  std::string_view peek();
  /// The next bytes, at most `most`; empty at the end. Valid until the next call.
  std::string_view next_bytes(std::size_t most);
  /// The next line without its line end (LF or CRLF); false at the end. Valid until the next call. Throws `bad_input`
  /// naming the line when it is longer than `longest_line`.
  bool next_line(std::string_view& line);

  /// "name:line: what", for errors about the line read last.
  [[nodiscard]] std::string at_line(std::string_view what) const;

 private:
  bool fill();

  std::FILE* file_ = nullptr;
  std::string name_;
  std::uint64_t length_ = 0;
  std::uint64_t line_number_ = 0;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::string line_;
};

}  // namespace banyan::lab
