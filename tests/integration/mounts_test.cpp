// What is mounted, unmounted, frozen and hung below watched paths while the daemon runs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iostream>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/support/bare_daemon.h"
#include "tests/support/loop_disk.h"

namespace buildwarden::testing {
namespace {

constexpr const char* kMarks = "min_free: 16MiB, min_free_inodes: 100, reclaim_below: 10%, reclaim_to: 12%";

class Mounts : public BareDaemonFixture {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return mounts() + "/" + name; }
  void start_watching(const std::vector<std::string>& names) {
    std::string list;
    for (const auto& name : names) list += (list.empty() ? "" : ", ") + ("{ path: " + path(name) + ", gate: true }");
    start({.disk = "watch: [ " + list + " ], " + kMarks + ", ballast: 1GiB",
           .state = mounts() + "/state",
           .data_root = path(names.front()),
           // The leak check of a sanitized build stops every thread first, and these tests have one that cannot be
           // stopped.
           .env = {{"ASAN_OPTIONS", "detect_leaks=0"}}});
  }
  void expect_soon(const std::string& mount, const std::string& filter, const std::string& value) {
    EXPECT_TRUE(eventually([&] { return shows(mount, filter, value); }))
        << filter << " is not " << value << ": " << query("/v1/disk", ".");
  }
  void expect_ballast(const std::string& mount) {
    const auto held = [&] { return shows(mount, ".ballast_bytes > 0", "true"); };
    EXPECT_TRUE(eventually(held)) << query("/v1/disk", ".");
  }
};

// A FUSE filesystem whose server never reads a request: whoever asks it waits.
class SilentFuse {
 public:
  explicit SilentFuse(std::string folder) : folder_(std::move(folder)), fd_(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
    const auto options = "fd=" + std::to_string(fd_) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    const bool mounted = fd_ >= 0 && ::mkdir(folder_.c_str(), 0755) == 0 &&
                         ::mount("silent", folder_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
    if (!mounted) throw std::runtime_error("cannot mount a FUSE filesystem on " + folder_);
  }
  ~SilentFuse() {
    ::close(fd_);  // whoever waits gets an error
    ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SilentFuse(const SilentFuse&) = delete;
  SilentFuse& operator=(const SilentFuse&) = delete;

 private:
  std::string folder_;
  int fd_;
};

// A tmpfs of 16 MiB that is on the folder for a moment, gone, and there for half of each tenth of a second.
class Flicker {
 public:
  explicit Flicker(const std::string& folder) : folder_(folder), thread_([this] { run(); }) {}
  ~Flicker() { stop(); }
  Flicker(const Flicker&) = delete;
  Flicker& operator=(const Flicker&) = delete;

  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] int mounts() const { return mounts_; }
  [[nodiscard]] int busy() const { return busy_; }

 private:
  void run() {
    while (!stopped_) {
      mount();
      unmount();
      mount();
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
      unmount();
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }
  void mount() {
    EXPECT_EQ(::mount("flicker", folder_.c_str(), "tmpfs", 0, "size=16m"), 0);
    ++mounts_;
  }
  // Not lazily; whoever is looking at it that very moment makes it busy.
  void unmount() {
    while (::umount(folder_.c_str()) != 0) {
      ASSERT_EQ(errno, EBUSY);
      ++busy_;
    }
  }

  std::string folder_;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> mounts_ = 0;
  std::atomic<int> busy_ = 0;
  std::thread thread_;
};

std::string size_of(const std::string& folder) {
  struct statvfs info{};
  EXPECT_EQ(::statvfs(folder.c_str(), &info), 0);
  return std::to_string(info.f_blocks * info.f_frsize);
}

std::size_t threads_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("Threads:")) return std::stoul(line.substr(8));
  }
  return 0;
}

// Z: it has ended, and threads that the kernel holds keep it from being collected.
char state_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::stringstream text;
  text << stat.rdbuf();
  const auto end = text.str().rfind(')');
  return end == std::string::npos ? ' ' : text.str().at(end + 2);
}

TEST_F(Mounts, AFilesystemMountedOverAWatchedPathIsAnotherOneWithAHistoryOfItsOwn) {
  LoopDisk below(dir() + "/below.img", path("disk"), "ext4");
  start_watching({"disk"});
  const auto disk = path("disk");
  expect_ballast(disk);
  const auto device = of_disk(disk, ".device");
  const auto size = of_disk(disk, ".total_bytes");
  {
    LoopDisk above(dir() + "/above.img", disk, "xfs");
    expect_soon(disk, ".device == \"" + device + "\"", "false");
    EXPECT_NE(of_disk(disk, ".total_bytes"), size);
    EXPECT_EQ(query("/v1/disk", ".filesystems | length"), "1");
    expect_ballast(disk);
    EXPECT_EQ(run_shell("stat -c %F " + disk + "/.buildwarden/ballast").out, "regular file\n");
    EXPECT_TRUE(above.unmount()) << "nothing holds it";
    expect_soon(disk, ".device", device);
    EXPECT_EQ(of_disk(disk, ".total_bytes"), size);
    above.mount();
    expect_soon(disk, ".device == \"" + device + "\"", "false");
    expect_ballast(disk);
    EXPECT_TRUE(above.unmount());
    EXPECT_TRUE(below.unmount()) << "nor what it covered";
    expect_soon(mounts(), ".ballast_rule", "unfit");
    below.mount();
    expect_ballast(disk);
    EXPECT_EQ(of_disk(disk, ".total_bytes"), size);
    above.mount();
  }
  EXPECT_EQ(stop(), 0);
}

TEST_F(Mounts, ABuildsFolderThatComesAndGoesLendsItsNumbersToNoOtherMount) {
  constexpr int kMounts = 150;
  const LoopDisk disk(dir() + "/disk.img", path("disk"), "ext4");
  const auto builds = path("disk") + "/builds";
  const auto data_root = path("disk") + "/docker";
  for (const auto& folder : {builds, data_root}) ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
  start({.disk = std::string(kMarks) + ", ballast: 0B",
         .state = path("disk") + "/state",
         .data_root = data_root,
         .dry_run = true,  // the machine's own disk is watched, too
         .builds = builds});
  const auto below = path("disk") + " " + size_of(path("disk"));
  const auto root = "/ " + size_of("/");
  const auto pair = [](const std::string& of) {
    return of + " | select(.total_bytes != null) | \"\\(.mount) \\(.total_bytes)\"";
  };
  std::set<std::string> seen;
  const auto note = [&seen](const std::string& lines) {
    std::stringstream text(lines);
    for (std::string line; std::getline(text, line);) seen.insert(line);
  };
  Flicker flicker(builds);
  while (flicker.mounts() < kMounts && !HasFailure()) {
    note(query("/v1/disk", pair(".filesystems[]")));
    note(query("/v1/events?since=0", pair(".events[] | select(.kind == \"disk.level\") | .fields")));
  }
  flicker.stop();
  note(query("/v1/events?since=0", pair(".events[] | select(.kind == \"disk.level\") | .fields")));
  std::cout << flicker.mounts() << " mounts, " << events("disk.level") << " events, busy " << flicker.busy() << "\n";
  const auto mounted = builds + " " + std::to_string(16LL * 1024 * 1024);
  EXPECT_TRUE(seen.contains(mounted)) << "it was there to be seen";
  for (const auto& line : seen) {
    const auto mount = line.substr(0, line.find(' '));
    if (mount == builds) EXPECT_EQ(line, mounted);
    if (mount == path("disk")) EXPECT_EQ(line, below);
    if (mount == "/") EXPECT_EQ(line, root);
    EXPECT_EQ(line.ends_with(" 16777216"), line == mounted) << line;
  }
  EXPECT_EQ(stop(), 0);
}

TEST_F(Mounts, AHungFilesystemIsUnknownAndTheOthersAreWatchedOn) {
  LoopDisk good(dir() + "/good.img", path("good"), "ext4");
  const SilentFuse hung(path("hung"));
  start_watching({"good", "hung"});
  expect_ballast(path("good"));
  const auto unread = ".filesystems[] | select(.paths[] == \"" + path("hung") + "\") | ";
  EXPECT_TRUE(eventually([&] { return query("/v1/disk", unread + ".error") != "null"; }));
  EXPECT_NE(query("/v1/disk", unread + ".error").find("its filesystem hangs"), std::string::npos)
      << query("/v1/disk", ".");
  EXPECT_EQ(query("/v1/disk", unread + ".level"), "unknown");
  EXPECT_NE(query("/readyz", ".").find("hangs"), std::string::npos);
  const auto threads = threads_of(daemon().pid());
  const auto before = of_disk(path("good"), ".measured_at");
  EXPECT_TRUE(eventually([&] { return of_disk(path("good"), ".measured_at") > before; }));
  EXPECT_EQ(of_disk(path("good"), ".level"), "ok");
  EXPECT_LE(threads_of(daemon().pid()), threads) << "no second request hangs beside the first";
  EXPECT_EQ(stop(), 0) << "within 5 s";
}

TEST_F(Mounts, AFrozenFilesystemKeepsTheOthersFromNothing) {
  LoopDisk good(dir() + "/good.img", path("good"), "ext4");
  LoopDisk frozen(dir() + "/frozen.img", path("frozen"), "ext4");
  frozen.freeze();
  start_watching({"good", "frozen"});
  expect_ballast(path("good"));
  expect_soon(path("frozen"), ".ballast_rule", "hangs");
  EXPECT_EQ(of_disk(path("frozen"), ".ballast_bytes"), "0");
  EXPECT_EQ(of_disk(path("frozen"), ".level"), "ok") << "it can be read";
  {
    Filler filler(path("good"), 0);
    filler.fill();
    EXPECT_TRUE(eventually([this] { return events("ballast.given") == 1; }));
  }
  frozen.thaw();
  expect_ballast(path("frozen"));
  EXPECT_EQ(stop(), 0);
}

// A thread that the kernel does not let go keeps the process from being collected, whatever it does.
TEST_F(Mounts, StoppedWhileAFilesystemIsFrozenItEndsAsFarAsTheKernelLetsIt) {
  LoopDisk frozen(dir() + "/frozen.img", path("frozen"), "ext4");
  frozen.freeze();
  start_watching({"frozen"});
  expect_soon(path("frozen"), ".ballast_rule", "hangs");
  daemon().send(SIGTERM);
  const auto ended = [this] { return state_of(daemon().pid()) == 'Z' || !daemon().running(); };
  EXPECT_TRUE(eventually(ended)) << state_of(daemon().pid());
  frozen.thaw();
  EXPECT_EQ(daemon().wait(), 0);
}

}  // namespace
}  // namespace buildwarden::testing
