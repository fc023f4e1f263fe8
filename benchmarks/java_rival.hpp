#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

/// A rival in a Java process of its own, which runs a round when it is told to, by a line, and is idle otherwise.
/// `java` must be a JDK's, which runs the source file as it is.
class java_rival {
 public:
  java_rival(const std::string& source, const std::string& class_path, const std::vector<std::string>& options,
             const std::vector<std::string>& arguments) {
    int to_child[2];
    int from_child[2];
    if (::pipe(to_child) != 0) return;
    if (::pipe(from_child) != 0) return;
    std::vector<std::string> words{"java"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"-cp", class_path, source});
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> command;
    for (std::string& word : words) command.push_back(word.data());
    command.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(to_child[0], 0);
      ::dup2(from_child[1], 1);
      for (int each : {to_child[0], to_child[1], from_child[0], from_child[1]}) ::close(each);
      ::execvp("java", command.data());
      ::_exit(127);
    }
    ::close(to_child[0]);
    ::close(from_child[1]);
    to_ = ::fdopen(to_child[1], "w");
    from_ = ::fdopen(from_child[0], "r");
  }
  java_rival(const java_rival&) = delete;
  java_rival& operator=(const java_rival&) = delete;
  ~java_rival() {
    if (to_ != nullptr) std::fclose(to_);
    if (from_ != nullptr) std::fclose(from_);
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }

  /// The next line that it prints; empty when it has ended.
  std::string answer() {
    char line[256];
    if (from_ == nullptr || std::fgets(line, sizeof line, from_) == nullptr) return {};
    std::string text = line;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  std::string ask(const std::string& line) {
    if (to_ == nullptr || std::fprintf(to_, "%s\n", line.c_str()) < 0 || std::fflush(to_) != 0) return {};
    return answer();
  }

 private:
  pid_t child_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace bench
