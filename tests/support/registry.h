// A registry of a test's own, with TLS and one login, on an address that containers of the sandbox reach.
#pragma once

#include <memory>
#include <string>

#include "tests/support/command.h"

namespace buildwarden::testing {

// Debian's docker-registry. Throws std::runtime_error when it does not start.
class Registry {
 public:
  // `dir`: a folder for its files; `address`: an IPv4 address of this host. Takes any free port.
  Registry(const std::string& dir, const std::string& address);

  [[nodiscard]] const std::string& host() const { return host_; }  // ADDRESS:PORT
  [[nodiscard]] std::string ca() const { return dir_ + "/ca.pem"; }
  // A config.json with the login.
  [[nodiscard]] std::string docker_config(const std::string& password = "s3cret-of-the-registry") const;
  // "" when there is none.
  [[nodiscard]] std::string tags(const std::string& repository) const;

 private:
  std::string dir_;
  std::string host_;
  std::unique_ptr<BackgroundProcess> process_;
};

}  // namespace buildwarden::testing
