#include "daemon/jobs/fields.h"

#include <gmock/gmock.h>

#include <functional>

namespace buildwarden::jobs {
namespace {

using ::testing::StartsWith;

struct BadField {
  const char* field;
  std::function<void(ports::JobRequest&)> spoil;
};
class Fields : public ::testing::TestWithParam<BadField> {};

TEST_P(Fields, AreNamedWhenTheyAreWrong) {
  ports::JobRequest job;
  job.id = "1";
  ASSERT_TRUE(check_fields(job, std::chrono::hours{24 * 7}));
  GetParam().spoil(job);
  const auto checked = check_fields(job, std::chrono::hours{24 * 7});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), Errc::kInvalid);
  EXPECT_THAT(checked.error().message(), StartsWith(std::string(GetParam().field) + ": "));
}

INSTANTIATE_TEST_SUITE_P(
    All, Fields,
    ::testing::Values(BadField{"id", [](auto& job) { job.id = ""; }},
                      BadField{"id", [](auto& job) { job.id = std::string(129, 'x'); }},
                      BadField{"id", [](auto& job) { job.id = "a\nb"; }},
                      BadField{"agent", [](auto& job) { job.agent = std::string("\x1b[2J"); }},
                      BadField{"pipeline", [](auto& job) { job.pipeline = std::string(257, 'x'); }},
                      BadField{"checkout_path", [](auto& job) { job.checkout_path = "relative/path"; }},
                      BadField{"pid", [](auto& job) { job.pid = 1; }}, BadField{"pid", [](auto& job) { job.pid = -7; }},
                      BadField{"need_bytes", [](auto& job) { job.need_bytes = -1; }},
                      BadField{"need_bytes", [](auto& job) { job.need_bytes = (Bytes{1} << 60) + 1; }},
                      BadField{"builders", [](auto& job) { job.builders = {""}; }},
                      BadField{"id, agent, pipeline, checkout_path, use and builders",
                               [](auto& job) { job.builders.assign(32, std::string(200, 'x')); }},
                      BadField{"platforms", [](auto& job) { job.platforms.assign(33, "linux/arm64"); }},
                      BadField{"ttl_seconds", [](auto& job) { job.ttl = Duration{0}; }},
                      BadField{"ttl_seconds", [](auto& job) { job.ttl = std::chrono::hours{24 * 8}; }}));

}  // namespace
}  // namespace buildwarden::jobs
