#include "daemon/emulation/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/fake_containers.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::emulation {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kTagged = "tonistiigi/binfmt:qemu-v7.0.0-28";
constexpr const char* kPinned = "tonistiigi/binfmt:qemu-v7.0.0-28@sha256:66e1";

class NoOutput final : public ports::ContainerOutput {
 public:
  ports::Async<ports::ContainerControl::ExecResult> await_container(std::string,
                                                                    ports::ContainerControl::ExecLimits) override {
    co_return Error(Errc::kIo, "nothing runs here");
  }
};

class BinfmtArchive : public ::testing::Test {
 protected:
  std::string provided(const char* image) {
    auto name = testing::run_on(loop_, registrar_.provide(image));
    return name ? *name : name.error().message();
  }
  void save_archive(const std::string& reference) {
    const auto path = folder_.path() + "/tonistiigi-binfmt-qemu-v7.0.0-28.tar";
    std::ofstream(path) << "archive";
    engine_.archives[path] = reference;
  }

  boost::asio::io_context loop_;
  testing::TempFolder folder_;
  testing::FakeContainers engine_;
  NoOutput output_;
  ImageRegistrar registrar_{{engine_, engine_, engine_, output_, folder_.path()}};
};

TEST_F(BinfmtArchive, OneThatIsThereIsTakenAsItIs) {
  save_archive(kTagged);
  engine_.images[kPinned] = "sha256:1";
  EXPECT_EQ(provided(kPinned), kPinned);
  EXPECT_THAT(engine_.calls, IsEmpty());
}

TEST_F(BinfmtArchive, ItsArchiveIsLoadedRatherThanPulled) {
  save_archive(kTagged);
  EXPECT_EQ(provided(kTagged), kTagged);
  EXPECT_THAT(engine_.calls, ElementsAre("load " + folder_.path() + "/" + archive_name(kTagged)));
}

TEST_F(BinfmtArchive, AnArchiveKeepsNoDigest) {
  save_archive(kTagged);
  EXPECT_EQ(provided(kPinned), kTagged);
}

TEST_F(BinfmtArchive, WithoutAUsefulArchiveItIsPulled) {
  EXPECT_EQ(provided(kPinned), kPinned);
  EXPECT_THAT(engine_.calls, ElementsAre(std::string("pull ") + kPinned));
  engine_.images.clear();
  engine_.calls.clear();
  save_archive("something/else:1");
  EXPECT_EQ(provided(kTagged), kTagged);
  EXPECT_EQ(engine_.calls.back(), std::string("pull ") + kTagged);
}

// packaging/ami/provision makes the same names.
TEST(ArchiveName, HasNothingOddInIt) {
  EXPECT_EQ(archive_name(kPinned), "tonistiigi-binfmt-qemu-v7.0.0-28.tar");
  EXPECT_EQ(archive_name("localhost:5000/a/b_c"), "localhost-5000-a-b_c.tar");
}

}  // namespace
}  // namespace buildwarden::emulation
