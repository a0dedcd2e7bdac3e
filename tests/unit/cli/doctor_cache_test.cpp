#include <gmock/gmock.h>

#include <sched.h>
#include <sys/wait.h>

#include <csignal>

#include "daemon/cli/metadata.h"
#include "tests/unit/cli/doctor_fixture.h"
#include "tests/unit/cli/metadata_server.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kSoon = std::chrono::seconds{5};

class DoctorCache : public DoctorTest {
 protected:
  DoctorCache() {
    auto& cache = scene_.settings.builders[0].cache;
    cache.type = CacheType::kS3;
    cache.bucket = "b";
    cache.region = "eu-west-1";
    scene_.settings.instance.imds_url = "http://127.0.0.1:1";  // nobody listens there
  }
};

// IMDSv2: the token is asked for with its lifetime, and shown with the question.
std::string instance(const std::string& head) {
  if (head.starts_with("PUT /latest/api/token HTTP/1.1\r\n")) {
    const bool lives = head.find("X-aws-ec2-metadata-token-ttl-seconds: 60\r\n") != std::string::npos;
    return http_answer(lives && head.find("\r\nHost: 127.0.0.1:") != std::string::npos ? 200 : 400, "secret",
                       "text/plain");
  }
  if (!head.starts_with("GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n")) return http_answer(404, "");
  const bool known = head.find("X-aws-ec2-metadata-token: secret\r\n") != std::string::npos;
  return http_answer(known ? 200 : 401, "builder-role\n", "text/plain");
}

TEST_F(DoctorCache, MetadataIsAskedForByToken) {
  const MetadataServer server(instance);
  const auto role = cli::metadata_role(server.url(), kSoon);
  ASSERT_TRUE(role) << role.error().message();
  EXPECT_EQ(*role, "builder-role");
  const MetadataServer without([](const std::string& head) {
    return head.starts_with("PUT") ? instance(head) : http_answer(404, "", "text/plain");
  });
  EXPECT_EQ(cli::metadata_role(without.url(), kSoon).error().code(), Errc::kNotFound);
  EXPECT_EQ(metadata_token("http://127.0.0.1:1", kSoon).error().code(), Errc::kUnavailable);
  EXPECT_EQ(metadata_token("http://metadata.example", kSoon).error().code(), Errc::kInvalid);
}

TEST_F(DoctorCache, WithoutS3NothingIsAsked) {
  scene_.settings.builders[0].cache.type = CacheType::kNone;
  EXPECT_EQ(texts(cli::check_cache(scene_)), "no builder's cache is in S3\n");
}

TEST_F(DoctorCache, BucketAndRegionMustBeSet) {
  scene_.settings.builders[0].cache.region.clear();
  EXPECT_THAT(complaints(cli::check_cache(scene_)), AllOf(HasSubstr("error: s3: no region"), HasSubstr("AWS_REGION")));
  scene_.settings.builders[0].cache.bucket.clear();
  EXPECT_THAT(complaints(cli::check_cache(scene_)), HasSubstr("error: s3: no bucket"));
}

TEST_F(DoctorCache, OffEc2OnlyTheCredentialsAreMissed) {
  const auto findings = cli::check_cache(scene_);
  EXPECT_THAT(complaints(findings), HasSubstr("warning: " + scene_.agent->name + " has no AWS credentials"));
  EXPECT_EQ(std::count_if(findings.begin(), findings.end(),
                          [](const cli::Finding& finding) { return finding.level != cli::Level::kOk; }),
            1);
  EXPECT_THAT(texts(findings), HasSubstr("not on EC2"));
}

TEST_F(DoctorCache, CredentialsAreFoundInFilesAndVariables) {
  std::ofstream(scene_.settings.paths.agent_env) << "PATH=/bin\nAWS_PROFILE=ci\n";
  EXPECT_EQ(complaints(cli::check_cache(scene_)), "");
  EXPECT_THAT(texts(cli::check_cache(scene_)), HasSubstr("/env sets AWS_PROFILE"));
  std::ofstream(scene_.settings.paths.agent_env) << "PATH=/bin\n";
  ::mkdir((folder() + "/.aws").c_str(), 0755);
  std::ofstream(folder() + "/.aws/credentials") << "[default]\naws_secret_access_key = hidden\n";
  EXPECT_THAT(texts(cli::check_cache(scene_)), HasSubstr("/.aws/credentials is there"));
  EXPECT_EQ(texts(cli::check_cache(scene_)).find("hidden"), std::string::npos);
}

TEST_F(DoctorCache, TheInstancesRoleIsSeenAndContainersSeeItToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root enters a container's network";
  const MetadataServer server(instance);
  scene_.settings.instance.imds_url = server.url();
  say(engine_, "/containers/buildwarden_s3/json", format(R"({{"State":{{"Running":true,"Pid":{}}}}})", ::getpid()));
  const auto findings = cli::check_cache(scene_);
  EXPECT_EQ(complaints(findings), "");
  EXPECT_THAT(texts(findings), AllOf(HasSubstr("role builder-role are visible"), HasSubstr("containers reach")));
}

// A network in which the instance is not heard, as beyond the hop limit.
TEST_F(DoctorCache, AHopLimitOfOneIsSeenFromTheContainersNetwork) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root enters a container's network";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const auto container = ::fork();
  if (container == 0) {
    const char answer = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    (void)!::write(ready[1], &answer, 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 'n';
  EXPECT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const MetadataServer server(instance);
  scene_.settings.instance.imds_url = server.url();
  say(engine_, "/containers/buildwarden_s3/json", format(R"({{"State":{{"Running":true,"Pid":{}}}}})", container));
  EXPECT_THAT(complaints(cli::check_cache(scene_)),
              AllOf(HasSubstr("warning: containers do not reach"), HasSubstr("--http-put-response-hop-limit 2")));
  ::kill(container, SIGKILL);
  ::waitpid(container, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(DoctorCache, AnInstanceWithoutARole) {
  const MetadataServer server([](const std::string& head) {
    return head.starts_with("PUT") ? instance(head) : http_answer(404, "", "text/plain");
  });
  scene_.settings.instance.imds_url = server.url();
  EXPECT_THAT(complaints(cli::check_cache(scene_)), HasSubstr("warning: the instance has no role"));
}

}  // namespace
}  // namespace buildwarden::testing
