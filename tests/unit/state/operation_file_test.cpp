#include "daemon/state/operation_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "daemon/state/operation_json.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::state {
namespace {

ports::StoredOperation operation() {
  ports::StoredOperation made;
  made.id = "0123456789abcdef";
  made.kind = "job";
  made.owner = 4'294'967'294U;
  made.started = {WallTime{Duration{1'700'000'000'123}}, BootTime{Duration{5'000}}};
  made.finished = Now{WallTime{Duration{1'700'000'001'000}}, BootTime{Duration{5'877}}};
  made.interrupted = true;
  made.status = 507;
  made.content_type = "application/problem+json";
  made.body = "{\"detail\":\"\xff\n\"}";
  return made;
}

class OperationFileTest : public ::testing::Test {
 protected:
  OperationFileTest() { boot("boot-1\n"); }
  void boot(const std::string& id) { ASSERT_TRUE(write_file_atomically(folder_.path() + "/boot_id", id)); }
  [[nodiscard]] std::string file() const { return folder_.path() + "/run/operations.json"; }

  testing::TempFolder folder_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  OperationFile operations_{{folder_.path() + "/run", folder_.path() + "/boot_id"}, clock_, journal_};
};

TEST_F(OperationFileTest, EveryFieldComesBack) {
  EXPECT_TRUE(operations_.load_operations().empty());
  ports::StoredOperation running;
  running.id = "running";
  ASSERT_TRUE(operations_.save_operations({operation(), running}));
  const auto loaded = operations_.load_operations();
  ASSERT_EQ(loaded.size(), 2U);
  const auto wanted = operation();
  EXPECT_EQ(loaded[0].id, wanted.id);
  EXPECT_EQ(loaded[0].kind, wanted.kind);
  EXPECT_EQ(loaded[0].owner, wanted.owner);
  EXPECT_EQ(loaded[0].started.wall, wanted.started.wall);
  EXPECT_EQ(loaded[0].started.boot, wanted.started.boot);
  EXPECT_EQ(loaded[0].finished->wall, wanted.finished->wall);
  EXPECT_EQ(loaded[0].finished->boot, wanted.finished->boot);
  EXPECT_TRUE(loaded[0].interrupted);
  EXPECT_EQ(loaded[0].status, 507);
  EXPECT_EQ(loaded[0].content_type, wanted.content_type);
  EXPECT_EQ(loaded[0].body, wanted.body);
  EXPECT_FALSE(loaded[1].finished);
  EXPECT_TRUE(journal_.events.empty());
  struct stat info{};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(OperationFileTest, ThoseOfAnotherBootAreNobodys) {
  ASSERT_TRUE(operations_.save_operations({operation()}));
  boot("boot-2\n");
  EXPECT_TRUE(operations_.load_operations().empty());
  EXPECT_TRUE(journal_.events.empty());
}

TEST_F(OperationFileTest, ADamagedFileIsSetAside) {
  const auto whole = write_operations({"boot-1", {operation()}});
  ASSERT_TRUE(operations_.save_operations({}));
  const std::string torn = whole.substr(0, whole.size() / 2);
  for (const auto* text : {torn.c_str(), "", "[]", "{}", R"({"version":2,"boot_id":"boot-1","operations":[]})",
                           R"({"version":1,"boot_id":"boot-1","operations":[{"id":7}]})"}) {
    journal_.events.clear();
    ASSERT_TRUE(write_file_atomically(file(), text));
    EXPECT_TRUE(operations_.load_operations().empty()) << text;
    EXPECT_EQ(journal_.count("state.set_aside"), 1U) << text;
    EXPECT_FALSE(std::filesystem::exists(file()));
  }
  ASSERT_TRUE(write_file_atomically(file(), whole));
  EXPECT_EQ(operations_.load_operations().size(), 1U);
}

TEST_F(OperationFileTest, OneThatCannotBeReadStaysWhereItIs) {
  std::filesystem::create_directories(file());
  EXPECT_TRUE(operations_.load_operations().empty());
  EXPECT_EQ(journal_.count("state.unreadable"), 1U);
  EXPECT_TRUE(std::filesystem::exists(file()));
  EXPECT_FALSE(operations_.save_operations({}));
}

}  // namespace
}  // namespace buildwarden::state
