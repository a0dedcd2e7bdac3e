// The node ids of jobs that want to reuse their build context, and the host's secret behind them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

#include "common/worker.h"
#include "daemon/builders/node_id.h"
#include "daemon/ports/journal.h"

namespace buildwarden::builders {

// On the loop's thread alone; the secret is read or made on a worker, once, at the first need.
class ContextIds {
 public:
  struct Ports {
    WorkerPool& workers;
    ports::Journal& journal;
  };
  // `state`: paths.state; "host_secret" in it.
  ContextIds(const std::string& state, Ports ports) : path_(state + "/host_secret"), ports_(ports) {}

  // Afterwards of() has an answer, or the journal says why not (`job.context_not_reused`, each reason once). Within a
  // second; the next call tries again. Outlives its coroutines.
  boost::asio::awaitable<void> prepare();

  // None while there is no secret.
  [[nodiscard]] std::optional<std::string> of(const std::string& pipeline, const std::string& checkout_path) const;

 private:
  void failed(const Error& error);

  std::string path_;
  Ports ports_;
  std::optional<HostSecret> secret_;
  std::string last_failure_;
};

}  // namespace buildwarden::builders
