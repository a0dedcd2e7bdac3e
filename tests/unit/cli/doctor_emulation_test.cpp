#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include "tests/unit/cli/doctor_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class DoctorEmulation : public DoctorTest {
 protected:
  DoctorEmulation() {
    scene_.settings.paths.binfmt_misc = folder() + "/binfmt";
    scene_.meminfo = folder() + "/meminfo";
    ::mkdir((folder() + "/binfmt").c_str(), 0755);
    put("binfmt/status", "enabled\n");
    put("meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\n");
    say_state("proven", "proven", "a program of it ran");
  }
  void put(const std::string& name, const std::string& text) const { std::ofstream(folder() + "/" + name) << text; }
  void say_state(const std::string& state, const std::string& rule, const std::string& reason) {
    say(daemon_, "/v1/emulators",
        format(R"({{"emulators":[{{"platform":"linux/arm64","state":"{}","rule":"{}","reason":"{}"}}]}})", state, rule,
               reason));
  }
  [[nodiscard]] std::string found() const { return complaints(cli::check_emulation(scene_)); }
};

TEST_F(DoctorEmulation, AllInOrder) {
  EXPECT_EQ(found(), "");
  EXPECT_THAT(texts(cli::check_emulation(scene_)), HasSubstr("linux/arm64 is proven: a program of it ran"));
}

TEST_F(DoctorEmulation, OffAsksNothing) {
  scene_.settings.emulation.all_platforms = false;
  scene_.settings.paths.binfmt_misc = "/nowhere";
  daemon_.clear();
  EXPECT_EQ(found(), "");
}

TEST_F(DoctorEmulation, TheKernelsSwitch) {
  put("binfmt/status", "disabled\n");
  EXPECT_THAT(found(), AllOf(HasSubstr("error: "), HasSubstr("is disabled"), HasSubstr("echo 1 > ")));
  scene_.settings.paths.binfmt_misc = folder() + "/none";
  EXPECT_THAT(found(), AllOf(HasSubstr("is not mounted"), HasSubstr("mount -t binfmt_misc")));
}

TEST_F(DoctorEmulation, EachStateHasItsFix) {
  say_state("missing", "missing", "the host has no static QEMU");
  EXPECT_THAT(found(),
              AllOf(HasSubstr("error: linux/arm64 is missing: the host has no"), HasSubstr("qemu-user-static")));
  say_state("unknown", "control", "the host's own program did not run");
  EXPECT_THAT(found(), AllOf(HasSubstr("error: linux/arm64 is unknown"), HasSubstr("noexec")));
  say_state("broken", "broken", "signal 11");
  EXPECT_THAT(found(), HasSubstr("another version of QEMU"));
  say_state("registered", "not_proven", "soon");
  EXPECT_THAT(found(), HasSubstr("warning: linux/arm64 is registered"));
}

TEST_F(DoctorEmulation, AHandlerOfOthersWithoutFIsNamedWhereWeHaveNone) {
  put("binfmt/qemu-aarch64", "enabled\ninterpreter /usr/bin/q\nflags: OC\noffset 0\nmagic 7f\n");
  put("binfmt/qemu-arm", "enabled\ninterpreter /usr/bin/q\nflags: POCF\noffset 0\nmagic 7f\n");
  put("binfmt/qemu-s390x", "disabled\ninterpreter /usr/bin/q\nflags: \noffset 0\nmagic 7f\n");
  EXPECT_THAT(found(), AllOf(HasSubstr("warning: the handler qemu-aarch64"), Not(HasSubstr("qemu-arm ")),
                             Not(HasSubstr("s390x"))));
  put("binfmt/buildwarden-aarch64", "enabled\n");
  EXPECT_EQ(found(), "");
}

TEST_F(DoctorEmulation, LittleMemoryIsSaid) {
  put("meminfo", "MemTotal:        1000000 kB\n");
  EXPECT_THAT(found(), HasSubstr("976.6 MiB of memory are little"));
}

TEST_F(DoctorEmulation, WithoutTheDaemonTheKernelIsLookedAt) {
  daemon_.clear();
  EXPECT_THAT(found(), HasSubstr("warning: whether foreign programs run is not known"));
}

// Placed where this machine has memory for a disk.
TEST_F(DoctorTest, PlacesInMemoryAreNamed) {
  scene_.temp = folder();
  EXPECT_THAT(texts(cli::check_temporary(scene_)), HasSubstr("is on a disk"));
  scene_.temp = "/dev/shm";
  scene_.settings.disk.cache_dirs = {"/dev/shm", folder()};
  EXPECT_THAT(texts(cli::check_temporary(scene_)), HasSubstr("/dev/shm is in memory: "));
  EXPECT_THAT(complaints(cli::check_temporary(scene_)),
              AllOf(HasSubstr("error: /dev/shm, which disk.cache_dirs names"), Not(HasSubstr(folder() + ", which"))));
}

class DoctorReach : public DoctorTest {
 protected:
  DoctorReach() {
    auto& cache = scene_.settings.builders[0].cache;
    cache.type = CacheType::kS3;
    cache.bucket = "b";
    cache.region = "eu-west-1";
    scene_.settings.instance.aws_cli = folder() + "/aws";
  }
  // An AWS CLI that says `errors` and ends with `code`, when it is asked for this bucket.
  void put_aws(const std::string& errors, int code) const {
    const auto path = folder() + "/aws";
    ::unlink(path.c_str());
    std::ofstream(path)
        << "#!/bin/sh\ncase \"$*\" in 's3api head-bucket --bucket b --region eu-west-1 '*) ;; *) exit 9 ;; esac\n"
        << "echo '" << errors << "' >&2\nexit " << code << "\n";
    ::chmod(path.c_str(), 0755);
  }
  [[nodiscard]] std::string found() const { return complaints(cli::check_reach(scene_)); }
};

TEST_F(DoctorReach, TheBucketIsAskedAsTheAgent) {
  put_aws("", 0);
  EXPECT_EQ(found(), "");
  put_aws("An error occurred (403) when calling the HeadBucket operation: Forbidden", 254);
  EXPECT_THAT(found(), AllOf(HasSubstr("may not be used"), HasSubstr("s3:ListBucket")));
  put_aws("An error occurred (404) when calling the HeadBucket operation: Not Found", 254);
  EXPECT_THAT(found(), HasSubstr("no such bucket"));
  put_aws("Could not connect to the endpoint URL", 255);
  EXPECT_THAT(found(), HasSubstr("cannot be reached"));
  put_aws("something new", 255);
  EXPECT_THAT(found(), HasSubstr("exit 255: something new"));
}

TEST_F(DoctorReach, WithoutTheAwsCliItIsNotTried) {
  EXPECT_THAT(found(), HasSubstr("warning: s3: s3://b was not tried"));
}

TEST_F(DoctorReach, TheRegistrysPortIsTried) {
  const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listening, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto& cache = scene_.settings.builders[0].cache;
  cache.type = CacheType::kRegistry;
  cache.ref = format("127.0.0.1:{}/team/cache:main", ntohs(address.sin_port));
  EXPECT_THAT(found(), HasSubstr("cannot be reached"));
  ASSERT_EQ(::listen(listening, 1), 0);
  EXPECT_EQ(found(), "");
  ::close(listening);
}

TEST_F(DoctorReach, NothingElsewhereIsFine) {
  scene_.settings.builders[0].cache = {};
  EXPECT_EQ(texts(cli::check_reach(scene_)), "no builder's cache is elsewhere\n");
}

}  // namespace
}  // namespace buildwarden::testing
