// Crowds on the TCP port: they are served or refused within the limit, and whoever comes by the unix socket notices
// none.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <iostream>
#include <sstream>
#include <thread>

#include "tests/support/api_poller.h"
#include "tests/support/bare_daemon.h"
#include "tests/support/loop_disk.h"

namespace buildwarden::testing {
namespace {

constexpr rlim_t kDescriptors = 12'000;

// Nonblocking TCP connections to one port, held until it goes.
class Crowd {
 public:
  explicit Crowd(int port) : port_(static_cast<std::uint16_t>(port)) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min(kDescriptors, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~Crowd() {
    for (const int one : all_) ::close(one);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // Each says `bytes` once it is connected.
  void come(int amount, const std::string& bytes) {
    for (int i = 0; i < amount; ++i) {
      const int one = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(port_);
      if (one < 0) break;
      all_.push_back(one);
      ::connect(one, reinterpret_cast<const sockaddr*>(&address), sizeof address);
      pollfd ready{one, POLLOUT, 0};
      if (::poll(&ready, 1, 1'000) == 1) (void)!::send(one, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
  }
  [[nodiscard]] std::size_t size() const { return all_.size(); }
  // How many have been told something that begins so, by now. Asked once.
  [[nodiscard]] int told(const std::string& begin) const {
    char room[512];
    return static_cast<int>(std::count_if(all_.begin(), all_.end(), [&](int one) {
      const auto count = ::recv(one, room, sizeof room, MSG_DONTWAIT);
      return count > 0 && std::string_view(room, static_cast<std::size_t>(count)).starts_with(begin);
    }));
  }

 private:
  std::uint16_t port_;
  std::vector<int> all_;
};

class Load : public BareDaemonFixture {
 protected:
  void SetUp() override {
    BareDaemonFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    disk_ = std::make_unique<LoopDisk>(dir() + "/disk.img", mounts() + "/disk", "ext4");
    start({.disk = "watch: [ { path: " + disk_->folder() + ", gate: true } ], ballast: 0B",
           .state = disk_->folder() + "/state",
           .data_root = disk_->folder() + "/docker",
           .tcp = "127.0.0.1:0"});
    const auto said = log();
    const std::string before = "TCP port ";
    port_ = std::stoi(said.substr(said.find(before) + before.size()));
  }
  void TearDown() override {
    kill();
    disk_.reset();
    BareDaemonFixture::TearDown();
  }
  [[nodiscard]] std::string socket() const { return dir() + "/run/api.sock"; }
  std::int64_t memory_kib() {
    return std::stoll(run_shell("awk '/^VmRSS/{print $2}' /proc/" + std::to_string(daemon().pid()) + "/status").out);
  }
  int descriptors() { return std::stoi(run_shell("ls /proc/" + std::to_string(daemon().pid()) + "/fd | wc -l").out); }
  [[nodiscard]] int port() const { return port_; }
  void expect_unnoticed(ApiPoller& poller) {
    poller.stop();
    std::cout << "meanwhile by the unix socket: " << poller.summary() << "\n";
    EXPECT_GT(poller.answers(), 0U);
    EXPECT_EQ(poller.failures(), 0);
  }

 private:
  std::unique_ptr<LoopDisk> disk_;
  int port_ = 0;
};

// Mutation: without the limit of its listener the daemon holds 10,000 descriptors.
TEST_F(Load, TenThousandConnectionsAreServedOrRefused) {
  const auto memory = memory_kib();
  ApiPoller poller(socket(), "/v1/status");
  Crowd crowd(port());
  crowd.come(10'000, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(crowd.size(), 10'000U);
  const auto held = descriptors();
  expect_unnoticed(poller);
  const auto served = crowd.told("HTTP/1.1 200 ");
  std::cout << served << " of " << crowd.size() << " were served, " << held << " descriptors held, memory " << memory
            << " -> " << memory_kib() << " KiB\n";
  EXPECT_GT(served, 100);
  EXPECT_LT(held, 1'000);
}

TEST_F(Load, ClientsThatSendAByteNowAndThenHoldUpNobody) {
  ApiPoller poller(socket(), "/v1/status");
  Crowd crowd(port());
  crowd.come(500, "GET /hea");
  EXPECT_LT(descriptors(), 1'000);
  Crowd late(port());
  late.come(1, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  int answers = 0;
  EXPECT_TRUE(eventually([&] { return (answers += late.told("HTTP/1.1 ")) == 1; }));
  expect_unnoticed(poller);
}

TEST_F(Load, SixtyFourScrapesAtOnce) {
  ApiPoller poller(socket(), "/v1/status");
  const auto scrapes = run_shell("for i in $(seq 64); do curl -sf -m 20 'http://127.0.0.1:" + std::to_string(port()) +
                                 "/metrics?[1-10]' -o /dev/null -w '%{http_code}\\n' & done | sort | uniq -c; wait");
  std::istringstream lines(scrapes.out);
  int amount = 0;
  std::string code;
  lines >> amount >> code;
  EXPECT_EQ(amount, 640) << scrapes.out;
  EXPECT_EQ(code, "200");
  expect_unnoticed(poller);
}

}  // namespace
}  // namespace buildwarden::testing
