#include "daemon/disk/image_guard.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "common/breather.h"
#include "common/format.h"
#include "common/pause.h"
#include "daemon/disk/engine_answers.h"
#include "daemon/disk/references.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kEventPause{20};

}  // namespace

ImageGuard::ImageGuard(Parts parts) : parts_(parts) {}

ports::Async<std::vector<policy::Candidate>> ImageGuard::plan(bool dangling, policy::RungTurn turn) {
  const auto status = parts_.engine.status();
  if (!status.up) co_return Error(Errc::kUnavailable, format("the engine is down: {}", status.reason));
  const bool known = co_await ledger_knows(status.identity);
  if (!known) co_return Error(Errc::kUnavailable, "the ledger of last use does not know this engine yet");
  planned_on_ = status.identity;
  auto users = co_await this->users(std::move(turn.pretended));
  if (!users) co_return std::move(users).error();
  const auto listed = co_await images(std::move(turn.found));
  if (!listed) co_return Error(listed.error()).with_context("list images");
  std::vector<policy::Candidate> candidates;
  const Now now = parts_.clock.now();
  Breather breather;
  for (const auto& image : **listed) {
    co_await breather.breathe();
    if (image.tags.empty() != dangling) continue;
    policy::Candidate candidate;
    candidate.id = image.id;
    candidate.name = dangling ? image.id.substr(0, 7 + 12) : image.tags.front();
    candidate.size = image.size;
    candidate.last_use = parts_.ledger.last_use(image.id, now);
    candidate.references = image.tags;
    candidate.in_use_by = user_of(*users, candidate);
    candidate.protected_as = protection_of(candidate);
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

ports::Async<ImageGuard::Listed> ImageGuard::images(std::shared_ptr<policy::Findings> found) {
  if (found && found->images) co_return found->images;
  auto images = co_await parts_.images.list_images();
  if (!images) co_return std::move(images).error();
  auto listed = std::make_shared<const std::vector<ports::ImageRecord>>(*std::move(images));
  if (found) found->images = listed;
  co_return listed;
}

// Polled: it is a matter of some milliseconds after a connect, and of no event that others must tell.
boost::asio::awaitable<bool> ImageGuard::ledger_knows(ports::EngineIdentity identity) {
  using WaitClock = boost::asio::steady_timer::clock_type;
  const auto until = WaitClock::now() + parts_.ledger_patience;
  while (!parts_.ledger.knows(identity)) {
    const auto status = parts_.engine.status();
    if (!status.up || status.identity != identity || WaitClock::now() >= until) co_return false;
    co_await pause_for(kEventPause);
  }
  co_return true;
}

ports::Async<std::string> ImageGuard::ask_again(policy::Candidate candidate) {
  std::shared_ptr<const policy::Pretended> nothing;
  auto users = co_await this->users(std::move(nothing));
  if (!users) co_return std::move(users).error();
  if (const auto user = user_of(*users, candidate); !user.empty()) co_return format("in use by {}", user);
  if (const auto role = protection_of(candidate); !role.empty()) co_return format("protected: {}", role);
  co_return changed(candidate);
}

std::string ImageGuard::changed(const policy::Candidate& candidate) const {
  const auto status = parts_.engine.status();
  if (auto change = engine_changed(status, planned_on_); !change.empty()) return change;
  if (!parts_.ledger.knows(status.identity)) return "the ledger of last use has lost track of the engine";
  const auto use = parts_.ledger.last_use(candidate.id, parts_.clock.now());
  if (use.at != candidate.last_use.at) {
    return format("used since the plan, at {}: {}", format_rfc3339(use.at), parts_.ledger.why(candidate.id));
  }
  return "";
}

ports::Async<ImageGuard::Users> ImageGuard::users(std::shared_ptr<const policy::Pretended> pretended) {
  const auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return Error(containers.error()).with_context("list containers");
  Users users;
  for (const auto& container : *containers) {
    if (policy::is_pretended(pretended, container.id)) continue;
    const auto user = format("container {}", container.name);
    users.emplace(container.image_id, user);
    users.emplace(normalised_reference(container.image), user);
  }
  co_return users;
}

std::string ImageGuard::user_of(const Users& users, const policy::Candidate& candidate) const {
  const auto by_id = users.find(candidate.id);
  if (by_id != users.end()) return by_id->second;
  for (const auto& reference : candidate.references) {
    const auto by_name = users.find(normalised_reference(reference));
    if (by_name != users.end()) return by_name->second;
  }
  return "";
}

std::string ImageGuard::protection_of(const policy::Candidate& candidate) const {
  for (const auto& held : parts_.in_use.now().image_references) {
    const auto name = normalised_reference(held);
    if (held == candidate.id) return format("held as {}", held);
    for (const auto& reference : candidate.references) {
      if (normalised_reference(reference) == name) return format("held as {}", held);
    }
  }
  return "";
}

}  // namespace buildwarden::disk
