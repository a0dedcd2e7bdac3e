#include "daemon/jobs/docker_config.h"

#include <sys/stat.h>

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>

#include "tests/unit/jobs/jobs_fixture.h"

namespace buildwarden::jobs {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;

// A process of another program, with one variable in its environment.
class Client {
 public:
  explicit Client(const std::string& variable) {
    std::array<int, 2> ready{};
    if (::pipe2(ready.data(), O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      std::string sleep = "sleep";
      std::string time = "1000";
      std::string entry = variable;
      std::array<char*, 3> arguments{sleep.data(), time.data(), nullptr};
      std::array<char*, 2> environment{entry.data(), nullptr};
      ::execve("/bin/sleep", arguments.data(), environment.data());
      ::_exit(127);
    }
    ::close(ready[1]);
    char none = 0;
    // Ends when exec closes the other end: from then on its environment is the one above.
    while (::read(ready[0], &none, 1) < 0 && errno == EINTR) {
    }
    ::close(ready[0]);
  }
  ~Client() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  [[nodiscard]] ports::Peer peer() const {
    ports::Peer peer;
    peer.local = true;
    peer.uid = ::getuid();
    peer.pid = pid_;
    return peer;
  }

 private:
  pid_t pid_ = -1;
};

class DockerConfigTest : public JobsTest {
 protected:
  ~DockerConfigTest() override {
    for (const auto& path : made_) fs::remove_all(path);
  }
  std::string make(std::string pattern) {
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    made_.push_back(pattern);
    return pattern;
  }
  static std::string seen(const std::string& value) {
    const Client client("DOCKER_CONFIG=" + value);
    const auto folder = docker_config_of(client.peer());
    return folder ? folder->path : "";
  }
  std::vector<std::string> made_;
};

TEST_F(DockerConfigTest, IsTheFolderThatMktempMadeAndNothingElse) {
  const auto good = make("/var/tmp/tmp.aB3dXXXXXX");
  EXPECT_EQ(seen(good), good);
  EXPECT_EQ(seen(good + "/"), "");
  EXPECT_EQ(seen(good + "/../../../etc"), "");
  EXPECT_EQ(seen(make("/tmp/other.XXXXXX")), "");
  EXPECT_EQ(seen(make("/tmp/tmp.XXXXXX")), "") << "of another length";
  EXPECT_EQ(seen("/etc"), "");
  EXPECT_EQ(seen(""), "");
  EXPECT_EQ(seen("/tmp/tmp.doesnotexi"), "");
  EXPECT_FALSE(docker_config_of(ports::Peer{}));
  const Client other("DOCKER_CONFIG_DIR=" + good);
  EXPECT_FALSE(docker_config_of(other.peer()));
}

TEST_F(DockerConfigTest, IsNoLinkAndNobodyElsesAndOpenToNobodyElse) {
  const auto target = make("/tmp/tmp.aaaaXXXXXX");
  auto link = target;
  link.back() = link.back() == 'a' ? 'b' : 'a';
  fs::create_directory_symlink(target, link);
  made_.push_back(link);
  EXPECT_EQ(seen(link), "");
  ASSERT_EQ(::chmod(target.c_str(), 0755), 0);
  EXPECT_EQ(seen(target), "");
  ASSERT_EQ(::chmod(target.c_str(), 0700), 0);
  EXPECT_EQ(seen(target), target);
  if (::getuid() != 0) return;
  ASSERT_EQ(::chown(target.c_str(), 65534, 65534), 0);
  EXPECT_EQ(seen(target), "");
}

TEST_F(DockerConfigTest, IsLeftWhenItsJobEndsAndNotWhileAnotherHasIt) {
  const auto path = make("/tmp/tmp.aB3dXXXXXX");
  const Client client("DOCKER_CONFIG=" + path);
  ASSERT_TRUE(start(request("one"), client.peer()));
  ASSERT_TRUE(start(request("two"), client.peer()));
  ASSERT_TRUE(start(request("bare"), peer(::getuid())));
  EXPECT_THAT(registry().left_folders(), IsEmpty());
  registry().end("one", "pid_ended", "gone");
  registry().end("bare", "pid_ended", "gone");
  EXPECT_THAT(registry().left_folders(), IsEmpty()) << "the other one has it";
  restart();
  registry().end("two", "ended", "done");
  restart();
  const auto left = registry().left_folders();
  ASSERT_EQ(left.size(), 1U) << "once, however many jobs had it";
  EXPECT_EQ(left.back().path, path);
  EXPECT_EQ(left.back().ended, clock_.now().wall);
  registry().forget_folder(left.back());
  EXPECT_THAT(registry().left_folders(), IsEmpty());
}

// A job's process may keep its memory map locked, and the kernel keeps its readers waiting: 2 s of the loop
// once.
TEST_F(DockerConfigTest, AProcessThatKeepsTheLookWaitingCostsAJobNothingButItsFolder) {
  const auto good = make("/var/tmp/tmp.aB3dXXXXXX");
  const Client client("DOCKER_CONFIG=" + good);
  WorkerPool processes(1);
  std::promise<void> end;
  processes.post([held = end.get_future().share()] { held.wait(); });
  int turns = 0;
  boost::asio::steady_timer beat(loop_);
  std::function<void()> count = [&] {
    ++turns;
    beat.expires_after(std::chrono::milliseconds{20});
    beat.async_wait([&](const boost::system::error_code& ec) {
      if (!ec) count();
    });
  };
  count();
  const auto kept_waiting = testing::run_on(loop_, look_for_docker_config(processes, client.peer()));
  beat.cancel();
  EXPECT_FALSE(kept_waiting);
  EXPECT_GT(turns, 5) << "the loop went on meanwhile";
  end.set_value();
  const auto later = testing::run_on(loop_, look_for_docker_config(processes, client.peer()));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->path, good);
}

}  // namespace
}  // namespace buildwarden::jobs
