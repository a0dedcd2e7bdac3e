#include "daemon/builders/images.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_containers.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::builders {
namespace {

using buildwarden::testing::run_on;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ImagesTest : public ::testing::Test {
 protected:
  std::string archive(const std::string& name, const std::string& reference = "") {
    const auto path = folder_.path() + "/" + name;
    std::ofstream(path) << "archive";
    if (!reference.empty()) engine_.archives[path] = reference;
    return path;
  }
  Result<std::string> provide(const std::string& reference = "kit:1") {
    engine_.calls.clear();
    return run_on(loop_, provider_.provide(reference));
  }

  buildwarden::testing::TempFolder folder_;
  boost::asio::io_context loop_;
  buildwarden::testing::FakeContainers engine_;
  buildwarden::testing::FakeJournal journal_;
  buildwarden::testing::FakeClock clock_;
  ImageProvider provider_{{engine_, engine_, journal_, clock_}, folder_.path(), [](Duration) { return Duration{0}; }};
};

TEST_F(ImagesTest, TakesWhatIsThere) {
  archive("a.tar", "kit:1");
  engine_.images["kit:1"] = "sha256:present";
  EXPECT_EQ(*provide(), "sha256:present");
  EXPECT_THAT(engine_.calls, IsEmpty());
}

TEST_F(ImagesTest, LoadsArchivesBeforeItPulls) {
  const auto first = archive("a.tar", "other:1");
  archive("notes.txt", "kit:1");
  const auto second = archive("b.tar", "kit:1");
  EXPECT_EQ(*provide(), "sha256:of-kit:1");
  EXPECT_THAT(engine_.calls, ElementsAre("load " + first, "load " + second));
  engine_.images.clear();
  EXPECT_TRUE(provide());
  EXPECT_THAT(engine_.calls, ElementsAre("load " + second)) << "the first is known not to hold it";
  std::ofstream(first) << "a newer archive";
  engine_.archives[first] = "kit:1";
  engine_.images.clear();
  EXPECT_TRUE(provide());
  EXPECT_THAT(engine_.calls, ElementsAre("load " + first)) << "a changed file is tried again";
}

TEST_F(ImagesTest, GoesOnPastABrokenArchiveButNotPastALostEngine) {
  const auto broken = archive("a.tar");
  engine_.fail.emplace("load " + broken, Error(Errc::kInvalid, "not a tar"));
  EXPECT_TRUE(provide());
  EXPECT_THAT(engine_.calls, ElementsAre("load " + broken, "pull kit:1"));
  EXPECT_THAT(journal_.events.front().reason, HasSubstr("not a tar"));
  engine_.images.clear();
  const auto next = archive("b.tar");
  engine_.fail.emplace("load " + next, Error(Errc::kUnavailable, "gone"));
  EXPECT_EQ(provide().error().code(), Errc::kUnavailable);
  EXPECT_THAT(engine_.calls, ElementsAre("load " + next));
}

TEST_F(ImagesTest, PausesLongerAfterEachFailedPull) {
  engine_.fail.emplace("pull kit:1", Error(Errc::kUnavailable, "429 too many requests"));
  for (const int seconds : {5, 10, 20, 40, 80, 160, 300, 300}) {
    EXPECT_THAT(provide().error().message(), HasSubstr("429"));
    EXPECT_THAT(engine_.calls, ElementsAre("pull kit:1"));
    clock_.advance(std::chrono::seconds{seconds} - Duration{1});
    EXPECT_THAT(provide().error().message(), HasSubstr("next pull"));
    EXPECT_THAT(engine_.calls, IsEmpty()) << "within the pause of " << seconds;
    clock_.advance(Duration{1});
  }
  engine_.fail.clear();
  EXPECT_TRUE(provide());
  engine_.images.clear();
  EXPECT_TRUE(provide()) << "a success ends the pause";
}

TEST_F(ImagesTest, BringsOneAtATime) {
  const auto path = archive("a.tar", "kit:1");
  Result<std::string> second = Error(Errc::kIo, "not run");
  const auto both = [](ImageProvider* provider, Result<std::string>* into) -> boost::asio::awaitable<void> {
    *into = co_await provider->provide("kit:1");
  };
  buildwarden::testing::Background other(loop_, both(&provider_, &second));
  EXPECT_TRUE(provide());
  buildwarden::testing::run_until(loop_, [&] { return other.ended(); });
  EXPECT_TRUE(second);
  EXPECT_THAT(engine_.calls, ElementsAre("load " + path));
}

}  // namespace
}  // namespace buildwarden::builders
