#include "tests/support/registry.h"

#include <fstream>
#include <stdexcept>

namespace buildwarden::testing {
namespace {

constexpr const char* kUser = "ci";
constexpr const char* kPassword = "s3cret-of-the-registry";

std::string without_line_end(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void set_up(const std::string& script) {
  const auto done = run_shell("set -e\n" + script);
  if (done.exit_code != 0) throw std::runtime_error("the registry cannot be set up: " + done.out);
}

}  // namespace

Registry::Registry(const std::string& dir, const std::string& address) : dir_(dir) {
  set_up("mkdir -p " + dir_ +
         "/data; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 " +
         "-subj /CN=registry -addext subjectAltName=IP:" + address + " -keyout " + dir_ + "/key.pem -out " + ca() +
         " 2>&1");
  set_up("/usr/bin/python3 -c 'import bcrypt; print(\"" + std::string(kUser) + ":\" + bcrypt.hashpw(b\"" + kPassword +
         "\", bcrypt.gensalt(4)).decode())' > " + dir_ + "/htpasswd");
  std::ofstream(dir_ + "/config.yml") << "version: 0.1\nstorage: { filesystem: { rootdirectory: " << dir_
                                      << "/data } }\nhttp: { addr: \"" << address
                                      << ":0\", tls: { certificate: " << ca() << ", key: " << dir_
                                      << "/key.pem } }\nauth: { htpasswd: { realm: test, "
                                      << "path: " << dir_ << "/htpasswd } }\n";
  process_ = std::make_unique<BackgroundProcess>(
      std::vector<std::string>{"docker-registry", "serve", dir_ + "/config.yml"}, dir_ + "/log");
  const auto listens = [&] {
    host_ = without_line_end(
        run_shell("sed -n 's/.*listening on \\(" + address + ":[0-9]*\\).*/\\1/p' " + dir_ + "/log").out);
    return !host_.empty();
  };
  if (!eventually(listens)) throw std::runtime_error(read_text(dir_ + "/log"));
}

std::string Registry::docker_config(const std::string& password) const {
  const auto login =
      without_line_end(run_shell("printf %s '" + std::string(kUser) + ":" + password + "' | base64 -w0").out);
  return R"({"auths":{")" + host_ + R"(":{"auth":")" + login + "\"}}}";
}

std::string Registry::tags(const std::string& repository) const {
  return without_line_end(run_shell("curl -s --cacert " + ca() + " -u " + kUser + ":" + kPassword + " https://" +
                                    host_ + "/v2/" + repository + "/tags/list | jq -r '.tags // [] | join(\" \")'")
                              .out);
}

}  // namespace buildwarden::testing
