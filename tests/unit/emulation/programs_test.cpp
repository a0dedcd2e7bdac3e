// The programs of all platforms are executed here, by QEMU or natively.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "common/subprocess.h"
#include "daemon/emulation/host_qemu.h"
#include "daemon/emulation/launcher.h"
#include "daemon/emulation/platform.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::emulation {
namespace {

std::string own_machine() {
  utsname host{};
  ::uname(&host);
  return host.machine;
}

struct Programs : ::testing::TestWithParam<Platform> {
  void SetUp() override { ASSERT_NE(::mkdtemp(folder.data()), nullptr); }
  void TearDown() override {
    ::unlink((folder + "/program").c_str());
    ::rmdir(folder.c_str());
  }
  std::string folder = "/tmp/buildwarden-programs-XXXXXX";
};

TEST_P(Programs, EndWithTheCodeThatIsTheirsAlone) {
  const auto path = folder + "/program";
  std::ofstream(path, std::ios::binary) << program_of(GetParam());
  ::chmod(path.c_str(), 0700);
  const auto qemu = "/usr/bin/qemu-" + std::string(GetParam().qemu) + "-static";
  if (::access(qemu.c_str(), X_OK) != 0) GTEST_SKIP() << qemu << " is not installed";
  const auto called = run_program({qemu, "-0", std::string(kCalledBy), path}, std::chrono::seconds{10});
  ASSERT_TRUE(called) << called.error().message();
  EXPECT_EQ(called->exit_code, exit_code_of(GetParam())) << called->signal << called->errors;
  const auto by_path = run_program({qemu, path}, std::chrono::seconds{10});
  ASSERT_TRUE(by_path) << by_path.error().message();
  EXPECT_EQ(by_path->exit_code, exit_code_by_path(GetParam())) << by_path->signal << by_path->errors;
}

TEST_P(Programs, AreSmallAndBearTheMagicThatIsRegistered) {
  const auto program = program_of(GetParam());
  const auto magic = magic_of(GetParam());
  EXPECT_LE(program.size(), 150U);
  EXPECT_EQ(program.substr(0, 20), magic);
  EXPECT_EQ(mask_of(GetParam()).size(), magic.size());
}

INSTANTIATE_TEST_SUITE_P(All, Programs, ::testing::ValuesIn(platforms().begin(), platforms().end()),
                         [](const auto& about) { return std::string(about.param.qemu); });

TEST(Platforms, TheMachinesOwnRunsNatively) {
  const buildwarden::testing::TempFolder temp;
  int tried = 0;
  for (const auto& about : platforms()) {
    if (about.machine != own_machine()) continue;
    const auto path = temp.path() + "/program";
    std::ofstream(path, std::ios::binary) << program_of(about);
    ::chmod(path.c_str(), 0700);
    const auto end = run_program({path}, std::chrono::seconds{10});
    ASSERT_TRUE(end) << end.error().message();
    EXPECT_EQ(end->exit_code, exit_code_by_path(about));
    ++tried;
  }
  EXPECT_EQ(tried, 1);
}

TEST(Platforms, HaveTheMagicOfQemusOwnTable) {
  const auto arm64 = magic_of(*find_platform("linux/arm64"));
  EXPECT_EQ(arm64, std::string("\x7f\x45\x4c\x46\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0", 20));
  const auto s390x = magic_of(*find_platform("linux/s390x"));
  EXPECT_EQ(s390x, std::string("\x7f\x45\x4c\x46\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16", 20));
}

TEST(Platforms, HaveTheMagicAndMaskOfQemusOwnTableWhereTheAbisVersionDiffers) {
  const auto& mips64 = *find_platform("linux/mips64");
  EXPECT_EQ(magic_of(mips64), std::string("\x7f\x45\x4c\x46\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x08", 20));
  EXPECT_EQ(mask_of(mips64),
            std::string("\xff\xff\xff\xff\xff\xff\xff\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff", 20));
  const auto& mips64le = *find_platform("linux/mips64le");
  EXPECT_EQ(magic_of(mips64le), std::string("\x7f\x45\x4c\x46\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x08\0", 20));
  EXPECT_EQ(mask_of(mips64le),
            std::string("\xff\xff\xff\xff\xff\xff\xff\0\xfe\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff", 20));
  const auto& loong64 = *find_platform("linux/loong64");
  EXPECT_EQ(magic_of(loong64), std::string("\x7f\x45\x4c\x46\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x02\x01", 20));
  EXPECT_EQ(mask_of(loong64),
            std::string("\xff\xff\xff\xff\xff\xff\xff\0\0\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff", 20));
  EXPECT_EQ(mask_of(*find_platform("linux/arm64")).substr(8, 1), "\xff");
}

// What an older QEMU or binfmt image lacks would be missing for good on a machine that wants all.
TEST(Platforms, OfMipsAndLoongArchAreWantedByNameAlone) {
  const auto all = all_names();
  EXPECT_EQ(all.size(), 7U);
  for (const auto* name : {"linux/mips64", "linux/mips64le", "linux/loong64"}) {
    EXPECT_EQ(std::count(all.begin(), all.end(), name), 0) << name;
    const auto wanted = desired_platforms({name});
    ASSERT_EQ(wanted.size(), 1U);
    EXPECT_FALSE(wanted[0].handler.empty()) << wanted[0].why_not;
  }
}

TEST(Platforms, AreFoundByEachOfTheirSpellings) {
  EXPECT_EQ(find_platform("linux/arm/v7"), find_platform("arm"));
  EXPECT_EQ(find_platform("arm64")->name, "linux/arm64");
  EXPECT_EQ(find_platform("windows/amd64"), nullptr);
  EXPECT_EQ(find_platform(""), nullptr);
  EXPECT_EQ(platform_of_machine("x86_64")->name, "linux/amd64");
}

TEST(Platforms, HaveExitCodesOfTheirOwn) {
  std::set<int> codes;
  for (const auto& one : platforms()) {
    codes.insert(exit_code_of(one));
    codes.insert(exit_code_by_path(one));
  }
  EXPECT_EQ(codes.size(), 2 * platforms().size());
  EXPECT_FALSE(codes.contains(0));
}

TEST(Proofs, AreReadFromTheLaunchersLines) {
  const auto* own = platform_of_machine(own_machine());
  ASSERT_NE(own, nullptr);
  const auto control = "control exit " + std::to_string(exit_code_of(*own)) + "\n";
  const std::vector<std::string> names = {"linux/arm64", "linux/arm", "linux/s390x"};
  const auto proofs = read_proofs(control + "linux/arm64 exit 137\nlinux/arm error Exec format error\n", names);
  EXPECT_EQ(proofs.at("linux/arm64").result, policy::ProofResult::kRan);
  EXPECT_TRUE(proofs.at("linux/arm64").sees_argv0);
  EXPECT_EQ(proofs.at("linux/arm").result, policy::ProofResult::kFailed);
  EXPECT_EQ(proofs.at("linux/arm").detail, "error Exec format error");
  EXPECT_EQ(proofs.at("linux/s390x").result, policy::ProofResult::kUnknown);
  for (const auto* bad : {"", "control exit 0\n", "control error Operation not permitted\n", "control timeout\n"}) {
    const auto unknown = read_proofs(std::string(bad) + "linux/arm64 error Exec format error\n", names);
    EXPECT_EQ(unknown.at("linux/arm64").result, policy::ProofResult::kUnknown) << bad;
  }
  const auto by_path = read_proofs(control + "linux/arm64 exit 120\n", names).at("linux/arm64");
  EXPECT_EQ(by_path.result, policy::ProofResult::kRan);
  EXPECT_FALSE(by_path.sees_argv0);
  EXPECT_EQ(read_proofs(control + "linux/arm64 exit 0\n", names).at("linux/arm64").result,
            policy::ProofResult::kFailed);
}

}  // namespace
}  // namespace buildwarden::emulation
