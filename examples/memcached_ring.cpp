// A client of a fleet of memcached servers that finds each key where libmemcached's weighted ketama puts it, so that it
// shares the cache with clients that use that.
//
// The servers here are threads of this program, each on a free port of the loopback interface, that speak as much of
// memcached's text protocol as is needed: `set` and `get`. To the ring they go by the names that the other clients know
// them by, because the points on the ring are made of the names.
// Keys are stored and read, one server goes away, and an account shows which keys have to be loaded anew.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <banyan/hashing.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A connected socket, read by lines and by numbers of bytes. Waits 5 seconds at most.
class connection {
 public:
  explicit connection(int socket) {
    const timeval limit{5, 0};
    if (socket < 0 || ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) fail("socket");
    in_.reset(::fdopen(socket, "r"));
    out_.reset(::fdopen(::dup(socket), "w"));
    if (!in_ || !out_) fail("socket");
  }

  void send(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), out_.get()) != text.size() || std::fflush(out_.get()) != 0)
      fail("send");
  }

  /// A line without its end; false when the other side has closed.
  bool line(std::string& text) {
    text.clear();
    for (int c = std::getc(in_.get()); c != EOF; c = std::getc(in_.get())) {
      if (c == '\n') return true;
      if (c != '\r') text += static_cast<char>(c);
    }
    return false;
  }

  /// The data behind a line whose last word says how many bytes there are: "set key 0 0 5", "VALUE key 0 5".
  std::string data_after(const std::string& head) {
    std::string bytes(std::stoul(head.substr(head.rfind(' ') + 1)) + 2, '\0');
    if (std::fread(bytes.data(), 1, bytes.size(), in_.get()) != bytes.size()) fail("receive");
    bytes.resize(bytes.size() - 2);  // the end of line
    return bytes;
  }

 private:
  struct closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, closer> in_;
  std::unique_ptr<std::FILE, closer> out_;
};

/// A server for one client: a thread that lasts until the client closes the connection.
class server {
 public:
  server() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at = loopback(0);  // any port that is free
    socklen_t size = sizeof at;
    auto* const address = reinterpret_cast<sockaddr*>(&at);
    if (::bind(listener_, address, size) != 0 || ::listen(listener_, 1) != 0 ||
        ::getsockname(listener_, address, &size) != 0)
      fail("server");
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client >= 0) serve(connection(client));
    });
  }
  server(const server&) = delete;
  ~server() {
    ::shutdown(listener_, SHUT_RDWR);  // wakes a thread that still waits for its client
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  static void serve(connection client) {
    std::unordered_map<std::string, std::string> values;
    for (std::string command; client.line(command);) {
      const std::string key = command.substr(4, command.find(' ', 4) - 4);
      if (command.starts_with("set ")) {
        values[key] = client.data_after(command);
        client.send("STORED\r\n");
      } else if (const auto found = values.find(key); found != values.end()) {
        client.send("VALUE " + key + " 0 " + std::to_string(found->second.size()) + "\r\n" + found->second +
                    "\r\nEND\r\n");
      } else {
        client.send("END\r\n");
      }
    }
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// The client: the ring says which server, and there is a connection to each.
class memcached_client {
 public:
  explicit memcached_client(banyan::ketama_ring ring) : ring_(std::move(ring)) {}

  void connect(const std::string& name, std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in to = loopback(port);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fail("connect");
    connections_.try_emplace(name, socket);
  }

  void drop(const std::string& name) {
    ring_.remove(name);
    connections_.erase(name);
  }

  [[nodiscard]] const std::string& server_of(std::string_view key) const { return *ring_.locate(key); }

  void set(const std::string& key, const std::string& value) {
    connection& to = connections_.at(server_of(key));
    to.send("set " + key + " 0 0 " + std::to_string(value.size()) + "\r\n" + value + "\r\n");
    if (std::string answer; !to.line(answer) || answer != "STORED") throw std::runtime_error("not stored: " + key);
  }

  std::optional<std::string> get(const std::string& key) {
    connection& from = connections_.at(server_of(key));
    from.send("get " + key + "\r\n");
    std::string head;
    if (!from.line(head)) throw std::runtime_error("closed: " + key);
    if (head == "END") return std::nullopt;
    std::string value = from.data_after(head);
    from.line(head);  // END
    return value;
  }

 private:
  banyan::ketama_ring ring_;
  std::map<std::string, connection> connections_;
};

}  // namespace

int main() {
  const std::map<std::string, int> weights = {{"10.0.1.1", 600}, {"10.0.1.2", 300},  {"10.0.1.3", 200},
                                              {"10.0.1.4", 350}, {"10.0.1.5", 1000}, {"10.0.1.6", 800},
                                              {"10.0.1.7", 950}, {"10.0.1.8", 100}};
  const int keys = 5000;
  const auto key = [](int i) { return "user:" + std::to_string(i); };

  std::map<std::string, server> servers;
  memcached_client client{banyan::ketama_ring{weights}};
  for (const auto& [name, weight] : weights) client.connect(name, servers[name].port());
  if (client.server_of("R-08RNTaRT") != "10.0.1.5") return EXIT_FAILURE;  // where libmemcached finds it

  std::map<std::string, int> held;
  for (int i = 0; i < keys; ++i) {
    client.set(key(i), "profile of " + key(i));
    ++held[client.server_of(key(i))];
  }
  for (const auto& [name, count] : held)
    std::printf("%s of weight %4d: %4d keys\n", name.c_str(), weights.at(name), count);

  const std::string gone = "10.0.1.2";
  int lost = 0;
  client.drop(gone);
  for (int i = 0; i < keys; ++i) lost += client.get(key(i)) == "profile of " + key(i) ? 0 : 1;
  std::printf("%s went with %d keys; %d of %d must be loaded anew\n", gone.c_str(), held[gone], lost, keys);
  // More than the server had: weighted ketama gives points by the share of all weights, so the others' change as well.
  // With banyan::hash_ring, which need not agree with anybody, only the keys of the server that went would move.
  return lost >= held[gone] && lost < keys / 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
