// A folder that is packed, one into which is unpacked, and something outside that nobody may touch.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/format.h"
#include "daemon/seeds/packer.h"
#include "daemon/seeds/unpacker.h"
#include "tests/support/command.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/seeds/tree_samples.h"

namespace buildwarden::seeds {

class ArchiveFixture : public ::testing::Test {
 protected:
  static constexpr std::size_t kParts = 4;

  ArchiveFixture() {
    for (const auto* name : {"from", "to", "parts", "outside"}) std::filesystem::create_directory(path(name));
    std::ofstream(path("outside/file")) << "precious";
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  [[nodiscard]] std::string part(std::size_t at) const { return path(format("parts/{}", at)); }

  [[nodiscard]] Result<Packed> pack_all(
      Bytes most = kGiB, std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max()) {
    return pack_with({most, {}, policy::kMostSeedEntries, kMostKeptNames, until});
  }
  [[nodiscard]] Result<Packed> pack_with(const PackOptions& options) {
    std::vector<UniqueFd> files;
    std::vector<int> descriptors;
    for (std::size_t at = 0; at < kParts; ++at) {
      files.push_back(create_file(part(at)));
      descriptors.push_back(files.back().get());
    }
    const auto from = open_folder(path("from"));
    return pack(from.get(), descriptors, options);
  }
  [[nodiscard]] Result<void> unpack_all(const Packed& packed) {
    const auto to = open_folder(path("to"));
    Unpacker unpacker(to.get(), {packed.bytes, packed.entries});
    for (std::size_t at = 0; at < kParts; ++at) {
      const UniqueFd file(::open(part(at).c_str(), O_RDONLY | O_CLOEXEC));
      auto read = at == 0 ? unpacker.folders(file.get()) : unpacker.files(file.get());
      if (!read) return std::move(read).error();
      EXPECT_EQ(read->sha256, packed.parts[at].sha256);
      EXPECT_EQ(read->bytes, packed.parts[at].bytes);
    }
    return unpacker.finish();
  }
  // Folders of one archive, then files of another, with generous limits unless said otherwise.
  [[nodiscard]] Result<void> unpack_hostile(const std::function<void(HostileArchive&)>& folders,
                                            const std::function<void(HostileArchive&)>& files,
                                            Unpacker::Limits limits = {kGiB, 1'000}) {
    HostileArchive first(part(0));
    first.add(".", AE_IFDIR);
    if (folders) folders(first);
    first.close();
    HostileArchive second(part(1));
    if (files) files(second);
    second.close();
    const auto to = open_folder(path("to"));
    Unpacker unpacker(to.get(), limits);
    const UniqueFd one(::open(part(0).c_str(), O_RDONLY | O_CLOEXEC));
    auto read = unpacker.folders(one.get());
    if (!read) return std::move(read).error();
    const UniqueFd two(::open(part(1).c_str(), O_RDONLY | O_CLOEXEC));
    read = unpacker.files(two.get());
    if (!read) return std::move(read).error();
    return {};
  }
  void expect_refused(const Result<void>& done, const std::string& why) {
    ASSERT_FALSE(done) << why;
    EXPECT_NE(done.error().code(), Errc::kIo) << done.error().message();
    EXPECT_NE(done.error().message().find(why), std::string::npos) << done.error().message();
    expect_outside_untouched();
  }
  void expect_outside_untouched() {
    EXPECT_EQ(testing::read_text(path("outside/file")), "precious");
    EXPECT_EQ(
        std::distance(std::filesystem::directory_iterator(path("outside")), std::filesystem::directory_iterator()), 1);
    EXPECT_EQ(std::filesystem::hard_link_count(path("outside/file")), 1U);
  }

  testing::TempFolder folder_;
};

}  // namespace buildwarden::seeds
