#include "daemon/seeds/builder_seed.h"

#include <sys/utsname.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "common/format.h"

namespace buildwarden::seeds {
namespace asio = boost::asio;
namespace {

constexpr Duration kSoonAgain = std::chrono::milliseconds{250};
constexpr Duration kUsually = std::chrono::seconds{5};
constexpr Duration kOff = std::chrono::minutes{1};

// As images name it.
std::string own_architecture() {
  struct utsname names{};
  if (::uname(&names) != 0) return "";
  const std::string machine = names.machine;
  if (machine == "x86_64") return "amd64";
  return machine == "aarch64" ? "arm64" : machine;
}

std::string snapshotter_in(const std::string& buildkitd_toml) {
  const auto at = buildkitd_toml.find("snapshotter");
  if (at == std::string::npos) return "";
  const auto begin = buildkitd_toml.find('"', at);
  const auto end = begin == std::string::npos ? begin : buildkitd_toml.find('"', begin + 1);
  return end == std::string::npos ? "" : buildkitd_toml.substr(begin + 1, end - begin - 1);
}

// That the operator asked for; "": BuildKit's own choice.
std::string asked_snapshotter(const BuilderSettings& builder) {
  constexpr std::string_view kFlag = "--oci-worker-snapshotter=";
  for (const auto& flag : builder.buildkitd_flags) {
    if (flag.starts_with(kFlag)) return flag.substr(kFlag.size());
  }
  auto asked = snapshotter_in(builder.buildkitd_text);
  return asked == "auto" ? "" : asked;
}

}  // namespace

BuilderSeed::BuilderSeed(std::string builder, const SeedParts& parts) : name_(std::move(builder)), parts_(parts) {}

asio::awaitable<void> BuilderSeed::run() { return loop_timer_.run(loop()); }

void BuilderSeed::stop() {
  stop_.request_stop();
  loop_timer_.stop();
}

// A stop ends what is waited for, and no more: a container that is paused is unpaused all the same.
asio::awaitable<void> BuilderSeed::loop() {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!loop_timer_.stopped()) {
    const auto pause = co_await turn();
    co_await loop_timer_.sleep_for(pause);
  }
}

asio::awaitable<Duration> BuilderSeed::turn() {
  if (work_ != Work::kNone) co_return kSoonAgain;
  if (!is_wanted()) co_return kOff;
  if (decided_for_.empty() || (decided_for_ != scope() && parts_.engine.status().up)) {
    co_await decide_start();
    co_return decided_for_.empty() ? kSoonAgain : Duration{0};
  }
  if (parts_.settings.seeds.save == SeedSave::kNever) co_return kOff;
  const auto pause = co_await look_for_save();
  co_return std::min(pause, kUsually);
}

std::string BuilderSeed::awaited() const {
  const auto& settings = parts_.settings;
  if (!is_wanted() || !settings.seeds.restore || settings.dry_run) return "";
  if (!decided_for_.empty() && decided_for_ == scope()) return "";
  const Bytes of = progress_->of;
  if (work_ != Work::kRestoring || of <= 0)
    return format("whether there is a seed for builder {} is being looked at", name_);
  return format("builder {} is being restored from a seed: {} of {}", name_, format_bytes(progress_->done),
                format_bytes(of));
}

bool BuilderSeed::give_up() {
  if (work_ != Work::kSaving || !holds_) return false;
  given_up_ = true;
  stop_.request_stop();
  return true;
}

ports::SeedView BuilderSeed::view() const {
  ports::SeedView view;
  view.builder = name_;
  view.rule = rule_;
  view.reason = reason_;
  view.there = there_;
  view.asked_at = asked_at_;
  if (there_) view.age = std::max(parts_.clock.now().wall - there_->created_at, Duration{0});
  view.restored_from = restored_from_;
  switch (work_) {
    case Work::kLooking: view.state = "looking"; break;
    case Work::kRestoring: view.state = "restoring"; break;
    case Work::kSaving: view.state = "saving"; break;
    case Work::kNone: view.state = !is_wanted() ? "off" : decided_for_.empty() ? "undecided" : "idle"; break;
  }
  view.done = progress_->done;
  view.of = progress_->of;
  if (there_) {
    // Of a builder that runs its own version is known; of one that does not start yet that is looked at later.
    const auto builder = builder_view();
    const auto version = builder ? builder->version : std::string();
    const auto refusal = version.empty()
                             ? policy::seed_refusal_without_image(*there_, host(""), parts_.settings.seeds.max_size)
                             : policy::seed_refusal(*there_, host(version), parts_.settings.seeds.max_size);
    if (refusal) view.refusal = refusal->reason;
  }
  return view;
}

Order BuilderSeed::order_for(Task task) const {
  const auto& settings = parts_.settings;
  Order order;
  order.task = task;
  order.place.location = settings.seeds.location;
  order.place.builder = name_;
  order.place.architecture = own_architecture();
  order.place.aws_cli = settings.instance.aws_cli;
  order.place.region = settings.instance.region;
  order.place.endpoint_url = settings.seeds.endpoint_url;
  if (settings.instance.imds_url != InstanceSettings{}.imds_url) order.place.imds_url = settings.instance.imds_url;
  order.most = settings.seeds.max_size;
  if (const auto builder = builder_view()) order.volume = folder_of(builder->volume);
  return order;
}

Error BuilderSeed::busy_error() const {
  switch (work_) {
    case Work::kSaving: return {Errc::kConflict, format("a save of {} is under way", name_)};
    case Work::kRestoring: return {Errc::kConflict, format("a restore of {} is under way", name_)};
    default: return {Errc::kConflict, format("the seed of {} is being looked at", name_)};
  }
}

// One that timed out may keep it: a thread cannot be stopped.
ports::Async<void> BuilderSeed::await_worker() {
  constexpr Duration kPatience = std::chrono::seconds{5};
  std::function<void()> nothing = [] {};
  co_return co_await order_worker_.run(std::move(nothing), kPatience);
}

// A variable of its own for what is awaited: the stop source is exchanged for each order.
ports::Async<Answer> BuilderSeed::order(Order wanted, Duration patience) {
  stop_ = std::stop_source();
  if (loop_timer_.stopped()) co_return Error(Errc::kCancelled, "stopping");
  progress_->done = 0;
  progress_->of = 0;
  SeedCall call;
  call.order = std::move(wanted);
  call.patience = patience;
  call.progress = progress_;
  call.stop = stop_.get_token();
  auto answer = co_await carry_out(order_worker_, parts_.run, std::move(call));
  // Where nobody waits for it any more it is killed.
  if (!answer) stop_.request_stop();
  co_return answer;
}

std::string BuilderSeed::folder_of(const std::string& volume) const {
  return parts_.engine.status().identity.root_dir + "/volumes/" + volume;
}

std::optional<ports::BuilderView> BuilderSeed::builder_view() const {
  for (auto& builder : parts_.builders.builders_view().builders) {
    if (builder.name == name_) return builder;
  }
  return std::nullopt;
}

const BuilderSettings* BuilderSeed::builder_settings() const {
  for (const auto& builder : parts_.settings.builders) {
    if (builder.name == name_) return &builder;
  }
  return nullptr;
}

bool BuilderSeed::is_wanted() const {
  const auto* builder = builder_settings();
  return !parts_.settings.seeds.location.empty() && builder != nullptr && builder->seed;
}

policy::SeedHost BuilderSeed::host(std::string buildkit) const {
  policy::SeedHost host;
  host.builder = name_;
  host.architecture = own_architecture();
  host.buildkit = std::move(buildkit);
  if (const auto* builder = builder_settings()) host.snapshotter = asked_snapshotter(*builder);
  if (host.snapshotter.empty()) host.snapshotter = usual_snapshotter_;
  return host;
}

policy::SeedRoom BuilderSeed::room() const {
  for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
    if (!filesystem.keeps.contains(ports::Kept::kVolumes) || !filesystem.reading || !filesystem.error.empty()) continue;
    const auto& reading = *filesystem.reading;
    return {reading.free, filesystem.marks.target, reading.total_inodes > 0, reading.free_inodes,
            filesystem.marks.target_inodes};
  }
  return {};
}

std::string BuilderSeed::scope() const {
  const auto identity = parts_.engine.status().identity;
  return identity.id.empty() ? "" : identity.id + " " + identity.root_dir;
}

Duration BuilderSeed::left_until(BootTime until) const {
  return std::max(until - parts_.clock.now().boot, Duration{0});
}

void BuilderSeed::note_there(const Result<Answer>& seen) {
  asked_at_ = parts_.clock.now().wall;
  there_.reset();
  if (seen) there_ = seen->manifest;
}

void BuilderSeed::record(std::string kind, const std::string& rule, std::string reason, const Answer& answer,
                         Duration took) {
  ports::Event event;
  event.kind = std::move(kind);
  const bool is_bad = event.kind == "seed.refused" || event.kind == "seed.not_saved";
  event.severity = is_bad ? ports::Severity::kWarning : ports::Severity::kInfo;
  event.rule = rule;
  event.reason = std::move(reason);
  event.fields = {{"builder", name_},
                  {"bytes", answer.bytes},
                  {"entries", answer.entries},
                  {"seconds", std::chrono::duration<double>(took).count()}};
  parts_.journal.record(std::move(event));
}

void BuilderSeed::finish(const std::string& operation, const std::string& result, Duration took) {
  if (parts_.finished) parts_.finished(name_, operation, result, took);
}

}  // namespace buildwarden::seeds
