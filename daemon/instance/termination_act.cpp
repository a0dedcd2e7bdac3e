// The steps themselves.
#include <chrono>
#include <utility>

#include "common/format.h"
#include "daemon/instance/termination.h"

namespace buildwarden::instance {
namespace asio = boost::asio;

namespace {

using policy::TerminationAction;
using policy::TerminationNews;
using policy::TerminationOutcome;

constexpr Duration kAsk = std::chrono::seconds{20};
constexpr Duration kMore = std::chrono::seconds{5};  // than the deadline that the work keeps by itself

TerminationNews news_of(TerminationAction action, TerminationOutcome outcome, std::string text = {}) {
  TerminationNews news;
  news.action = action;
  news.outcome = outcome;
  news.text = std::move(text);
  return news;
}

}  // namespace

bool Termination::save(const policy::TerminationPlan& plan) {
  const bool changes = plan.memory.intent && plan.action != TerminationAction::kRest &&
                       plan.action != TerminationAction::kIdentify && plan.action != TerminationAction::kDescribe &&
                       plan.action != TerminationAction::kForget;
  if (!changes) return true;
  const auto saved = file_.save(*plan.memory.intent);
  if (saved) {
    not_saved_.clear();
    return true;
  }
  if (std::exchange(not_saved_, saved.error().message()) != saved.error().message()) {
    record("instance.intent_not_saved", ports::Severity::kError,
           format("the next step ({}) is not taken, since it cannot be recorded first: {}", to_string(plan.action),
                  saved.error().message()),
           "not_saved");
  }
  return false;
}

asio::awaitable<TerminationNews> Termination::act(TerminationAction action, bool decrement) {
  switch (action) {
    case TerminationAction::kIdentify: co_return co_await identify();
    case TerminationAction::kDescribe:
    case TerminationAction::kTerminate:
    case TerminationAction::kSetHealth: co_return co_await call(action, decrement);
    case TerminationAction::kTermAgent:
    case TerminationAction::kQuitAgent:
    case TerminationAction::kStartAgent: co_return co_await tell_agent(action);
    case TerminationAction::kTell: co_return co_await tell_log();
    case TerminationAction::kForget: co_return forget();
    case TerminationAction::kRest:
    case TerminationAction::kWithdraw:
    case TerminationAction::kFinish: break;
  }
  co_return news_of(action, TerminationOutcome::kDone);
}

asio::awaitable<TerminationNews> Termination::identify() {
  std::function<Result<Identity>()> work = [ask = parts_.machine.identify, url = parts_.settings.instance.imds_url,
                                            stop = stop_work_.get_token()] { return ask(url, stop); };
  auto identity = co_await worker().compute<Identity>(std::move(work), kAsk);
  if (!identity) {
    co_return news_of(TerminationAction::kIdentify, TerminationOutcome::kUnreachable, identity.error().message());
  }
  identity_ = *std::move(identity);
  co_return news_of(TerminationAction::kIdentify, TerminationOutcome::kDone, identity_->id);
}

asio::awaitable<TerminationNews> Termination::call(TerminationAction action, bool decrement) {
  AwsCli cli;
  cli.settings = parts_.settings.instance;
  cli.identity = *identity_;
  cli.call = parts_.times.call;
  std::function<Result<TerminationNews>()> work = [call = parts_.machine.call, cli, action, decrement,
                                                   stop = stop_work_.get_token()] {
    return Result<TerminationNews>(call(cli, action, decrement, stop));
  };
  auto news = co_await worker().compute<TerminationNews>(std::move(work), cli.call + kMore);
  if (!news) co_return news_of(action, TerminationOutcome::kUnreachable, news.error().message());
  co_return *std::move(news);
}

asio::awaitable<TerminationNews> Termination::tell_agent(TerminationAction action) {
  const auto& steps = memory_.intent->steps;
  const bool runs = action == TerminationAction::kStartAgent || (!steps.empty() && steps.back().pid != 0);
  if (!runs) co_return news_of(action, TerminationOutcome::kDone, "no agent runs");
  std::function<Result<TerminationNews>()> work = [tell = parts_.machine.tell_agent, unit = parts_.settings.agent.unit,
                                                   action, stop = stop_work_.get_token()] {
    return Result<TerminationNews>(tell(unit, action, stop));
  };
  auto news = co_await worker().compute<TerminationNews>(std::move(work), kAsk);
  if (!news) co_return news_of(action, TerminationOutcome::kUnreachable, news.error().message());
  co_return *std::move(news);
}

asio::awaitable<TerminationNews> Termination::tell_log() {
  const auto line = format("{} buildwarden: this instance ({}) is being terminated: {}",
                           format_rfc3339(parts_.clock.now().wall), memory_.intent->instance, memory_.intent->reason);
  std::function<Result<bool>()> work = [write = parts_.machine.write_line, path = parts_.settings.paths.stack_log,
                                        line]() -> Result<bool> {
    auto written = write(path, line);
    if (!written) return std::move(written).error();
    return true;
  };
  auto written = co_await worker().compute<bool>(std::move(work), kAsk);
  if (written) co_return news_of(TerminationAction::kTell, TerminationOutcome::kDone, line);
  co_return news_of(TerminationAction::kTell, TerminationOutcome::kRefused, written.error().message());
}

TerminationNews Termination::forget() {
  auto removed = file_.remove();
  if (removed) return news_of(TerminationAction::kForget, TerminationOutcome::kDone);
  // It stays in memory then, too: the file would be taken up by the next daemon.
  auto news = news_of(TerminationAction::kRest, TerminationOutcome::kRefused, removed.error().message());
  return news;
}

}  // namespace buildwarden::instance
