#include "daemon/last_use/last_use_recorder.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/format.h"
#include "daemon/policy/image_names.h"
#include "daemon/policy/layers.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kListEvery = std::chrono::seconds{60};
constexpr Duration kListSoon{500};
constexpr Duration kRetryAfter = std::chrono::seconds{5};
constexpr Duration kReadDeadline = std::chrono::seconds{30};
constexpr std::size_t kMostMade = 256;  // containers; of more the next list tells, if they live so long

bool image_was_used(const std::string& action) {
  static const std::set<std::string> uses = {"pull", "push", "tag", "load", "import", "save", "create"};
  return uses.contains(action);
}

// Everything that is told of a container but its removal. What is run in one that lives is told of buildx's alone: the
// lists show that it runs.
bool container_used_image(const std::string& action) { return action != "destroy" && action != "prune"; }

bool runs(const ports::ContainerRecord& container) {
  using policy::ContainerState;
  return container.state == ContainerState::kRunning || container.state == ContainerState::kPaused ||
         container.state == ContainerState::kRestarting;
}

// The images that were used later than anything showed, since another is built on them: with that one.
std::vector<std::pair<std::string, std::string>> inherited(const std::vector<ports::ImageRecord>& images,
                                                           const std::vector<WallTime>& uses) {
  std::vector<const policy::LayerChain*> chains;
  chains.reserve(images.size());
  for (const auto& image : images) chains.push_back(&image.layers);
  const policy::LayerTree tree(chains);
  const auto users = policy::greatest_above(
      tree, images.size(), [&uses](std::size_t one, std::size_t other) { return uses[one] < uses[other]; });
  std::vector<std::pair<std::string, std::string>> passed;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (uses[users[i]] > uses[i]) passed.emplace_back(images[i].id, images[users[i]].id);
  }
  return passed;
}

}  // namespace

LastUseRecorder::LastUseRecorder(Parts parts) : parts_(std::move(parts)) {}

void LastUseRecorder::on_event(const ports::EngineEvent& event) {
  parts_.ledger.heard(event.at, event.before_start);
  if (parts_.builders != nullptr) parts_.builders->on_event(event);
  if (event.type == "container" && container_used_image(event.action)) {
    note_container(event);
  } else if (event.type == "image") {
    if (image_was_used(event.action) && !is_pulled_ahead(event)) {
      note(Use{event.id, event.at, format("image {}", event.action), event.before_start});
    }
    listing_wanted_ = true;
    wake();
  }
}

// By the container where a list had it: its name may be another image's by now, or nobody's.
void LastUseRecorder::note_container(const ports::EngineEvent& event) {
  const auto listed = images_of_.find(event.id);
  const auto image = event.attributes.find("image");
  if (listed == images_of_.end() && image == event.attributes.end()) return;
  auto name = listed == images_of_.end() ? image->second : listed->second;
  const bool is_begin = event.action == "create";
  Use use{std::move(name), event.at, format("container {}", event.action), event.before_start, is_begin};
  use.runs = is_begin && !event.before_start;
  note(std::move(use));
  if (event.action != "create" || event.before_start) return;
  made_.push_back(event);
  if (made_.size() > kMostMade) made_.erase(made_.begin());
  loop_timer_.wake();
}

void LastUseRecorder::on_connected(const ports::EngineIdentity& identity, std::optional<Duration> gap) {
  connection_ = Connection{identity, gap};
  connected_ = true;
  ++connections_;
  listing_wanted_ = true;
  wake();
}

void LastUseRecorder::on_lost() {
  parts_.ledger.lost();
  connected_ = false;
  ++connections_;
}

asio::awaitable<Result<void>> LastUseRecorder::turn() {
  if (!connected_) co_return Result<void>{};
  const auto connection = connections_;
  listing_wanted_ = false;
  // Containers first: an image that is pulled and started between the two lists must not look unused.
  const auto containers = co_await parts_.containers.list_containers();
  auto images = co_await parts_.images.list_images();
  if (!containers || !images) {
    listing_wanted_ = true;
    co_return containers ? images.error() : containers.error();
  }
  // Only now, so that nobody plans between what the ledger remembers and what the lists show.
  if (connection_ && connection == connections_) {
    const auto made = std::exchange(connection_, std::nullopt);
    co_await parts_.ledger.connected(made->identity, made->gap);
    if (parts_.worth != nullptr) co_await parts_.worth->connected(made->identity);
  }
  // Lists of an engine that is gone say nothing of the one that answers now.
  if (connection != connections_) {
    listing_wanted_ = true;
    co_return Error(Errc::kUnavailable, "the connection to the engine changed in between");
  }
  auto listed = std::make_shared<std::vector<ports::ImageRecord>>(*std::move(images));
  auto learned = co_await learn(listed);
  if (!learned || connection != connections_) {
    listing_wanted_ = true;
    co_return learned ? Error(Errc::kUnavailable, "the connection to the engine changed in between")
                      : std::move(learned).error();
  }
  if (parts_.worth != nullptr) co_await parts_.worth->seen(listed);
  use_containers(*containers);
  settle_all();
  co_await pass_uses_on(std::move(listed));
  if (parts_.builders != nullptr) co_await parts_.builders->learn(*containers);
  co_return Result<void>{};
}

asio::awaitable<void> LastUseRecorder::run() {
  using std::chrono::steady_clock;
  std::optional<std::uint64_t> failed_on;  // the connection
  auto next = steady_clock::now() + kListEvery;
  bool soon = false;
  while (!loop_timer_.stopped()) {
    co_await look_at_new_containers();
    if (listing_wanted_ && connected_ && failed_on != connections_ && !soon) {
      // A short wait, which gathers the companions of the event that wants it.
      soon = true;
      next = std::min(next, steady_clock::now() + (connection_ ? Duration{0} : kListSoon));
    }
    if (steady_clock::now() < next) {
      co_await loop_timer_.sleep_until(next);
      continue;
    }
    const auto done = co_await turn();
    failed_on.reset();
    if (!done) failed_on = connections_;
    soon = false;
    next = steady_clock::now() + (done ? kListEvery : kRetryAfter);
  }
}

bool LastUseRecorder::is_pulled_ahead(const ports::EngineEvent& event) const {
  if (event.action != "pull" || event.before_start || !parts_.pulled_ahead) return false;
  const auto ahead = parts_.pulled_ahead();
  return !ahead.empty() && policy::normalised_reference(event.id) == policy::normalised_reference(ahead);
}

std::vector<std::string> LastUseRecorder::ids_of(const std::string& image) const {
  const auto from = [this](const std::string& name) {
    return std::lower_bound(known_->names.begin(), known_->names.end(), name,
                            [](const auto& entry, const std::string& wanted) { return entry.first < wanted; });
  };
  const auto reference = policy::normalised_reference(image);
  const auto exact = from(reference);
  if (exact != known_->names.end() && exact->first == reference) return {exact->second};
  const auto start = policy::id_start(image);
  if (!start) return {};
  std::vector<std::string> ids;
  for (auto at = from(*start); at != known_->names.end() && at->first.starts_with(*start); ++at) {
    ids.push_back(at->second);
  }
  return ids;
}

void LastUseRecorder::note(Use use) {
  if (!use.before_start && settle(use)) return;
  auto name = use.image;
  const bool is_new = !unknown_.contains(name);
  waiting_uses_.insert_or_assign(std::move(name), std::move(use));
  if (!is_new) return;  // what brings the image there is an event of its own
  listing_wanted_ = true;
  wake();
}

asio::awaitable<void> LastUseRecorder::look_at_new_containers() {
  while (!made_.empty() && connected_) {
    const auto event = std::move(made_.front());
    made_.erase(made_.begin());
    const auto images = co_await parts_.containers.mounted_images(event.id);
    if (!images) continue;  // gone already
    for (const auto& image : *images) note(Use{image, event.at, "mounted by a container", false, true, true});
  }
}

// Cuts a long sleep short; a short one goes on, so that a burst of events makes one list.
void LastUseRecorder::wake() { loop_timer_.wake_if_longer_than(kListSoon); }

LastUseRecorder::Known LastUseRecorder::read(const std::vector<ports::ImageRecord>& images) {
  Known known;
  for (const auto& image : images) {
    known.ids.push_back(image.id);
    known.names.emplace_back(image.id, image.id);
    for (const auto& name : image.names()) known.names.emplace_back(policy::normalised_reference(name), image.id);
  }
  std::sort(known.ids.begin(), known.ids.end());
  std::sort(known.names.begin(), known.names.end());
  return known;
}

// Ten thousand images are some twenty milliseconds: read on a worker, which also frees what was known before.
ports::Async<void> LastUseRecorder::learn(Listed images) {
  auto known = std::make_shared<std::shared_ptr<const Known>>(known_);
  std::function<Result<std::shared_ptr<const Known>>()> work = [images,
                                                                known]() -> Result<std::shared_ptr<const Known>> {
    const auto before = std::move(*known);
    return std::shared_ptr<const Known>(std::make_shared<const Known>(read(*images)));
  };
  const auto connection = connections_;
  auto done = co_await parts_.workers.compute<std::shared_ptr<const Known>>(std::move(work), kReadDeadline);
  if (!done) co_return std::move(done).error();
  if (connection != connections_) co_return Result<void>{};
  known_ = *std::move(done);
  const std::shared_ptr<const std::vector<std::string>> ids(known_, &known_->ids);
  co_await parts_.ledger.seen(ids);
  co_return Result<void>{};
}

asio::awaitable<void> LastUseRecorder::pass_uses_on(Listed images) {
  auto uses = std::make_shared<std::vector<WallTime>>();
  const Now now = parts_.clock.now();
  CooperativeYield others;
  for (const auto& image : *images) {
    uses->push_back(parts_.ledger.last_use(image.id, now).at);
    co_await others.yield();
  }
  using Passed = std::vector<std::pair<std::string, std::string>>;
  // Nobody changes the list: a job that was given up may still read it. The last one to let go of it is a worker.
  std::function<Result<Passed>()> work = [images, uses]() -> Result<Passed> { return inherited(*images, *uses); };
  images.reset();
  const auto connection = connections_;
  const auto passed = co_await parts_.workers.compute<Passed>(std::move(work), kReadDeadline);
  if (!passed || connection != connections_) co_return;
  for (const auto& [id, user] : *passed) parts_.ledger.used_through(id, user);
}

bool LastUseRecorder::settle(const Use& use) {
  const auto ids = ids_of(use.image);
  for (const auto& id : ids) {
    const bool is_old = use.before_start && use.at <= parts_.ledger.last_use(id, parts_.clock.now()).at;
    if (is_old) continue;
    parts_.ledger.used(id, use.at, use.why);
    if (use.is_begin && parts_.worth != nullptr) parts_.worth->used(id, use.at, use.runs);
  }
  return !ids.empty();
}

void LastUseRecorder::settle_all() {
  unknown_.clear();
  for (const auto& [name, use] : std::exchange(waiting_uses_, {})) {
    if (!settle(use)) unknown_.insert(name);
  }
}

void LastUseRecorder::use_containers(const std::vector<ports::ContainerRecord>& containers) {
  images_of_.clear();
  for (const auto& container : containers) {
    if (!container.image_id.empty()) images_of_.emplace(container.id, container.image_id);
    if (!runs(container)) continue;
    const auto now = parts_.clock.now().wall;
    const auto why = format("container {} runs", container.name);
    if (parts_.ledger.has(container.image_id)) parts_.ledger.used(container.image_id, now, why);
    for (const auto& image : container.mounted_images) settle(Use{image, now, why, false, false});
  }
}

}  // namespace buildwarden::disk
