// Clients of the HTTP API that mean harm, on both of its sockets at once (issue 14).
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace buildwarden::testing {

struct HostileTarget {
  std::string socket;      // of the unix side
  std::uint16_t port = 0;  // of the TCP side, on 127.0.0.1
  uid_t uid = 2000;        // who attacks on the unix side, with the same number as its group
};

// One side's attacks, again and again until stop(). What is held open (half requests, answers that nobody takes,
// streams, a crowd) stays so for as many rounds as there are descriptors.
class HostileClients {
 public:
  enum class Side : std::uint8_t { kUnix, kTcp };
  HostileClients(HostileTarget target, Side side);
  ~HostileClients();
  HostileClients(const HostileClients&) = delete;
  HostileClients& operator=(const HostileClients&) = delete;

  // Ends the attacks; what is asked below is complete afterwards.
  void stop();

  [[nodiscard]] std::size_t rounds() const { return rounds_; }
  [[nodiscard]] std::size_t connections() const { return connections_; }  // that came to be, in all
  [[nodiscard]] std::size_t most_held() const { return most_held_; }      // open at once on this end
  // Answers that should not have come, and some that should have and did not; few are kept.
  [[nodiscard]] const std::vector<std::string>& surprises() const { return surprises_; }

 private:
  void attack();
  int connect();
  void hold(int socket, std::size_t most);
  void smuggle();
  void stream_chunks();
  void send_slowly();
  void read_slowly();
  void pipeline();
  void close_halves();
  void talk_nonsense();
  void follow();
  void crowd();
  void drip();
  void surprised(std::string what);

  HostileTarget target_;
  Side side_;
  std::deque<int> held_;
  std::size_t rounds_ = 0;
  std::size_t connections_ = 0;
  std::size_t most_held_ = 0;
  std::vector<std::string> surprises_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace buildwarden::testing
