#include "daemon/state/lease_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "daemon/state/lease_json.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::state {
namespace {

ports::JobFolder folder(const std::string& path) {
  return {.path = path,
          .device = 18'446'744'073'709'551'615U,
          .inode = 9'007'199'254'740'993U,
          .uid = 1000,
          .ended = WallTime{Duration{7'000}}};
}

ports::Lease lease() {
  ports::Lease lease;
  lease.id = "job \"1\"\n\xc3\xa4";
  lease.agent = "agent-1";
  lease.pipeline = "web";
  lease.checkout_path = "/builds/a/b/c";
  lease.uid = 4'294'967'294U;
  lease.pid = 4711;
  lease.pid_started = 18'446'744'073'709'551'615U;
  lease.builders = {"s3", "arm"};
  lease.need_bytes = 5 * kGiB;
  lease.free_at_start = 50 * kGiB;
  lease.started_wall = WallTime{Duration{1'700'000'000'123}};
  lease.started = BootTime{Duration{5'000}};
  lease.expires = BootTime{Duration{6'000}};
  lease.ttl = Duration{90'000};
  lease.docker_config = folder("/var/tmp/tmp.aB3");
  lease.alive = BootTime{Duration{5'500}};
  lease.reserved_bytes = 4 * kGiB;
  lease.reserved_from_all = 3 * kGiB;
  lease.written_bytes = kGiB;
  lease.wrote = BootTime{Duration{5'700}};
  return lease;
}

class LeaseFileTest : public ::testing::Test {
 protected:
  LeaseFileTest() { boot("boot-1\n"); }
  void boot(const std::string& id) { ASSERT_TRUE(write_file_atomically(folder_.path() + "/boot_id", id)); }
  [[nodiscard]] std::string file() const { return folder_.path() + "/run/leases.json"; }
  [[nodiscard]] std::size_t set_aside() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/run")) {
      if (entry.path().filename().string().starts_with("leases.json.damaged-")) ++count;
    }
    return count;
  }

  testing::TempFolder folder_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  LeaseFile leases_{LeaseFile::Places{folder_.path() + "/run", folder_.path() + "/boot_id"}, clock_, journal_};
};

TEST_F(LeaseFileTest, EveryFieldComesBack) {
  EXPECT_TRUE(leases_.load_leases().leases.empty());
  ASSERT_TRUE(leases_.save_leases({{lease(), ports::Lease{}}, {folder("/tmp/tmp.left")}}));
  const auto book = leases_.load_leases();
  const auto& loaded = book.leases;
  ASSERT_EQ(loaded.size(), 2U);
  const auto wanted = lease();
  EXPECT_EQ(loaded[0].id, wanted.id);
  EXPECT_EQ(loaded[0].agent, wanted.agent);
  EXPECT_EQ(loaded[0].pipeline, wanted.pipeline);
  EXPECT_EQ(loaded[0].checkout_path, wanted.checkout_path);
  EXPECT_EQ(loaded[0].uid, wanted.uid);
  EXPECT_EQ(loaded[0].pid, wanted.pid);
  EXPECT_EQ(loaded[0].pid_started, wanted.pid_started);
  EXPECT_EQ(loaded[0].builders, wanted.builders);
  EXPECT_EQ(loaded[0].need_bytes, wanted.need_bytes);
  EXPECT_EQ(loaded[0].free_at_start, wanted.free_at_start);
  EXPECT_EQ(loaded[0].started_wall, wanted.started_wall);
  EXPECT_EQ(loaded[0].started, wanted.started);
  EXPECT_EQ(loaded[0].expires, wanted.expires);
  EXPECT_EQ(loaded[0].ttl, wanted.ttl);
  EXPECT_EQ(loaded[0].alive, wanted.alive);
  EXPECT_EQ(loaded[0].reserved_bytes, wanted.reserved_bytes);
  EXPECT_EQ(loaded[0].reserved_from_all, wanted.reserved_from_all);
  EXPECT_EQ(loaded[0].written_bytes, wanted.written_bytes);
  EXPECT_EQ(loaded[0].wrote, wanted.wrote);
  ASSERT_TRUE(loaded[0].docker_config);
  EXPECT_EQ(loaded[0].docker_config->path, "/var/tmp/tmp.aB3");
  EXPECT_FALSE(loaded[1].docker_config);
  ASSERT_EQ(book.left_folders.size(), 1U);
  const auto& left = book.left_folders[0];
  EXPECT_EQ(left.path, "/tmp/tmp.left");
  EXPECT_EQ(left.device, folder("").device);
  EXPECT_EQ(left.inode, folder("").inode);
  EXPECT_EQ(left.uid, 1000U);
  EXPECT_EQ(left.ended, folder("").ended);
  EXPECT_TRUE(journal_.events.empty());
  struct stat info{};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

// Issue 14: more than could be read again would have cost every lease at the next start.
TEST_F(LeaseFileTest, AsManyAndAsLargeAsTheyMayBeComeBack) {
  ports::LeaseBook book;
  for (int i = 0; i < 256; ++i) {
    book.leases.push_back(lease());
    book.leases.back().checkout_path = std::string(4096, '"');
  }
  for (int i = 0; i < 1000; ++i) book.left_folders.push_back(folder("/var/tmp/tmp.aB3aB3aB3a"));
  ASSERT_TRUE(leases_.save_leases(book));
  const auto loaded = leases_.load_leases();
  EXPECT_EQ(loaded.leases.size(), 256U);
  EXPECT_EQ(loaded.left_folders.size(), 1000U);
}

TEST_F(LeaseFileTest, AnEarlierVersionKnewNeitherTimesToLiveNorFoldersNorReservations) {
  ports::Lease old = lease();
  old.docker_config.reset();
  auto text = write_leases(LeaseDocument{"boot-1", {{old}, {}}});
  for (const std::string gone : {R"(,"ttl_ms":90000)", R"(,"alive_boot_ms":5500)", R"(,"reserved_bytes":4294967296)",
                                 R"(,"reserved_from_all":3221225472)", R"(,"written_bytes":1073741824)",
                                 R"(,"wrote_boot_ms":5700)", R"(,"left_folders":[])"}) {
    const auto at = text.find(gone);
    ASSERT_NE(at, std::string::npos) << text;
    text.erase(at, gone.size());
  }
  ASSERT_TRUE(leases_.save_leases({}));
  ASSERT_TRUE(write_file_atomically(file(), text));
  const auto book = leases_.load_leases();
  ASSERT_EQ(book.leases.size(), 1U);
  EXPECT_EQ(book.leases[0].ttl, Duration{0});
  EXPECT_EQ(book.leases[0].alive, old.started);
  EXPECT_EQ(book.leases[0].reserved_bytes, old.need_bytes);
  EXPECT_EQ(book.leases[0].written_bytes, 0);
}

TEST_F(LeaseFileTest, LeasesOfAnotherBootAreSetAside) {
  ASSERT_TRUE(leases_.save_leases({{lease()}, {}}));
  boot("boot-2\n");
  EXPECT_TRUE(leases_.load_leases().leases.empty());
  EXPECT_EQ(set_aside(), 1U);
  ASSERT_EQ(journal_.count("state.set_aside"), 1U);
  EXPECT_NE(journal_.last("state.set_aside").reason.find("of another boot, boot-1"), std::string::npos);
  EXPECT_TRUE(leases_.load_leases().leases.empty());
  EXPECT_EQ(journal_.count("state.set_aside"), 1U);
}

TEST_F(LeaseFileTest, AFileTornAtAnyByteIsSetAside) {
  const auto whole = write_leases(LeaseDocument{"boot-1", {{lease()}, {}}});
  ASSERT_TRUE(leases_.save_leases({}));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    ASSERT_TRUE(write_file_atomically(file(), whole.substr(0, length)));
    EXPECT_TRUE(leases_.load_leases().leases.empty()) << length;
    ASSERT_EQ(journal_.count("state.set_aside"), length + 1);
    ASSERT_FALSE(std::filesystem::exists(file())) << length;
  }
  ASSERT_TRUE(write_file_atomically(file(), whole));
  EXPECT_EQ(leases_.load_leases().leases.size(), 1U);
}

TEST_F(LeaseFileTest, ADocumentThatIsNotOursIsSetAside) {
  ASSERT_TRUE(leases_.save_leases({}));
  for (const auto* text : {"[]", "{}", R"({"version":2,"boot_id":"boot-1","leases":[]})",
                           R"({"version":1,"boot_id":"boot-1","leases":[{"id":7}]})",
                           R"({"version":1,"boot_id":"boot-1","leases":[]} x)"}) {
    journal_.events.clear();
    ASSERT_TRUE(write_file_atomically(file(), text));
    EXPECT_TRUE(leases_.load_leases().leases.empty()) << text;
    EXPECT_EQ(journal_.count("state.set_aside"), 1U) << text;
  }
}

TEST_F(LeaseFileTest, AnUnknownBootIsAnError) {
  ASSERT_TRUE(leases_.save_leases({{lease()}, {}}));
  std::filesystem::remove(folder_.path() + "/boot_id");
  EXPECT_FALSE(leases_.save_leases({}));
  EXPECT_TRUE(leases_.load_leases().leases.empty());
  EXPECT_EQ(journal_.count("state.set_aside"), 1U);
}

TEST_F(LeaseFileTest, AFailedSaveLeavesTheOldFile) {
  ASSERT_TRUE(leases_.save_leases({{lease()}, {}}));
  boot("");
  EXPECT_FALSE(leases_.save_leases({}));
  boot("boot-1\n");
  EXPECT_EQ(leases_.load_leases().leases.size(), 1U);
}

}  // namespace
}  // namespace buildwarden::state
