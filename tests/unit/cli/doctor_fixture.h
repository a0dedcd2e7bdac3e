// A machine to look at, in which everything is in order until a test breaks it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <fstream>
#include <map>
#include <string>

#include "daemon/cli/doctor.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {

inline constexpr std::string_view kSettingsFrame("\0\0\0\4\0\0\0\0\0", 9);

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() {
    const auto user = format("{}", ::getuid());
    scene_.config.yaml_path = folder() + "/none.yaml";
    scene_.settings.agent.user = user;
    scene_.settings.paths.run = folder();
    scene_.settings.paths.images = folder() + "/images";
    scene_.settings.paths.agent_env = folder() + "/env";
    scene_.settings.disk.ballast = Amount::bytes(0);
    scene_.socket = folder() + "/api.sock";
    scene_.agent = cli::find_account(user);
    scene_.agent->home = folder();
    scene_.env = [](const std::string&) { return std::string(); };
    scene_.daemon = [this](const std::string& target) { return answer_of(daemon_, target); };
    scene_.engine = [this](const std::string& target) { return answer_of(engine_, target); };
    say(daemon_, "/v1/status", R"({"version":")" BUILDWARDEN_VERSION R"(","ready":true,"not_ready":[],"config":{}})");
    say(daemon_, "/v1/disk", R"({"filesystems":[{"mount":"/","level":"ok","free_bytes":9,"total_bytes":10}]})");
    say(daemon_, "/v1/builders", R"({"builders":[{"name":"s3","state":"warm","reason":"it answers"}]})");
    say(engine_, "/info", R"({"ServerVersion":"26.1","DockerRootDir":"/d","SecurityOptions":["name=seccomp"]})");
    say(engine_, "/images/moby/buildkit:buildx-stable-1/json", R"({"Id":"sha256:1"})");
    for (const std::string name : {"buildwarden_s3", "buildx_buildkit_s30"}) {
      say(engine_, "/containers/" + name + "/json", R"({"State":{"Running":true,"Pid":0},"HostConfig":{}})");
    }
  }

  using Script = std::map<std::string, std::string>;
  static void say(Script& script, const std::string& target, const std::string& body) { script[target] = body; }
  static Result<cli::Answer> answer_of(const Script& script, const std::string& target) {
    if (script.empty()) return Error(Errc::kUnavailable, "nobody listens");
    const auto found = script.find(target);
    cli::Answer answer;
    answer.status = found == script.end() ? 404 : 200;
    answer.body = found == script.end() ? "{}" : found->second;
    answer.json = boost::json::parse(answer.body);
    return answer;
  }

  // Of the findings that are not ok; "" when all are. Those have a fix of one line.
  static std::string complaints(const cli::Findings& findings) {
    std::string all;
    EXPECT_FALSE(findings.empty());
    for (const auto& finding : findings) {
      EXPECT_EQ(finding.text.find('\n'), std::string::npos);
      EXPECT_EQ(finding.fix.empty(), finding.level == cli::Level::kOk) << finding.text;
      if (finding.level == cli::Level::kOk) continue;
      all += format("{}: {} [{}]\n", cli::to_string(finding.level), finding.text, finding.fix);
    }
    return all;
  }
  static std::string texts(const cli::Findings& findings) {
    std::string all;
    for (const auto& finding : findings) all += finding.text + "\n";
    return all;
  }

  [[nodiscard]] std::string folder() const { return folder_.path(); }
  [[nodiscard]] std::string builder_socket() const {
    ::mkdir((folder() + "/builders").c_str(), 0755);
    ::mkdir((folder() + "/builders/s3").c_str(), 0755);
    return folder() + "/builders/s3/buildkitd.sock";
  }
  // An executable, or with another mode what is none.
  void put_program(const std::string& under, unsigned mode) const {
    ::mkdir((folder() + "/" + under).c_str(), 0755);
    const auto path = folder() + "/" + under + "/docker-buildx";
    std::ofstream(path) << "#!/bin/sh\n";
    ::chmod(path.c_str(), mode);
  }

  TempFolder folder_;
  Script daemon_;
  Script engine_;
  cli::Scene scene_;
};

}  // namespace buildwarden::testing
