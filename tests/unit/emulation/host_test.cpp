// QEMU on the host, the image's answer, and what is ours to remove.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/platforms.h"
#include "daemon/emulation/binfmt.h"
#include "daemon/emulation/host_qemu.h"
#include "daemon/emulation/image.h"

namespace buildwarden::emulation {
namespace {

struct Folder : ::testing::Test {
  void SetUp() override { ASSERT_NE(::mkdtemp(path.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(path); }
  void put(const std::string& name, const std::string& text) const { std::ofstream(path + "/" + name) << text; }
  std::string path = "/tmp/buildwarden-host-XXXXXX";
};

TEST_F(Folder, AStaticQemuIsTakenAndADynamicOneIsNot) {
  const auto& arm64 = *find_platform("linux/arm64");
  EXPECT_EQ(find_host_qemu(arm64, {path}).error().code(), Errc::kNotFound);
  std::filesystem::copy("/bin/ls", path + "/qemu-aarch64");
  const auto unfit = find_host_qemu(arm64, {path});
  ASSERT_FALSE(unfit);
  EXPECT_NE(unfit.error().message().find("needs a loader"), std::string::npos) << unfit.error().message();
  put("qemu-aarch64-static", program_of(arm64));
  EXPECT_EQ(*find_host_qemu(arm64, {path}), path + "/qemu-aarch64-static");
  put("qemu-aarch64-static", "#!/bin/sh\n");
  EXPECT_FALSE(find_host_qemu(arm64, {path}));
}

TEST_F(Folder, WithoutTheKernelsFilesItIsNotMounted) {
  EXPECT_NE(read_entries(path).trouble, "");
  put("register", "");
  put("status", "enabled\n");
  put("good", "enabled\ninterpreter /q\nflags: F\noffset 0\nmagic 7f\n");
  put("bad", "what\n");
  const auto seen = read_entries(path);
  EXPECT_EQ(seen.trouble, "");
  ASSERT_EQ(seen.entries.size(), 1U);
  EXPECT_EQ(seen.entries[0].name, "good");
  EXPECT_EQ(seen.broken, std::vector<std::string>{"bad"});
  put("status", "disabled\n");
  EXPECT_NE(read_entries(path).trouble, "");
}

TEST_F(Folder, OnlyOurOwnHandlersAreRemoved) {
  put("qemu-aarch64", "theirs");
  for (const std::string name : {"qemu-aarch64", "status", "register", "buildwarden-/../qemu-aarch64", ""}) {
    EXPECT_EQ(unregister_entry(path, name).error().code(), Errc::kInvalid) << name;
  }
  EXPECT_TRUE(unregister_entry(path, "buildwarden-aarch64"));
}

TEST(Platforms, AreThoseThatTheConfigurationTakes) {
  std::vector<std::string> names;
  for (const auto& platform : platforms()) names.emplace_back(platform.name);
  std::vector<std::string> taken;
  for (const auto architecture : config::kArchitectures) taken.push_back("linux/" + std::string(architecture));
  EXPECT_EQ(names, taken);
}

TEST(BinfmtImage, SaysWhatItSupports) {
  const auto answer = decode_answer(R"({"supported":["linux/amd64","linux/arm64"],"emulators":["qemu-aarch64"]})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->supported.size(), 2U);
  EXPECT_EQ(answer->emulators, std::vector<std::string>{"qemu-aarch64"});
  EXPECT_TRUE(decode_answer(R"({"supported":["linux/amd64"],"emulators":null})"));
  for (const auto* bad : {"", "error", "[]", R"({"supported":"all"})", R"({"supported":[1]})"}) {
    EXPECT_FALSE(decode_answer(bad)) << bad;
  }
}

}  // namespace
}  // namespace buildwarden::emulation
