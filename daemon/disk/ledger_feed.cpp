#include "daemon/disk/ledger_feed.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "common/format.h"
#include "daemon/disk/references.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kListEvery = std::chrono::seconds{60};
constexpr Duration kListSoon{500};
constexpr Duration kRetryAfter = std::chrono::seconds{5};
constexpr Duration kReadDeadline = std::chrono::seconds{30};

bool image_was_used(const std::string& action) {
  static const std::set<std::string> uses = {"pull", "push", "tag", "load", "import", "save", "create"};
  return uses.contains(action);
}

// Everything that happens to a container but its removal; "exec_start: sh" and the like included.
bool container_used_image(const std::string& action) { return action != "destroy" && action != "prune"; }

bool runs(const ports::ContainerRecord& container) {
  using policy::ContainerState;
  return container.state == ContainerState::kRunning || container.state == ContainerState::kPaused ||
         container.state == ContainerState::kRestarting;
}

}  // namespace

LedgerFeed::LedgerFeed(Parts parts) : parts_(std::move(parts)) {}

void LedgerFeed::on_event(const ports::EngineEvent& event) {
  parts_.ledger.heard(event.at, event.before_start);
  if (parts_.builders != nullptr) parts_.builders->on_event(event);
  if (event.type == "container" && container_used_image(event.action)) {
    const auto image = event.attributes.find("image");
    if (image == event.attributes.end()) return;
    note(Use{image->second, event.at, format("container {}", event.action), event.before_start});
  } else if (event.type == "image") {
    if (image_was_used(event.action) && !is_pulled_ahead(event)) {
      note(Use{event.id, event.at, format("image {}", event.action), event.before_start});
    }
    listing_wanted_ = true;
    wake();
  }
}

void LedgerFeed::on_connected(const ports::EngineIdentity& identity, std::optional<Duration> gap) {
  connection_ = Connection{identity, gap};
  connected_ = true;
  ++connections_;
  listing_wanted_ = true;
  wake();
}

void LedgerFeed::on_lost() {
  parts_.ledger.lost();
  connected_ = false;
  ++connections_;
}

asio::awaitable<Result<void>> LedgerFeed::turn() {
  if (!connected_) co_return Result<void>{};
  const auto connection = connections_;
  listing_wanted_ = false;
  // Containers first: an image that is pulled and started between the two lists must not look unused.
  const auto containers = co_await parts_.containers.list_containers();
  const auto images = co_await parts_.images.list_images();
  if (!containers || !images) {
    listing_wanted_ = true;
    co_return containers ? images.error() : containers.error();
  }
  // Only now, so that nobody plans between what the ledger remembers and what the lists show.
  if (connection_ && connection == connections_) {
    const auto made = std::exchange(connection_, std::nullopt);
    co_await parts_.ledger.connected(made->identity, made->gap);
  }
  // Lists of an engine that is gone say nothing of the one that answers now.
  if (connection != connections_) {
    listing_wanted_ = true;
    co_return Error(Errc::kUnavailable, "the connection to the engine changed in between");
  }
  auto learned = co_await learn(*std::move(images));
  if (!learned || connection != connections_) {
    listing_wanted_ = true;
    co_return learned ? Error(Errc::kUnavailable, "the connection to the engine changed in between")
                      : std::move(learned).error();
  }
  use_containers(*containers);
  for (const auto& [name, use] : std::exchange(waiting_uses_, {})) settle(use);
  if (parts_.builders != nullptr) co_await parts_.builders->learn(*containers);
  co_return Result<void>{};
}

asio::awaitable<void> LedgerFeed::run() {
  bool failed = false;
  while (!pace_.stopped()) {
    const bool soon = listing_wanted_ && connected_ && !failed;
    const auto gathering = connection_ ? Duration{0} : kListSoon;
    co_await pace_.rest(soon ? gathering : failed ? kRetryAfter : kListEvery);
    if (pace_.stopped()) break;
    // Cut short by an event: what it wants is done after the short wait that gathers its companions.
    if (!soon && !failed && listing_wanted_) continue;
    const auto done = co_await turn();
    failed = !done;
  }
}

bool LedgerFeed::is_pulled_ahead(const ports::EngineEvent& event) const {
  if (event.action != "pull" || event.before_start || !parts_.pulled_ahead) return false;
  const auto ahead = parts_.pulled_ahead();
  return !ahead.empty() && normalised_reference(event.id) == normalised_reference(ahead);
}

std::string LedgerFeed::id_of(const std::string& image) const {
  const auto from = [this](const std::string& name) {
    return std::lower_bound(known_->names.begin(), known_->names.end(), name,
                            [](const auto& entry, const std::string& wanted) { return entry.first < wanted; });
  };
  const auto reference = normalised_reference(image);
  const auto exact = from(reference);
  if (exact != known_->names.end() && exact->first == reference) return exact->second;
  const auto whole = image.substr(0, 7) == "sha256:" ? image : "sha256:" + image;
  const auto at_least = from(whole);
  const bool is_prefix = at_least != known_->names.end() && at_least->first.substr(0, whole.size()) == whole;
  return is_prefix && whole.size() >= 7 + 12 ? at_least->second : "";
}

void LedgerFeed::note(Use use) {
  const auto id = id_of(use.image);
  if (!id.empty() && !use.before_start) {
    parts_.ledger.used(id, use.at, use.why);
    return;
  }
  auto name = use.image;
  waiting_uses_.insert_or_assign(std::move(name), std::move(use));
  listing_wanted_ = true;
  wake();
}

// Cuts a long sleep short; a short one goes on, so that a burst of events makes one list.
void LedgerFeed::wake() { pace_.wake_if_longer_than(kListSoon); }

LedgerFeed::Known LedgerFeed::read(const std::vector<ports::ImageRecord>& images) {
  Known known;
  for (const auto& image : images) {
    known.ids.push_back(image.id);
    known.names.emplace_back(image.id, image.id);
    for (const auto& tag : image.tags) known.names.emplace_back(normalised_reference(tag), image.id);
  }
  std::sort(known.ids.begin(), known.ids.end());
  std::sort(known.names.begin(), known.names.end());
  return known;
}

// Ten thousand images are some twenty milliseconds: read on a worker, which also frees the lists.
ports::Async<void> LedgerFeed::learn(std::vector<ports::ImageRecord> images) {
  auto list = std::make_shared<std::vector<ports::ImageRecord>>(std::move(images));
  auto known = std::make_shared<std::shared_ptr<const Known>>(known_);
  std::function<Result<std::shared_ptr<const Known>>()> work = [list, known]() -> Result<std::shared_ptr<const Known>> {
    const auto all = std::move(*list);
    const auto before = std::move(*known);
    return std::shared_ptr<const Known>(std::make_shared<const Known>(read(all)));
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

void LedgerFeed::settle(const Use& use) {
  const auto id = id_of(use.image);
  if (id.empty()) return;
  if (use.before_start && use.at <= parts_.ledger.last_use(id, parts_.clock.now()).at) return;
  parts_.ledger.used(id, use.at, use.why);
}

void LedgerFeed::use_containers(const std::vector<ports::ContainerRecord>& containers) {
  for (const auto& container : containers) {
    if (!runs(container) || container.image_id.empty()) continue;
    parts_.ledger.used(container.image_id, parts_.clock.now().wall, format("container {} runs", container.name));
  }
}

}  // namespace buildwarden::disk
