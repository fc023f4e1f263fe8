#include "byte_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "bad_input.hpp"

namespace banyan::lab {

byte_source::byte_source(const std::string& path) : name_(path == "-" ? "standard input" : path) {
  if (path == "-") {
    file_ = stdin;
  } else {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (std::filesystem::is_directory(status)) throw bad_input(path + ": is a directory, not a trace");
    file_ = std::fopen(path.c_str(), "rb");
    if (file_ == nullptr) throw bad_input(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
    if (std::filesystem::is_regular_file(status)) {
      const auto size = std::filesystem::file_size(path, error);
      if (!error) length_ = size;
    }
  }
  buffer_.resize(std::size_t{1} << 16);
}

byte_source::~byte_source() {
  if (file_ != nullptr && file_ != stdin) std::fclose(file_);
}

bool byte_source::fill() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) return true;
  errno = 0;
  const std::size_t got = std::fread(buffer_.data() + end_, 1, buffer_.size() - end_, file_);
  if (got == 0 && std::ferror(file_) != 0) {
    throw bad_input(fmt::format("{}: cannot read: {}", name_, std::strerror(errno)));
  }
  end_ += got;
  return begin_ != end_;
}

std::string_view byte_source::peek() {
  fill();
  return {buffer_.data() + begin_, end_ - begin_};
}

std::string_view byte_source::next_bytes(std::size_t most) {
  if (begin_ == end_ && !fill()) return {};
  const std::size_t count = std::min(most, end_ - begin_);
  const std::string_view bytes(buffer_.data() + begin_, count);
  begin_ += count;
  return bytes;
}

bool byte_source::next_line(std::string_view& line) {
  line_.clear();
  bool found_end = false;
  bool any = false;
  while (!found_end) {
    if (begin_ == end_ && !fill()) break;
    if (!any) ++line_number_;
    any = true;
    const char* from = buffer_.data() + begin_;
    const void* newline = std::memchr(from, '\n', end_ - begin_);
    const std::size_t count =
        newline != nullptr ? static_cast<std::size_t>(static_cast<const char*>(newline) - from) : end_ - begin_;
    found_end = newline != nullptr;
    if (line_.size() + count > longest_line) {
      throw bad_input(at_line(fmt::format("line is longer than {} bytes; is this a text file?", longest_line)));
    }
    begin_ += count + (found_end ? 1 : 0);
    if (found_end && line_.empty()) {
      line = {from, count};  // the common case, without a copy
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      return true;
    }
    line_.append(from, count);
  }
  if (!any) return false;
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  line = line_;
  return true;
}

std::string byte_source::at_line(std::string_view what) const {
  return fmt::format("{}:{}: {}", name_, line_number_, what);
}

}  // namespace banyan::lab
