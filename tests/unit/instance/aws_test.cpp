#include "daemon/instance/aws.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>

namespace buildwarden::instance {
namespace {

using policy::GroupState;
using policy::TerminationOutcome;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

AwsCli cli() {
  AwsCli made;
  made.identity = {"i-0123", "eu-west-1"};
  made.call = std::chrono::seconds{40};
  return made;
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += word + " ";
  return all;
}

TerminationOutcome outcome(int exit_code, const std::string& errors) {
  ProgramEnd end;
  end.exit_code = exit_code;
  end.errors = errors;
  return news_of(end).outcome;
}

std::string error(const std::string& code, const std::string& message) {
  return "\nAn error occurred (" + code +
         ") when calling the TerminateInstanceInAutoScalingGroup operation (reached max retries: 0): " + message + "\n";
}

TEST(AwsCliTest, TriesOnceAndEndsByItself) {
  const auto text = joined(cli().terminate(true));
  EXPECT_THAT(text, HasSubstr("timeout --kill-after=1 38 env AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=1 "));
  EXPECT_THAT(text, HasSubstr("aws autoscaling terminate-instance-in-auto-scaling-group --instance-id=i-0123 "
                              "--should-decrement-desired-capacity --output=json --region=eu-west-1"));
  EXPECT_THAT(text, Not(HasSubstr("--endpoint-url")));
  EXPECT_THAT(text, Not(HasSubstr("METADATA_SERVICE_ENDPOINT")));
}

TEST(AwsCliTest, TheDecrementIsDeniedExplicitly) {
  EXPECT_THAT(cli().terminate(false), Contains("--no-should-decrement-desired-capacity"));
  EXPECT_THAT(cli().set_unhealthy(), Contains("--no-should-respect-grace-period"));
}

TEST(AwsCliTest, SettingsWinOverTheMetadata) {
  auto one = cli();
  one.settings.region = "us-east-1";
  one.settings.endpoint_url = "http://127.0.0.1:1";
  one.settings.imds_url = "http://127.0.0.1:2";
  one.settings.aws_cli = "/opt/aws";
  const auto text = joined(one.describe());
  EXPECT_THAT(text, HasSubstr("--region=us-east-1"));
  EXPECT_THAT(text, HasSubstr("--endpoint-url=http://127.0.0.1:1"));
  EXPECT_THAT(text, HasSubstr("AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:2/ "));
  EXPECT_THAT(text, HasSubstr("/opt/aws autoscaling describe-auto-scaling-instances --instance-ids=i-0123"));
}

TEST(AwsNewsTest, TellsTheFailuresApart) {
  EXPECT_EQ(outcome(0, ""), TerminationOutcome::kDone);
  EXPECT_EQ(outcome(254, error("Throttling", "Rate exceeded")), TerminationOutcome::kThrottled);
  EXPECT_EQ(outcome(254, error("ScalingActivityInProgress", "busy")), TerminationOutcome::kThrottled);
  EXPECT_EQ(outcome(254, error("ValidationError",
                               "Currently, desiredSize equals minSize (1). Terminating instance without replacement "
                               "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity "
                               "flag to false or lower group's min size.")),
            TerminationOutcome::kMinimumSize);
  EXPECT_EQ(outcome(254, error("ValidationError", "Instance Id not found - No managed instance found for instance ID")),
            TerminationOutcome::kNotThere);
  EXPECT_EQ(outcome(254, error("ValidationError", "The instance i-1 is in a warm pool")), TerminationOutcome::kRefused);
  EXPECT_EQ(outcome(254, error("ExpiredToken", "The security token included in the request is expired")),
            TerminationOutcome::kCredentials);
  EXPECT_EQ(outcome(254, error("AccessDenied", "User is not authorized")), TerminationOutcome::kDenied);
  EXPECT_EQ(outcome(254, error("InternalFailure", "")), TerminationOutcome::kUnreachable);
  EXPECT_EQ(outcome(254, error("503", "Service Unavailable")), TerminationOutcome::kUnreachable);
  EXPECT_EQ(outcome(255, "\nCould not connect to the endpoint URL: \"http://127.0.0.1:1/\"\n"),
            TerminationOutcome::kUnreachable);
  EXPECT_EQ(
      outcome(255, "\nUnable to locate credentials. You can configure credentials by running \"aws configure\".\n"),
      TerminationOutcome::kCredentials);
  EXPECT_EQ(outcome(252, "aws: error: argument operation: Invalid choice"), TerminationOutcome::kRefused);
}

TEST(AwsNewsTest, TheProgramItselfMayBeMissingOrHang) {
  EXPECT_EQ(outcome(127, "timeout: failed to run command 'aws': No such file or directory"),
            TerminationOutcome::kMissing);
  EXPECT_EQ(outcome(203, ""), TerminationOutcome::kMissing);
  EXPECT_EQ(outcome(124, ""), TerminationOutcome::kUnreachable) << "it may have happened all the same";
  EXPECT_EQ(outcome(-1, ""), TerminationOutcome::kUnreachable);
  EXPECT_EQ(news_of(Error(Errc::kTimeout, "late")).outcome, TerminationOutcome::kUnreachable);
  EXPECT_EQ(news_of(Error(Errc::kNotFound, "timeout")).outcome, TerminationOutcome::kMissing);
  ProgramEnd end;
  end.exit_code = 254;
  end.errors = error("Throttling", "Rate exceeded");
  EXPECT_THAT(news_of(end).text, Not(HasSubstr("\n")));
}

TEST(AwsDescriptionTest, ReadsTheLifecycle) {
  const auto state = [](const std::string& word) {
    return read_description(R"({"AutoScalingInstances":[{"InstanceId":"i-1","LifecycleState":")" + word + "\"}]}")
        ->state;
  };
  EXPECT_EQ(state("InService"), GroupState::kInService);
  EXPECT_EQ(state("Terminating"), GroupState::kLeaving);
  EXPECT_EQ(state("Terminating:Wait"), GroupState::kLeaving);
  EXPECT_EQ(state("Terminated"), GroupState::kLeaving);
  EXPECT_EQ(state("Standby"), GroupState::kOther);
  EXPECT_EQ(state("Pending:Wait"), GroupState::kOther);
  EXPECT_EQ(read_description(R"({"AutoScalingInstances":[]})")->state, GroupState::kAbsent);
  for (const auto* const bad :
       {"", "[]", "{}", R"({"AutoScalingInstances":[7]})", R"({"AutoScalingInstances":[{}]})"}) {
    EXPECT_EQ(read_description(bad).error().code(), Errc::kProtocol) << bad;
  }
}

TEST(MetadataTest, TakesNothingButNames) {
  EXPECT_EQ(read_identity("i-0abc\nus-east-1\n")->region, "us-east-1");
  for (const auto* const bad :
       {"", "i-0abc", "i-0abc\n", "--debug\nus-east-1\n", "i-0abc\n--x\n", "i-0 abc\nus-east-1\n", "<html>\nx\n"}) {
    EXPECT_FALSE(read_identity(bad)) << bad;
  }
}

}  // namespace
}  // namespace buildwarden::instance
