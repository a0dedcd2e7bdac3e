// A seed made of a builder that nobody uses.
#include <chrono>
#include <utility>

#include "common/format.h"
#include "daemon/seeds/builder_seed.h"
#include "daemon/seeds/busy.h"
#include "daemon/seeds/image_list.h"
#include "daemon/seeds/tasks.h"

namespace buildwarden::seeds {
namespace asio = boost::asio;
namespace {

constexpr Duration kAskPatience = std::chrono::minutes{1};
constexpr Duration kSavePatience = std::chrono::minutes{30};
constexpr Duration kAfterFailure = std::chrono::minutes{10};
constexpr Duration kGrain = std::chrono::seconds{1'000'000};  // of the jitter that is a share

}  // namespace

policy::SaveFacts BuilderSeed::save_facts() const {
  const auto& seeds = parts_.settings.seeds;
  policy::SaveFacts facts;
  facts.when = seeds.save;
  facts.wanted = is_wanted();
  facts.dry_run = parts_.settings.dry_run;
  facts.every = seeds.every;
  facts.max_size = seeds.max_size;
  facts.draining = parts_.draining && parts_.draining();
  facts.idle_since = idle_since_;
  for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
    if (!filesystem.keeps.contains(ports::Kept::kVolumes)) continue;
    facts.disk_ok = filesystem.error.empty() && filesystem.pressure.level == policy::Level::kOk;
  }
  if (const auto builder = builder_view()) {
    facts.warm = builder->state == policy::BuilderState::kWarm;
    facts.leases = builder->leases.size();
    facts.running_builds = builder->running_builds;
    facts.cache_bytes = builder->cache_bytes;
  }
  if (there_) facts.age = parts_.clock.now().wall - there_->created_at;
  return facts;
}

asio::awaitable<Duration> BuilderSeed::look_for_save() {
  const auto now = parts_.clock.now();
  auto facts = save_facts();
  const bool used = !facts.warm || facts.leases > 0 || facts.running_builds != 0;
  if (used) idle_since_.reset();
  if (!used && !idle_since_) idle_since_ = now.boot;
  facts.idle_since = idle_since_;
  auto plan = policy::plan_save(facts, false, now);
  rule_ = plan.rule;
  reason_ = plan.reason;
  constexpr Duration kNextLook = std::chrono::seconds{5};
  if (!plan.save || (ask_at_ && now.boot < *ask_at_)) co_return kNextLook;
  Result<Answer> seen = Error(Errc::kIo, "");
  {
    const Busy busy(&work_, Work::kLooking);
    seen = co_await order(order_for(Task::kLook), kAskPatience);
  }
  note_there(seen);
  const auto chance = static_cast<double>(parts_.jitter(kGrain).count()) / static_cast<double>(kGrain.count());
  const bool known = seen || seen.error().code() == Errc::kNotFound;
  facts = save_facts();
  ask_at_ = now.boot + (known ? policy::ask_again_after(facts.age, facts.every, chance) : kAfterFailure);
  plan = policy::plan_save(facts, true, parts_.clock.now());
  rule_ = known ? plan.rule : "unreachable";
  reason_ = known ? plan.reason : seen.error().message();
  if (!known || !plan.save) co_return kNextLook;
  ports::Progress nobody = [](const std::string&) {};
  const auto saved = co_await save_now(false, std::move(nobody));
  const bool came = !saved && given_up_;
  if (saved || !came) ask_at_ = parts_.clock.now().boot + (saved ? facts.every : kAfterFailure);
  if (came) ask_at_.reset();
  co_return kNextLook;
}

Result<Order> BuilderSeed::order_to_save() {
  auto stem = new_stem(parts_.clock.now().wall);
  if (!stem) return std::move(stem).error();
  const auto builder = builder_view();
  if (!builder || builder_settings() == nullptr || builder->version.empty()) {
    return Error(Errc::kUnavailable, "the version of its BuildKit is not known yet");
  }
  auto wanted = order_for(Task::kSave);
  wanted.stem = *std::move(stem);
  wanted.manifest.builder = name_;
  wanted.manifest.architecture = wanted.place.architecture;
  wanted.manifest.buildkit = builder->version;
  wanted.manifest.engine = parts_.engine.status().identity.version;
  wanted.manifest.instance = parts_.self ? parts_.self() : "";
  wanted.manifest.created_at = parts_.clock.now().wall;
  return wanted;
}

ports::Async<ports::SeedDone> BuilderSeed::save_now(bool asked, ports::Progress progress) {
  if (work_ != Work::kNone) co_return busy_error();
  const Busy busy(&work_, Work::kSaving);
  given_up_ = false;
  const auto began = parts_.clock.now().boot;
  // Builds' attributes lie in the history, secrets among them.
  progress(format("builder {}: deleting what it remembers of its builds", name_));
  auto forgotten = co_await parts_.forget_builds(name_);
  Result<Answer> packed = Error(Errc::kIo, "");
  Result<std::string> left_out = std::string();
  if (forgotten) left_out = co_await make_fit();
  auto wanted_save = order_to_save();
  if (!forgotten) {
    packed = std::move(forgotten).error();
  } else if (!left_out) {
    packed = left_out.error();
  } else if (!wanted_save) {
    packed = std::move(wanted_save).error();
  } else {
    progress(format("builder {}: paused while its volume is read", name_));
    packed = co_await pack_paused(*std::move(wanted_save));
  }
  Result<Answer> published = Error(Errc::kIo, "");
  auto remark = left_out ? *left_out : std::string();
  if (packed) {
    progress(format("builder {}: goes on; the manifest is written", name_));
    published = co_await publish(*packed->manifest, &remark);
  } else {
    published = packed.error();
  }
  const auto took = parts_.clock.now().boot - began;
  if (!published) {
    const bool came = given_up_;
    auto error = came ? Error(Errc::kConflict, "a job came; the save is given up and tried later") : published.error();
    rule_ = came ? "given_up" : "not_saved";
    reason_ = format("no seed was made of builder {}: {}", name_, error.message());
    record(came ? "seed.given_up" : "seed.not_saved", rule_, reason_, {}, took);
    finish("save", came ? "given_up" : "failed", took);
    co_return error;
  }
  note_there(published);
  ports::SeedDone done;
  done.bytes = packed->bytes;
  done.entries = packed->entries;
  done.archive_bytes = policy::archive_bytes(*packed->manifest);
  done.took = took;
  done.rule = rule_ = asked ? "asked" : "saved";
  done.reason = reason_ =
      format("a seed was made of builder {}: {} in {} entries, packed into {} in {}", name_, format_bytes(done.bytes),
             done.entries, format_bytes(done.archive_bytes), format_duration(took)) +
      remark;
  record("seed.saved", done.rule, done.reason, *packed, took);
  finish("save", "done", took);
  co_return done;
}

ports::Async<std::string> BuilderSeed::make_fit() {
  const auto most = policy::bring_down_to(save_facts());
  if (!most || !parts_.bring_down) co_return std::string();
  auto done = co_await parts_.bring_down(name_, *most);
  if (!done) {
    co_return std::move(done).with_context("bringing its cache down to seeds.max_size").error();
  }
  co_return format("; {}", *done);
}

ports::Async<std::vector<std::string>> BuilderSeed::images_for_seed() {
  const auto most = parts_.settings.seeds.images;
  if (most <= 0 || parts_.worth == nullptr) co_return std::vector<std::string>();
  ImageList list{parts_.images, *parts_.worth, parts_.workers, static_cast<std::size_t>(most)};
  for (const auto& builder : parts_.settings.builders) list.without.push_back(builder.image);
  co_return co_await list_valuable_images(std::move(list), parts_.clock.now());
}

// A seed without its images is one all the same.
ports::Async<Answer> BuilderSeed::publish(policy::SeedManifest manifest, std::string* remark) {
  auto images = co_await images_for_seed();
  if (!images) *remark += format("; it lists no images: {}", images.error().message());
  if (images) manifest.images = *std::move(images);
  auto wanted = order_for(Task::kPublish);
  wanted.manifest = std::move(manifest);
  co_return co_await order(std::move(wanted), kAskPatience);
}

// From here on until it is unpaused nobody else touches the container: holds().
ports::Async<Answer> BuilderSeed::pack_paused(Order wanted) {
  const auto builder = builder_view();
  if (!builder) co_return Error(Errc::kNotFound, "the builder is configured no more");
  // Before the pause: no builder stays paused for the sake of a thread.
  const auto free = co_await await_worker();
  if (!free) {
    co_return Error(Errc::kUnavailable, format("an earlier order keeps the worker: {}", free.error().message()));
  }
  const auto container = co_await parts_.containers.inspect_container(builder->container);
  if (!container) co_return container.error();
  if (!container->ours || container->state != policy::ContainerState::kRunning) {
    co_return Error(Errc::kUnavailable, "its container does not run, or is not ours");
  }
  auto discard = wanted;
  discard.task = Task::kDiscard;
  holds_ = true;
  // Not before holds_: who asks from now on gives it up.
  const auto again = policy::plan_save_asked(save_facts(), parts_.clock.now());
  Result<Answer> packed = Error(Errc::kConflict, again.reason);
  if (again.save) {
    auto paused = co_await parts_.control.act_on_container(container->id, ports::ContainerVerb::kPause);
    const bool is_paused = paused.ok();
    if (!is_paused) packed = paused.error();
    if (is_paused && given_up_) packed = Error(Errc::kConflict, "a job came");
    if (is_paused && !given_up_) packed = co_await order(std::move(wanted), kSavePatience);
    const bool came = given_up_;
    auto resumed = co_await parts_.control.act_on_container(container->id, ports::ContainerVerb::kUnpause);
    // Somebody unpaused it meanwhile: what was read is of no use.
    if (!resumed && is_paused) packed = std::move(resumed).error();
    given_up_ = came;
    if (came) packed = Error(Errc::kConflict, "a job came");
  } else {
    given_up_ = again.rule == "leased" || again.rule == "builds";
  }
  holds_ = false;
  parts_.wake_builder(name_);
  if (!packed && again.save && !loop_timer_.stopped())
    static_cast<void>(co_await order(std::move(discard), kAskPatience));
  co_return packed;
}

ports::Async<ports::SeedDone> BuilderSeed::save(ports::SeedRequest request, ports::Progress progress) {
  const auto plan = policy::plan_save_asked(save_facts(), parts_.clock.now());
  if (!plan.save) co_return Error(Errc::kConflict, plan.reason);
  if (work_ != Work::kNone) co_return busy_error();
  if (!request.dry_run) co_return co_await save_now(true, std::move(progress));
  const Busy busy(&work_, Work::kLooking);
  auto measured = co_await order(order_for(Task::kMeasure), kAskPatience);
  if (!measured) co_return std::move(measured).error();
  ports::SeedDone done;
  done.dry_run = true;
  done.bytes = measured->bytes;
  done.entries = measured->entries;
  done.rule = "asked";
  done.reason = format("a seed of builder {} would have {} in {} entries; seeds.max_size is {}", name_,
                       format_bytes(done.bytes), done.entries, format_bytes(parts_.settings.seeds.max_size));
  co_return done;
}

}  // namespace buildwarden::seeds
