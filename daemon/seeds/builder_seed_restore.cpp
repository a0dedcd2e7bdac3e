// A builder's first start, from a seed where there is one that fits.
#include <fcntl.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/loop_timer.h"
#include "common/unique_fd.h"
#include "daemon/seeds/builder_seed.h"
#include "daemon/seeds/busy.h"
#include "daemon/seeds/tasks.h"

namespace buildwarden::seeds {
namespace asio = boost::asio;
namespace {

constexpr Duration kEngineSettles = std::chrono::seconds{2};
constexpr Duration kLookPatience = std::chrono::seconds{10};
constexpr Duration kCleanPatience = std::chrono::minutes{3};
constexpr Duration kImagePause = std::chrono::milliseconds{200};
constexpr Duration kRestoreByHand = std::chrono::minutes{30};
// The label (ports::kSpecLabel) of the containers that tell BuildKit's version.
constexpr std::string_view kVersionSpec = "seed-version";

// On these the kernel's overlay cannot have its upper folders (overlayfs, NFS), so BuildKit chooses another
// snapshotter.
std::string snapshotter_on(int folder) {
  constexpr long kOverlay = 0x794c7630;
  constexpr long kNfs = 0x6969;
  struct statfs info{};
  if (::fstatfs(folder, &info) != 0) return "";
  return info.f_type == kOverlay || info.f_type == kNfs ? "native" : "overlayfs";
}

// "buildkitd github.com/moby/buildkit v0.13.1 2": the third word.
std::string version_in(const std::string& text) {
  std::istringstream words{text};
  std::string program;
  std::string package;
  std::string version;
  words >> program >> package >> version;
  return program == "buildkitd" && version.starts_with('v') ? version : std::string();
}

std::string rule_of(const Error& error) {
  switch (error.code()) {
    case Errc::kNotFound: return "no_seed";
    case Errc::kDenied: return "denied";
    case Errc::kTimeout: return "timeout";
    case Errc::kCancelled: return "stopped";
    case Errc::kInvalid: return "hostile";
    case Errc::kProtocol: return "damaged";
    case Errc::kUnavailable: return "unreachable";
    case Errc::kTooLarge: return "no_room";
    case Errc::kConflict: return "unfit";
    default: return "failed";
  }
}

}  // namespace

asio::awaitable<BuilderSeed::VolumeLook> BuilderSeed::look_at_volume(std::string folder) {
  struct Seen {
    VolumeLook look;
    std::string snapshotter;
  };
  std::function<Result<Seen>()> work = [folder = std::move(folder)]() -> Result<Seen> {
    Seen seen;
    const UniqueFd volumes(::open(folder.substr(0, folder.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!volumes.open()) return seen;
    seen.snapshotter = snapshotter_on(volumes.get());
    const auto name = folder.substr(folder.rfind('/') + 1);
    const auto volume = open_beneath(volumes.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!volume.open()) {
      if (errno == ENOENT) seen.look.empty = true;
      return seen;
    }
    seen.look.leftover = open_beneath(volume.get(), kStaging, O_PATH | O_CLOEXEC).open();
    const auto data = open_beneath(volume.get(), kData, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!data.open()) return seen;
    const auto entries = some_entries_of(data.get(), folder, 1);
    if (entries) seen.look.empty = entries->all == 0;
    return seen;
  };
  auto seen = co_await parts_.workers.compute<Seen>(std::move(work), kLookPatience);
  if (!seen) co_return VolumeLook{};
  usual_snapshotter_ = seen->snapshotter;
  co_return seen->look;
}

asio::awaitable<policy::RestoreFacts> BuilderSeed::restore_facts(VolumeLook* look) {
  policy::RestoreFacts facts;
  facts.wanted = is_wanted() && parts_.settings.seeds.restore;
  facts.dry_run = parts_.settings.dry_run;
  const auto status = parts_.engine.status();
  const auto builder = builder_view();
  const bool settled = status.since && parts_.clock.now().boot - status.since->boot >= kEngineSettles;
  facts.engine_up = status.up && !status.identity.id.empty() && settled && builder;
  if (!facts.wanted || facts.dry_run || !facts.engine_up) co_return facts;
  const auto container = co_await parts_.containers.inspect_container(builder->container);
  if (!container) {
    facts.engine_up = false;
    co_return facts;
  }
  facts.container = container->state != policy::ContainerState::kMissing;
  *look = co_await look_at_volume(folder_of(builder->volume));
  facts.volume_empty = look->empty;
  co_return facts;
}

asio::awaitable<void> BuilderSeed::decide_start() {
  const Busy busy(&work_, Work::kLooking);
  const auto for_engine = scope();
  VolumeLook look;
  const auto facts = co_await restore_facts(&look);
  if (loop_timer_.stopped()) co_return;
  const auto plan = policy::plan_restore(facts);
  rule_ = plan.rule;
  reason_ = plan.reason;
  if (plan.verdict == policy::RestoreVerdict::kWait || for_engine.empty()) co_return;
  if (plan.verdict == policy::RestoreVerdict::kLook) {
    co_await restore_first();
  } else if (look.leftover) {
    const auto cleaned = co_await order(order_for(Task::kClean), kCleanPatience);
    if (!cleaned) reason_ += format("; {}", cleaned.error().message());
  }
  if (loop_timer_.stopped() || for_engine != scope()) co_return;
  decided_for_ = for_engine;
  parts_.wake_builder(name_);
}

asio::awaitable<void> BuilderSeed::restore_first() {
  const auto began = parts_.clock.now().boot;
  const auto until = began + parts_.settings.seeds.restore_timeout;
  auto manifest = co_await fitting_seed(until);
  Result<Answer> answer = Error(Errc::kNotFound, "there is no seed");
  if (!manifest) answer = manifest.error();
  if (manifest) {
    const auto volume = builder_view();
    work_ = Work::kRestoring;
    answer = co_await unpack(*manifest, volume ? volume->volume : "", until);
  }
  if (loop_timer_.stopped()) co_return;
  const auto took = parts_.clock.now().boot - began;
  if (answer) {
    if (parts_.fetch_images && parts_.settings.seeds.images > 0) parts_.fetch_images(manifest->images);
    restored_from_ = format_rfc3339(manifest->created_at);
    rule_ = "restored";
    reason_ = format("builder {} begins from the seed of {}, {} in {} entries, restored in {}", name_, restored_from_,
                     format_bytes(answer->bytes), answer->entries, format_duration(took));
    record("seed.restored", rule_, reason_, *answer, took);
    finish("restore", "done", took);
    co_return;
  }
  rule_ = rule_of(answer.error());
  const bool none = rule_ == "no_seed" && !manifest;
  reason_ = none ? format("there is no seed for builder {} yet, so it starts cold", name_)
                 : format("builder {} starts cold: {}", name_, answer.error().message());
  record(none ? "seed.none" : "seed.refused", rule_, reason_, {}, took);
  finish("restore", none ? "none" : "refused", took);
}

// What is at the location, if it is for this builder and there is room for it.
ports::Async<policy::SeedManifest> BuilderSeed::fitting_seed(BootTime until) {
  auto seen = co_await order(order_for(Task::kLook), left_until(until));
  note_there(seen);
  if (!seen) co_return std::move(seen).error();
  if (!seen->manifest) co_return Error(Errc::kProtocol, "the location gave no manifest");
  const auto& most = parts_.settings.seeds.max_size;
  auto refusal = policy::seed_refusal_without_image(*seen->manifest, host(""), most);
  if (refusal) co_return Error(Errc::kConflict, format("the seed does not fit: {}", refusal->reason));
  if (auto why = policy::no_room_for(*seen->manifest, room()); !why.empty()) {
    co_return Error(Errc::kTooLarge, format("there is no room for the seed: {}", why));
  }
  auto version = co_await version_of_image(until);
  if (!version) co_return std::move(version).with_context("asking the image for BuildKit's version").error();
  refusal = policy::seed_refusal(*seen->manifest, host(*version), most);
  if (refusal) co_return Error(Errc::kConflict, format("the seed does not fit: {}", refusal->reason));
  co_return *std::move(seen->manifest);
}

// Removes the container that an earlier daemon left there. kConflict: one of somebody else's, or of ours for another
// purpose; it stays.
ports::Async<void> BuilderSeed::free_name(std::string container) {
  const auto seen = co_await parts_.containers.inspect_container(container);
  if (!seen) co_return seen.error();
  if (seen->state == policy::ContainerState::kMissing) co_return Result<void>{};
  if (!seen->ours || seen->spec_digest != kVersionSpec) {
    co_return Error(Errc::kConflict, format("container {} is not of a seed, and stays", container));
  }
  auto removed = co_await parts_.control.act_on_container(seen->id, ports::ContainerVerb::kRemove);
  if (!removed && removed.error().code() == Errc::kNotFound) co_return Result<void>{};
  co_return removed;
}

// The image is brought meanwhile, by those who keep the builder. It tells its version in a container of its own, which
// has nothing of the builder's.
ports::Async<std::string> BuilderSeed::version_of_image(BootTime until) {
  const auto* builder = builder_settings();
  if (builder == nullptr) co_return Error(Errc::kNotFound, "the builder is configured no more");
  const auto image = builder->image;
  while (left_until(until) > Duration{0} && !loop_timer_.stopped()) {
    const auto id = co_await parts_.images.image_id(image);
    if (id) break;
    if (id.error().code() != Errc::kNotFound) co_return id.error();
    const bool whole = co_await sleep_for(kImagePause);
    if (!whole) co_return Error(Errc::kCancelled, "stopping");
  }
  ports::ContainerSpec spec;
  spec.name = "buildwarden_seed_" + name_;
  spec.image = image;
  spec.entrypoint.assign({"buildkitd"});
  spec.command.assign({"--version"});
  spec.labels[std::string(ports::kOwnerLabel)] = std::string(ports::kOwner);
  spec.labels[std::string(ports::kSpecLabel)] = std::string(kVersionSpec);
  spec.network = "none";
  auto freed = co_await free_name(spec.name);
  if (!freed) co_return std::move(freed).error();
  auto id = co_await parts_.control.create_container(std::move(spec));
  if (!id) co_return std::move(id).error();
  auto started = co_await parts_.control.act_on_container(*id, ports::ContainerVerb::kStart);
  ports::ContainerControl::ExecLimits limits;
  limits.deadline = std::max(left_until(until), kImagePause);
  Result<ports::ContainerControl::ExecResult> said = Error(Errc::kIo, "it did not start");
  if (started) said = co_await parts_.output.await_container(*id, limits);
  if (!started) said = std::move(started).error();
  static_cast<void>(co_await parts_.control.act_on_container(*id, ports::ContainerVerb::kRemove));
  if (!said) co_return std::move(said).error();
  co_return version_in(said->output);
}

ports::Async<Answer> BuilderSeed::unpack(policy::SeedManifest manifest, std::string volume, BootTime until) {
  if (volume.empty()) co_return Error(Errc::kNotFound, "the builder is configured no more");
  auto made = co_await parts_.volumes.create_volume(volume);
  if (!made) co_return std::move(made).error();
  auto wanted = order_for(Task::kRestore);
  wanted.volume = folder_of(volume);
  wanted.manifest = std::move(manifest);
  auto clean = wanted;
  clean.task = Task::kClean;
  auto answer = co_await order(std::move(wanted), left_until(until));
  if (answer || loop_timer_.stopped()) co_return answer;
  // It may have been killed in the midst; what it left is beside the volume, and nobody reads it.
  static_cast<void>(co_await order(std::move(clean), kCleanPatience));
  co_return answer;
}

ports::Async<ports::SeedDone> BuilderSeed::restore(ports::SeedRequest request, ports::Progress progress) {
  if (!is_wanted()) co_return Error(Errc::kConflict, "seeds.location is empty, or the builder's seed is false");
  if (work_ != Work::kNone) co_return busy_error();
  if (decided_for_.empty()) {
    co_return Error(Errc::kConflict, format("builder {}'s first start is not decided yet: {}", name_, reason_));
  }
  const Busy busy(&work_, Work::kLooking);
  const auto began = parts_.clock.now().boot;
  const auto until = began + kRestoreByHand;
  progress(format("builder {}: looking for its seed", name_));
  auto manifest = co_await fitting_seed(until);
  if (!manifest) co_return std::move(manifest).error();
  const auto number = parts_.fresh_volume(name_);
  if (!number) co_return number.error();
  const auto volume = policy::volume_of(name_, *number);
  ports::SeedDone done;
  done.dry_run = request.dry_run || parts_.settings.dry_run;
  done.bytes = manifest->unpacked_bytes;
  done.archive_bytes = policy::archive_bytes(*manifest);
  done.entries = manifest->entries;
  done.rule = "asked";
  done.reason = format(
      "builder {} {} to volume {}, made of the seed of {}, once no build runs, as {} asked; the volume "
      "that it leaves is kept",
      name_, done.dry_run ? "would move" : "moves", volume, format_rfc3339(manifest->created_at), request.on_behalf_of);
  if (done.dry_run) co_return done;
  work_ = Work::kRestoring;
  progress(format("builder {}: restoring {} into volume {}", name_, format_bytes(done.bytes), volume));
  auto answer = co_await unpack(*manifest, volume, until);
  done.took = parts_.clock.now().boot - began;
  finish("restore", answer ? "done" : "failed", done.took);
  if (!answer) co_return std::move(answer).error();
  parts_.use_volume(name_, *number);
  restored_from_ = format_rfc3339(manifest->created_at);
  record("seed.restored", done.rule, done.reason, *answer, done.took);
  co_return done;
}

}  // namespace buildwarden::seeds
