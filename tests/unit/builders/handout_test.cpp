#include "daemon/builders/handout.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "daemon/builders/remote_cache.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::builders {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

Handout two_builders() {
  BuilderSettings s3;
  s3.aliases = {"shared"};
  BuilderSettings arm;
  arm.name = "arm";
  return Handout({s3, arm}, PathSettings{});
}

ports::GrantRequest request(std::string job) {
  ports::GrantRequest wanted;
  wanted.job = std::move(job);
  return wanted;
}

TEST(Handout, GivesAnInstanceFileThatBuildxReads) {
  auto handout = two_builders();
  const auto grant = handout.grant(request("1"));
  ASSERT_TRUE(grant);
  ASSERT_EQ(grant->files.size(), 2U);
  EXPECT_EQ(grant->files[0].path, "instances/buildwarden-s3");
  EXPECT_EQ(grant->files[0].mode, 0600U);
  EXPECT_EQ(
      grant->files[0].content,
      R"({"Name":"buildwarden-s3","Driver":"remote","Nodes":[{"Name":"buildwarden-s30","Endpoint":"unix:///run/buildwarden/builders/s3/buildkitd.sock"}],"Dynamic":false})");
  EXPECT_EQ(grant->files[1].path, "instances/buildwarden-arm");
  EXPECT_THAT(grant->env, IsEmpty()) << "BUILDX_BUILDER for everyone would break docker build && docker run";
}

TEST(Handout, LoadsIntoTheEngineOnlyWhenAsked) {
  auto handout = two_builders();
  auto wanted = request("1");
  wanted.builders = {"arm"};
  wanted.load = true;
  const auto grant = handout.grant(wanted);
  ASSERT_TRUE(grant);
  EXPECT_EQ(
      grant->files[0].content,
      R"({"Name":"buildwarden-arm","Driver":"remote","Nodes":[{"Name":"buildwarden-arm0","Endpoint":"unix:///run/buildwarden/builders/arm/buildkitd.sock","DriverOpts":{"default-load":"true"}}],"Dynamic":false})")
      << "as buildx 0.29 writes and reads it";
}

TEST(Handout, UsesABuilderOnlyWhenAsked) {
  auto handout = two_builders();
  auto wanted = request("1");
  wanted.builders = {"arm"};
  wanted.use = "shared";
  const auto grant = handout.grant(wanted);
  ASSERT_TRUE(grant);
  EXPECT_THAT(grant->env, ElementsAre(Pair("BUILDX_BUILDER", "buildwarden-s3")));
  EXPECT_EQ(grant->files.size(), 2U) << "the one in use is granted too";
}

TEST(Handout, NamesWhatIsConfigured) {
  auto handout = two_builders();
  auto wanted = request("1");
  wanted.builders = {"s3", "nope"};
  const auto grant = handout.grant(wanted);
  ASSERT_FALSE(grant);
  EXPECT_EQ(grant.error().code(), Errc::kInvalid);
  EXPECT_EQ(grant.error().message(), "builders: no builder \"nope\" is configured; there are s3, shared, arm");
  EXPECT_THAT(handout.leases_on("s3"), IsEmpty()) << "a refused request holds nothing";
  wanted = request("1");
  wanted.use = "nope";
  EXPECT_THAT(handout.grant(wanted).error().message(), HasSubstr("use: no builder"));
}

TEST(Handout, TellsOfABuilderThatItsLastLeaseLeft) {
  auto handout = two_builders();
  std::vector<std::string> left;
  handout.on_left([&](const std::string& builder) { left.push_back(builder); });
  auto one = request("1");
  one.builders = {"s3"};
  ASSERT_TRUE(handout.grant(one));
  ASSERT_TRUE(handout.grant(request("2")));
  handout.release("2");
  EXPECT_THAT(left, ElementsAre("arm"));
  handout.release("1");
  handout.release("1");
  EXPECT_THAT(left, ElementsAre("arm", "s3"));
}

class ReusedContext : public ::testing::Test {
 protected:
  static ports::GrantRequest wanted() {
    auto wanted = request("1");
    wanted.reuse_context = true;
    wanted.pipeline = "web";
    wanted.checkout_path = "/builds/agent-1/org/web";
    return wanted;
  }
  // "" when no file was handed out.
  std::string id(const ports::GrantRequest& from) {
    testing::run_void(loop_, handout_.prepare(from));
    const auto grant = handout_.grant(from);
    if (!grant) return grant.error().message();
    note_ = grant->note;
    for (const auto& file : grant->files) {
      if (file.path != ".buildNodeID") continue;
      EXPECT_EQ(file.mode, 0600U);
      return file.content;
    }
    return "";
  }

  testing::TempFolder folder_;
  testing::FakeJournal journal_;
  WorkerPool workers_{1};
  boost::asio::io_context loop_;
  ContextIds contexts_{folder_.path() + "/state", {workers_, journal_}};
  Handout handout_{{BuilderSettings{}}, PathSettings{}, &contexts_};
  std::string note_;
};

TEST_F(ReusedContext, IsOfThePipelineAndTheCheckoutOnThisHost) {
  const auto first = id(wanted());
  EXPECT_THAT(first, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(note_, "");
  auto other = wanted();
  other.job = "another job";
  EXPECT_EQ(id(other), first);
  other.pipeline = "web2";
  EXPECT_NE(id(other), first);
  other = wanted();
  other.checkout_path += "2";
  EXPECT_NE(id(other), first);
  ContextIds again(folder_.path() + "/state", {workers_, journal_});
  testing::run_void(loop_, again.prepare());
  EXPECT_EQ(again.of("web", "/builds/agent-1/org/web"), first) << "the next daemon has the same secret";
  ContextIds elsewhere(folder_.path() + "/other", {workers_, journal_});
  testing::run_void(loop_, elsewhere.prepare());
  EXPECT_NE(elsewhere.of("web", "/builds/agent-1/org/web"), first);
}

TEST_F(ReusedContext, NeedsBothNamesAndTheWish) {
  for (const bool with_pipeline : {false, true}) {
    auto lacking = wanted();
    (with_pipeline ? lacking.checkout_path : lacking.pipeline).clear();
    EXPECT_EQ(id(lacking), "");
    EXPECT_THAT(note_, HasSubstr("needs pipeline and checkout_path"));
  }
  auto without = wanted();
  without.reuse_context = false;
  EXPECT_EQ(id(without), "");
  EXPECT_EQ(note_, "");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/state")) << "no secret before somebody needs it";
}

TEST_F(ReusedContext, IsLeftOutWhereNoSecretCanBeMade) {
  ASSERT_TRUE(write_file_atomically(folder_.path() + "/state", "a file in the way"));
  EXPECT_EQ(id(wanted()), "");
  EXPECT_THAT(note_, HasSubstr("secret is not there"));
  EXPECT_EQ(id(wanted()), "");
  EXPECT_EQ(journal_.count("job.context_not_reused"), 1U) << "told once, not job by job";
  std::filesystem::remove(folder_.path() + "/state");
  EXPECT_THAT(id(wanted()), MatchesRegex("[0-9a-f]{16}")) << "tried again at the next need";
}

TEST(Handout, KnowsWhoHoldsWhich) {
  auto handout = two_builders();
  ASSERT_TRUE(handout.grant(request("2")));
  auto one = request("1");
  one.builders = {"shared"};
  ASSERT_TRUE(handout.grant(one));
  EXPECT_THAT(handout.leases_on("s3"), ElementsAre("1", "2"));
  EXPECT_THAT(handout.leases_on("arm"), ElementsAre("2"));
  one.builders = {"arm"};
  ASSERT_TRUE(handout.grant(one));
  EXPECT_THAT(handout.leases_on("s3"), ElementsAre("2")) << "a second grant replaces the first";
  handout.release("2");
  handout.release("unknown");
  EXPECT_THAT(handout.leases_on("s3"), IsEmpty());
  EXPECT_THAT(handout.leases_on("arm"), ElementsAre("1"));
}

CacheSettings s3_cache() {
  CacheSettings cache;
  cache.type = CacheType::kS3;
  cache.bucket = "b";
  cache.region = "us-east-1";
  cache.prefix = "p";  // BuildKit would make "pblobs/…" of it
  return cache;
}

TEST(CacheEnv, SpellsS3) {
  EXPECT_THAT(
      cache_env(s3_cache(), "app"),
      UnorderedElementsAre(Pair("BUILDWARDEN_CACHE_FROM", "type=s3,region=us-east-1,bucket=b,prefix=p/,name=app"),
                           Pair("BUILDWARDEN_CACHE_TO",
                                "type=s3,region=us-east-1,bucket=b,prefix=p/,name=app,mode=max,ignore-error=true")));
  auto cache = s3_cache();
  cache.endpoint_url = "http://127.0.0.1:5000/a,b\"c";
  cache.use_path_style = true;
  cache.ignore_error = false;
  EXPECT_EQ(cache_env(cache, "").at("BUILDWARDEN_CACHE_TO"),
            "type=s3,region=us-east-1,bucket=b,prefix=p/,\"endpoint_url=http://127.0.0.1:5000/a,b\"\"c\","
            "use_path_style=true,mode=max");
}

TEST(CacheEnv, SpellsARegistry) {
  CacheSettings cache;
  cache.type = CacheType::kRegistry;
  cache.ref = "registry.example:5000/cache";
  EXPECT_THAT(
      cache_env(cache, "app"),
      UnorderedElementsAre(Pair("BUILDWARDEN_CACHE_FROM", "type=registry,ref=registry.example:5000/cache:app"),
                           Pair("BUILDWARDEN_CACHE_TO",
                                "type=registry,ref=registry.example:5000/cache:app,mode=max,image-manifest=true,"
                                "oci-mediatypes=true,ignore-error=true")));
  cache.ref = "cache:main";
  EXPECT_EQ(cache_env(cache, "").at("BUILDWARDEN_CACHE_FROM"), "type=registry,ref=cache:main");
  EXPECT_EQ(cache_env(cache, "app").at("BUILDWARDEN_CACHE_FROM"), "type=registry,ref=cache:app");
  EXPECT_THAT(cache_env(CacheSettings{}, "app"), IsEmpty());
}

TEST(CacheEnv, IsOfTheBuilderInUse) {
  BuilderSettings plain;
  BuilderSettings cached;
  cached.name = "cached";
  cached.cache = s3_cache();
  Handout handout({plain, cached}, PathSettings{});
  auto wanted = request("1");
  wanted.cache_name = "app";
  EXPECT_TRUE(handout.grant(wanted)->env.contains("BUILDWARDEN_CACHE_FROM"));
  wanted.use = "s3";
  EXPECT_FALSE(handout.grant(wanted)->env.contains("BUILDWARDEN_CACHE_FROM"));
  wanted.cache_name = "app,endpoint_url=http://elsewhere";
  EXPECT_THAT(handout.grant(wanted).error().message(), HasSubstr("cache_name"));
}

bool is_prepared_at_once(Handout& handout) {
  boost::asio::io_context loop;
  ports::GrantRequest from;
  from.job = "job";
  from.use = "s3";
  const testing::Background preparing(loop, handout.prepare(from));
  loop.poll();
  return preparing.ended();
}

// How long the preparation of a request took.
// A build on it would hang for 40 s before it fails.
TEST(Handout, LeavesOutABuilderThatDoesNotAnswerAndSaysWhy) {
  auto handout = two_builders();
  handout.ask_withheld([](const std::string& builder) { return builder == "s3" ? "it is stopped" : ""; });
  auto wanted = request("1");
  auto grant = handout.grant(wanted);
  ASSERT_TRUE(grant);
  ASSERT_EQ(grant->files.size(), 1U);
  EXPECT_EQ(grant->files[0].path, "instances/buildwarden-arm");
  EXPECT_EQ(grant->note, "builder s3 is not handed out: it is stopped");
  EXPECT_THAT(handout.leases_on("s3"), IsEmpty());
  wanted.use = "shared";
  wanted.reuse_context = true;
  grant = handout.grant(wanted);
  ASSERT_TRUE(grant);
  EXPECT_THAT(grant->env, IsEmpty()) << "nothing is used that is not there";
  EXPECT_EQ(grant->note,
            "builder s3 is not handed out: it is stopped; the build context is not reused, which needs pipeline and "
            "checkout_path");
  handout.ask_withheld([](const std::string&) { return std::string(); });
  grant = handout.grant(wanted);
  ASSERT_TRUE(grant);
  EXPECT_THAT(grant->env, ElementsAre(Pair("BUILDX_BUILDER", "buildwarden-s3"))) << "the job asks again";
}

Duration prepared_within(Handout& handout, const std::string& use) {
  boost::asio::io_context loop;
  ports::GrantRequest from;
  from.job = "job";
  from.use = use;
  const auto begun = std::chrono::steady_clock::now();
  testing::run_void(loop, handout.prepare(from));
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begun);
}

TEST(HandoutHold, ABuilderThatIsJustBeingHealedIsWaitedForForLessThanASecond) {
  Handout handout({BuilderSettings{}}, PathSettings{});
  EXPECT_TRUE(is_prepared_at_once(handout)) << "nobody to ask";
  int looks = 0;
  handout.ask_healing([&looks](const std::string& builder) {
    EXPECT_EQ(builder, "s3");
    return ++looks < 3;
  });
  prepared_within(handout, "s3");
  EXPECT_EQ(looks, 3) << "no longer than it heals";
  looks = 0;
  prepared_within(handout, "");
  prepared_within(handout, "unknown");
  EXPECT_EQ(looks, 0) << "a job that names none does not wait";
  handout.ask_healing([&looks](const std::string&) { return ++looks > 0; });
  EXPECT_GE(prepared_within(handout, "s3"), Duration{800});
  EXPECT_LT(looks, 50) << "every 20 ms for less than a second";
  looks = 0;
  handout.ask_healing({});
  handout.ask_withheld([&looks](const std::string&) { return ++looks < 3 ? "its end is not known yet" : ""; });
  prepared_within(handout, "s3");
  EXPECT_EQ(looks, 3);
}

}  // namespace
}  // namespace buildwarden::builders
