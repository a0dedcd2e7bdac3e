// Logins that a program knows: docker's credential helpers, as small scripts.
#include "daemon/engine/credential_helper.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "daemon/engine/encode.h"
#include "tests/unit/engine/engine_fixture.h"

namespace buildwarden::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// docker-credential-NAME in a folder that PATH leads to, for as long as it lives.
class HelperFolder {
 public:
  explicit HelperFolder(const std::string& folder) : folder_(folder), path_(::getenv("PATH")) {
    ::setenv("PATH", (folder + ":" + path_).c_str(), 1);
  }
  ~HelperFolder() { ::setenv("PATH", path_.c_str(), 1); }
  HelperFolder(const HelperFolder&) = delete;
  HelperFolder& operator=(const HelperFolder&) = delete;

  void put(const std::string& name, const std::string& script) const {
    const auto program = folder_ + "/docker-credential-" + name;
    std::ofstream(program) << "#!/bin/sh\n" << script;
    ::chmod(program.c_str(), 0755);
  }

 private:
  std::string folder_;
  std::string path_;
};

class HelpersTest : public EngineFixture {
 protected:
  HelpersTest() {
    docker_config_ = server_.folder();
    std::ofstream(config()) << R"({"credHelpers":{"ecr.example":"ecr","token.example":"token","gone.example":"gone"},
                                   "credsStore":"store"})";
    server_.on("POST /v1.45/images/create", FakeAnswer::json(200, "{}\n"));
    start_and_connect();
  }
  [[nodiscard]] std::string config() const { return docker_config_ + "/config.json"; }
  // What the engine was told with the pull; "" without a login.
  std::string login_of(const std::string& reference) {
    const auto pulled = run(engine_->pull(reference));
    EXPECT_TRUE(pulled) << pulled.error().message();
    const auto head = server_.last("POST")->head;
    const std::string kHeader = "X-Registry-Auth: ";
    const auto at = head.find(kHeader);
    if (at == std::string::npos) return "";
    const auto begin = at + kHeader.size();
    return decode_base64(head.substr(begin, head.find('\r', begin) - begin)).value_or("not base64");
  }
  HelperFolder helpers_{server_.folder()};
};

TEST_F(HelpersTest, AreAskedForTheRegistryOnTheirInput) {
  helpers_.put(
      "ecr",
      R"(read -r server; printf '{"ServerURL":"%s","Username":"AWS-%s-%s","Secret":"p\\"w"}' "$server" "$1" "$server")");
  helpers_.put("token", R"(echo '{"ServerURL":"","Username":"<token>","Secret":"t"}')");
  helpers_.put("store", R"(read -r server; [ "$server" = https://index.docker.io/v1/ ] || exit 9
                           echo "credentials not found in native keychain"; exit 1)");
  EXPECT_EQ(login_of("ecr.example/a:1"),
            R"({"serveraddress":"ecr.example","username":"AWS-get-ecr.example","password":"p\"w"})");
  EXPECT_EQ(login_of("token.example/a:1"), R"({"serveraddress":"token.example","identitytoken":"t"})");
  EXPECT_EQ(login_of("alpine:1"), "") << "it knows no login there, as docker: without one";
}

TEST_F(HelpersTest, OneThatFailsIsToldWithThePullThatFails) {
  helpers_.put("ecr", "echo no credentials of an instance; exit 1");
  helpers_.put("token", "echo secret");
  server_.replace("POST /v1.45/images/create", FakeAnswer::json(404, R"({"message":"pull access denied"})"));
  const auto why = [this](const std::string& reference) { return run(engine_->pull(reference)).error().message(); };
  EXPECT_THAT(why("ecr.example/a:1"),
              AllOf(HasSubstr("without a login (docker-credential-ecr: no credentials of an instance)"),
                    HasSubstr("pull access denied")));
  EXPECT_THAT(why("gone.example/a:1"), HasSubstr("docker-credential-gone is not installed"));
  EXPECT_THAT(why("token.example/a:1"),
              AllOf(HasSubstr("docker-credential-token is not JSON"), Not(HasSubstr("secret"))));
  server_.replace("POST /v1.45/images/create", FakeAnswer::json(200, "{}\n"));
  EXPECT_EQ(login_of("gone.example/a:1"), "") << "what is public comes without it";
}

TEST_F(HelpersTest, AFileThatOthersWriteNamesNoProgramForRoot) {
  helpers_.put("ecr", "echo asked > " + docker_config_ + "/asked; exit 1");
  ::chmod(config().c_str(), 0666);
  EXPECT_EQ(login_of("ecr.example/a:1"), "");
  EXPECT_FALSE(std::filesystem::exists(docker_config_ + "/asked"));
  server_.replace("POST /v1.45/images/create", FakeAnswer::json(404, R"({"message":"denied"})"));
  EXPECT_THAT(run(engine_->pull("ecr.example/a:1")).error().message(),
              HasSubstr("docker-credential-ecr is not asked: "));
}

TEST_F(HelpersTest, OneThatHangsKeepsNoStopWaiting) {
  helpers_.put("ecr", "sleep 60");
  auto pull = std::make_unique<testing::Background>(loop_, [](Engine* engine) -> boost::asio::awaitable<void> {
    static_cast<void>(co_await engine->pull("ecr.example/a:1"));
  }(engine_.get()));
  const auto began = std::chrono::steady_clock::now();
  engine_->stop();
  until([&] { return pull->ended(); });
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds{10});
}

}  // namespace
}  // namespace buildwarden::engine
