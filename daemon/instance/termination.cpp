#include "daemon/instance/termination.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "common/format.h"
#include "common/tick.h"

namespace buildwarden::instance {
namespace asio = boost::asio;

namespace {

using policy::TerminationAction;
using policy::TerminationState;

constexpr Duration kLook = std::chrono::seconds{20};  // for a worker that asks systemd

std::function<double()> real_chance() {
  return [engine = std::minstd_rand(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

bool is_at_work(TerminationState state) { return state != TerminationState::kNone && state != TerminationState::kDone; }

}  // namespace

Termination::Termination(Parts parts)
    : parts_(std::move(parts)),
      file_(parts_.settings.paths.run, parts_.boot_id),
      once_ok_(parts_.settings.paths.run, parts_.boot_id),
      began_(parts_.clock.now().boot) {
  if (!parts_.chance) parts_.chance = real_chance();
}

Termination::~Termination() = default;

WorkerPool& Termination::worker() {
  if (!worker_) worker_ = std::make_unique<WorkerPool>(1);
  return *worker_;
}

void Termination::restore() {
  once_ok_.load();
  auto loaded = file_.load();
  if (!loaded) {
    record("instance.intent_discarded", ports::Severity::kWarning,
           format("the termination that was begun before is not gone on with: {}", loaded.error().message()),
           "discarded");
    return;
  }
  memory_.intent = *std::move(loaded);
  if (!memory_.intent) return;
  view_.state = TerminationState::kDraining;  // no job may start before the first look
  view_.reason = "a termination was begun before the daemon's restart";
  view_.rule = "restored";
  view_.since = parts_.clock.now().wall;
}

void Termination::ask(const std::string& device) {
  asked_.insert(device);
  loop_timer_.wake();
}

void Termination::look_now() { loop_timer_.wake(); }

// One disk's wish is enough; rather that of one that may be followed.
void Termination::take_wishes(const policy::TerminationFacts& facts) {
  const auto may_be_followed = [&facts](const std::string& device) {
    return std::any_of(facts.gates.begin(), facts.gates.end(), [&device](const policy::GateFacts& gate) {
      return gate.device == device && gate.was_ok && gate.mistake.empty();
    });
  };
  for (const auto& device : std::exchange(asked_, {})) {
    auto& by = memory_.wanted_by;
    if (by.empty() || (!may_be_followed(by) && may_be_followed(device))) by = device;
  }
}

policy::TerminationFacts Termination::facts_at_hand() {
  const auto& settings = parts_.settings;
  policy::TerminationFacts facts;
  facts.wanted = settings.on_full.terminate_instance;
  facts.dry_run = settings.dry_run;
  facts.decrement = settings.instance.decrement;
  facts.min_uptime = settings.instance.min_uptime;
  facts.drain_timeout = settings.instance.drain_timeout;
  facts.has_agent = !settings.agent.unit.empty();
  facts.goes_after_job = settings.agent.terminate_after_job;
  facts.chance = parts_.chance();
  for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
    if (!filesystem.gate) continue;
    const auto level = filesystem.error.empty() ? filesystem.pressure.level : policy::Level::kUnknown;
    const auto& marks = filesystem.marks;
    if (level == policy::Level::kOk && marks.mistake.empty()) once_ok_.note(filesystem.device, marks);
    facts.gates.push_back({filesystem.device, filesystem.mount, level, filesystem.pressure.reason,
                           once_ok_.has(filesystem.device, marks), marks.mistake});
  }
  const auto engine = parts_.engine.status();
  const auto now = parts_.clock.now().boot;
  if (!engine.up) facts.engine_away = now - (engine.since ? engine.since->boot : began_);
  if (identity_) facts.instance = identity_->id;
  if (identity_) facts.region = identity_->region;
  return facts;
}

// Agent and jobs are asked for only where it depends on them.
asio::awaitable<policy::TerminationFacts> Termination::observe() {
  auto facts = facts_at_hand();
  take_wishes(facts);
  const bool begun = memory_.intent && policy::last_step(*memory_.intent, TerminationAction::kFinish) == nullptr;
  const bool due = memory_.go_at && parts_.clock.now().boot >= *memory_.go_at;
  if ((begun || due) && !facts.dry_run) co_await observe_others(&facts);
  co_return facts;
}

asio::awaitable<void> Termination::observe_others(policy::TerminationFacts* facts) {
  if (facts->has_agent) {
    std::function<Result<policy::AgentFacts>()> work =
        [look = parts_.machine.look_at_agent, unit = parts_.settings.agent.unit, stop = stop_work_.get_token()] {
          return Result<policy::AgentFacts>(look(unit, stop));
        };
    auto agent = co_await worker().compute<policy::AgentFacts>(std::move(work), kLook);
    if (!agent) facts->agent.trouble = agent.error().message();
    if (agent) facts->agent = *std::move(agent);
  }
  auto running = co_await parts_.running_jobs.running();
  if (running) facts->jobs = static_cast<int>(running->size());
  if (!running) facts->jobs_trouble = running.error().message();
}

asio::awaitable<bool> Termination::turn() {
  auto facts = co_await observe();
  auto plan = policy::plan_termination(facts, memory_, parts_.times, parts_.clock.now());
  const auto action = plan.action;
  const auto decrement = plan.decrement;
  const bool saved = save(plan);
  show(plan);
  if (!saved) co_return false;
  memory_ = std::move(plan.memory);
  if (action == TerminationAction::kRest) co_return false;
  auto news = co_await act(action, decrement);
  if (loop_timer_.stopped()) co_return false;
  news.chance = parts_.chance();
  record_step(news);
  memory_ = policy::note_outcome(std::move(memory_), news, parts_.times, parts_.clock.now());
  // The outcome as well: what is left open is what was under way when the daemon ended.
  if (memory_.intent) (void)file_.save(*memory_.intent).ok();
  co_return news.action == action;
}

asio::awaitable<void> Termination::run() { return loop_timer_.run(loop()); }

Duration Termination::pause() const {
  if (!is_at_work(view_.state)) return kIdleTick;
  if (!due_) return parts_.times.look;
  return std::clamp(*due_ - parts_.clock.now().boot, Duration{1}, parts_.times.look);
}

asio::awaitable<void> Termination::loop() {
  while (!loop_timer_.stopped()) {
    const bool again = co_await turn();
    if (!again) co_await loop_timer_.sleep_for(pause());
  }
}

void Termination::stop() {
  stop_work_.request_stop();
  loop_timer_.stop();
}

}  // namespace buildwarden::instance
