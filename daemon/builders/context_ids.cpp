#include "daemon/builders/context_ids.h"

#include <functional>

#include "common/format.h"

namespace buildwarden::builders {
namespace asio = boost::asio;

namespace {

// A job waits for it; the command of its hook waits two seconds for everything.
constexpr Duration kDeadline = std::chrono::seconds{1};

}  // namespace

asio::awaitable<void> ContextIds::prepare() {
  if (secret_) co_return;
  const std::function<Result<HostSecret>()> work = [path = path_] { return host_secret(path); };
  const auto secret = co_await ports_.workers.compute<HostSecret>(work, kDeadline);
  if (secret) {
    secret_ = *secret;
    last_failure_.clear();
  } else {
    failed(secret.error());
  }
}

void ContextIds::failed(const Error& error) {
  if (last_failure_ == error.message()) return;
  last_failure_ = error.message();
  ports_.journal.record(
      {.kind = "job.context_not_reused",
       .severity = ports::Severity::kWarning,
       .reason = format("build contexts are sent whole, the host's secret is not there: {}", error.message()),
       .rule = "no_host_secret",
       .fields = {{"path", path_}}});
}

std::optional<std::string> ContextIds::of(const std::string& pipeline, const std::string& checkout_path) const {
  if (!secret_) return std::nullopt;
  return node_id(*secret_, pipeline, checkout_path);
}

}  // namespace buildwarden::builders
