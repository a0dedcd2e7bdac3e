#include "daemon/builders/worker_facts.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <sstream>
#include <utility>

#include "common/format.h"
#include "daemon/builders/json_text.h"
#include "daemon/builders/names.h"

namespace buildwarden::builders {
namespace asio = boost::asio;
namespace json = boost::json;
namespace {

constexpr Duration kFactsPause = std::chrono::seconds{60};  // where nobody told that one was started anew
constexpr Duration kUnknownFactsPause = std::chrono::seconds{10};
constexpr Duration kFactsDeadline = std::chrono::seconds{20};
constexpr Duration kTooOld = std::chrono::milliseconds{1500};  // platformsCacheMaxAge of buildkitd.toml, and a little

// "linux/arm/v7"; "" of what is none.
std::string platform_of(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return "";
  const auto os = text_of(*object, "os");
  const auto architecture = text_of(*object, "architecture");
  const auto variant = text_of(*object, "variant");
  if (os.empty() || architecture.empty()) return "";
  return format("{}/{}{}{}", os, architecture, variant.empty() ? "" : "/", variant);
}

void add_worker(const json::object& worker, WorkerFacts& facts) {
  const auto* version = worker.if_contains("buildkitVersion");
  if (facts.version.empty() && version != nullptr && version->is_object()) {
    facts.version = text_of(version->get_object(), "version");
  }
  const auto* platforms = worker.if_contains("platforms");
  if (platforms == nullptr || !platforms->is_array()) return;
  for (const auto& one : platforms->get_array()) {
    auto platform = platform_of(one);
    const auto known = std::find(facts.platforms.begin(), facts.platforms.end(), platform);
    if (!platform.empty() && known == facts.platforms.end()) facts.platforms.push_back(std::move(platform));
  }
}

}  // namespace

Result<WorkerFacts> decode_workers(std::string_view text) {
  boost::system::error_code broken;
  const auto root = json::parse({text.data(), text.size()}, broken);
  const auto* workers = broken ? nullptr : root.if_array();
  if (workers == nullptr) return Error(Errc::kProtocol, "buildctl's answer is no list of workers");
  WorkerFacts facts;
  for (const auto& worker : *workers) {
    const auto* object = worker.if_object();
    if (object == nullptr) return Error(Errc::kProtocol, "buildctl's answer has a worker that is none");
    add_worker(*object, facts);
  }
  return facts;
}

std::string decode_version(std::string_view text) {
  std::istringstream words{std::string(text)};
  std::string program;
  std::string package;
  std::string version;
  words >> program >> package >> version;
  return program == "buildkitd" && version.starts_with('v') ? version : std::string();
}

WorkerFactsKeeper::WorkerFactsKeeper(Parts parts) : parts_(std::move(parts)) {}

WorkerFacts WorkerFactsKeeper::of(const std::string& builder) const {
  const auto found = known_.find(builder);
  return found == known_.end() ? WorkerFacts{} : found->second.facts;
}

asio::awaitable<void> WorkerFactsKeeper::turn() {
  const auto warm = parts_.warm();
  complete_ = true;
  for (const auto& builder : warm) {
    const bool known = co_await ask(builder);
    complete_ = complete_ && known;
  }
}

// One that does not answer says so elsewhere, and is asked again with the next turn.
asio::awaitable<bool> WorkerFactsKeeper::ask(std::string builder) {
  const auto seen = co_await parts_.containers.inspect_container(real_container(builder));
  if (!seen || !seen->ours || seen->state != policy::ContainerState::kRunning) co_return false;
  const auto round = round_;
  const auto start = format("{} {} {}", seen->id, seen->restarts, seen->ended);
  auto& known = known_[builder];
  if (known.start == start) co_return true;
  std::vector<std::string> command;
  command.assign({"buildctl", "debug", "workers", "--format", "{{json .}}"});
  const auto workers = co_await run_in(seen->id, std::move(command));
  if (!workers) co_return false;
  auto facts = decode_workers(*workers);
  if (!facts) co_return false;
  if (facts->version.empty()) {
    std::vector<std::string> ask_version;
    ask_version.assign({"buildkitd", "--version"});
    const auto said = co_await run_in(seen->id, std::move(ask_version));
    if (said) facts->version = decode_version(*said);
  }
  if (round == round_) known.start = start;
  known.facts = *std::move(facts);
  co_return true;
}

ports::Async<std::string> WorkerFactsKeeper::run_in(std::string container, std::vector<std::string> command) {
  ports::ContainerControl::ExecLimits limits;
  limits.deadline = kFactsDeadline;
  auto said = co_await parts_.control.exec_in_container(std::move(container), std::move(command), limits);
  if (!said) co_return std::move(said).error();
  if (said->exit_code != 0) co_return Error(Errc::kIo, said->errors);
  co_return std::move(said->output);
}

asio::awaitable<void> WorkerFactsKeeper::run() { return loop_timer_.run(loop()); }

void WorkerFactsKeeper::ask_again() {
  for (auto& [builder, known] : known_) known.start.clear();
  ++round_;
  not_before_ = std::chrono::steady_clock::now() + kTooOld;
  loop_timer_.wake();
}

asio::awaitable<void> WorkerFactsKeeper::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(complete_ ? kFactsPause : kUnknownFactsPause);
    // Whatever wakes it meanwhile: what BuildKit found before is not asked for again.
    while (!loop_timer_.stopped() && std::chrono::steady_clock::now() < not_before_)
      co_await loop_timer_.sleep_until(not_before_);
  }
}

}  // namespace buildwarden::builders
