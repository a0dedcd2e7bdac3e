#include "daemon/builders/probe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

#include "daemon/builders/connections.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/builders/fake_buildkitd.h"

namespace buildwarden::builders {
namespace {

using buildwarden::testing::FakeBuildkitd;
using buildwarden::testing::run_on;
using Manner = FakeBuildkitd::Manner;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ProbeTest : public ::testing::Test {
 protected:
  Result<std::optional<int>> ask(Manner manner, Duration deadline = seconds{10}) {
    FakeBuildkitd buildkitd(loop_, path_, manner);
    auto answer = run_on(loop_, probe_.ask(path_, deadline));
    received_ = buildkitd.received;
    buildkitd.stop();
    loop_.restart();
    loop_.run();
    return answer;
  }

  buildwarden::testing::TempFolder folder_;
  std::string path_ = folder_.path() + "/buildkitd.sock";
  boost::asio::io_context loop_;
  Probe probe_{loop_.get_executor()};
  std::string received_;
};

TEST_F(ProbeTest, SpeaksAndUnderstandsHttp2) {
  EXPECT_TRUE(ask(Manner::kAnswers));
  EXPECT_EQ(received_, std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
}

TEST_F(ProbeTest, TellsAFrozenOneFromOneThatIsAbsentOrForeign) {
  EXPECT_EQ(ask(Manner::kFrozen, milliseconds{20}).error().code(), Errc::kTimeout);
  ::unlink(path_.c_str());
  EXPECT_EQ(ask(Manner::kForeign).error().code(), Errc::kProtocol);
  ::unlink(path_.c_str());
  EXPECT_EQ(ask(Manner::kHangsUp).error().code(), Errc::kUnavailable);
  EXPECT_EQ(run_on(loop_, probe_.ask(path_, seconds{10})).error().code(), Errc::kUnavailable) << "a socket left behind";
  ::unlink(path_.c_str());
  EXPECT_EQ(run_on(loop_, probe_.ask(path_, seconds{10})).error().code(), Errc::kNotFound);
  EXPECT_EQ(run_on(loop_, probe_.ask(std::string(200, 'x'), seconds{10})).error().code(), Errc::kInvalid);
}

TEST_F(ProbeTest, EndsAtOnceWhenItIsCancelled) {
  boost::asio::post(loop_, [this] { boost::asio::post(loop_, [this] { probe_.cancel(); }); });
  EXPECT_EQ(ask(Manner::kFrozen).error().code(), Errc::kCancelled);
}

// A listener in a network namespace of its own, where the test may make one, as a container's is.
class Listener {
 public:
  explicit Listener(const std::string& path) {
    int ready[2];
    if (::pipe2(ready, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) serve(path, ready[1]);
    char byte = 0;
    if (::read(ready[0], &byte, 1) != 1) std::abort();
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Listener() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  [[noreturn]] static void serve(const std::string& path, int ready) {
    (void)::unshare(CLONE_NEWNET);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const bool listens = ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&  // NOLINT
                         ::listen(listener, 8) == 0;
    if (!listens || ::write(ready, "r", 1) != 1) ::_exit(1);
    for (;;) {
      if (::accept(listener, nullptr, nullptr) >= 0 && ::write(ready, "a", 1) != 1) ::_exit(1);
    }
  }
  pid_t pid_ = -1;
};

TEST_F(ProbeTest, CountsTheConnectionsOfOthers) {
  const Listener listener(path_);
  EXPECT_EQ(*other_connections(listener.pid(), path_, 0), 0);
  std::vector<FakeBuildkitd::Protocol::socket> clients;
  for (int expected = 1; expected <= 3; ++expected) {
    clients.emplace_back(loop_).connect(FakeBuildkitd::Protocol::endpoint(path_));
    // The connection stands before the other side has taken it.
    while (*other_connections(listener.pid(), path_, 0) < expected) ::sched_yield();
    EXPECT_EQ(*other_connections(listener.pid(), path_, 0), expected);
    EXPECT_EQ(*other_connections(listener.pid(), path_, 1), expected - 1) << "but for the asker's own";
  }
  EXPECT_FALSE(other_connections(-1, path_, 0)) << "unknown, not none";
}

}  // namespace
}  // namespace buildwarden::builders
