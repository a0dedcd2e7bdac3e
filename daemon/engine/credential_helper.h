// Registry logins that a program knows: docker's credential helpers (docker-credential-NAME).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/subprocess.h"
#include "common/worker.h"

namespace buildwarden::engine {

// What a helper is asked: the protocol of github.com/docker/docker-credential-helpers, `get` with the server on stdin.
struct HelperQuestion {
  std::string helper;  // "ecr-login"
  std::string server;  // as docker spells it: "123.dkr.ecr.eu-west-1.amazonaws.com", "https://index.docker.io/v1/"
};

// The command that asks; it ends by itself after 20 s.
std::vector<std::string> helper_command(const HelperQuestion& question);

// The value of X-Registry-Auth that a helper's end means; "" where it knows no login of that server. kUnavailable: it
// is not there, failed or did not end; kProtocol: another answer than the protocol's. The text holds nothing of a
// login.
Result<std::string> read_helper(const HelperQuestion& question, const Result<ProgramEnd>& end);

// Asks one helper at a time, on a thread of its own that is made with the first question: who waits for a registry's
// login keeps no other work waiting.
class CredentialHelpers {
 public:
  CredentialHelpers() = default;
  ~CredentialHelpers() { stop(); }
  CredentialHelpers(const CredentialHelpers&) = delete;
  CredentialHelpers& operator=(const CredentialHelpers&) = delete;

  // As read_helper(); under systemd the helper runs in a unit of its own, since it needs the network.
  boost::asio::awaitable<Result<std::string>> ask(HelperQuestion question);
  // Ends a helper that is at work: kCancelled.
  void stop() { stop_.request_stop(); }

 private:
  std::stop_source stop_;
  std::unique_ptr<WorkerPool> thread_;
};

}  // namespace buildwarden::engine
