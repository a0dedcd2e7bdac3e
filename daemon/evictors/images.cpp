#include "daemon/evictors/images.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/format.h"
#include "daemon/evictors/eviction_result.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kValueDeadline = std::chrono::seconds{30};

ports::EvictionResult deleted(Bytes reported) {
  ports::EvictionResult taken;
  taken.reported = reported;
  return taken;
}

}  // namespace

ports::Async<std::vector<policy::Candidate>> DanglingImages::list(const policy::RungTurn& turn) {
  return in_use_check_.plan(true, turn);
}

ports::Async<ports::EvictionResult> DanglingImages::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_after_asking(candidate);
}

ports::Async<ports::EvictionResult> DanglingImages::evict_after_asking(policy::Candidate candidate) {
  const auto images = co_await images_.list_images();
  if (!images) co_return images.error();
  const auto now = std::find_if(images->begin(), images->end(),
                                [&candidate](const auto& image) { return image.id == candidate.id; });
  if (now == images->end()) co_return dropped("already gone");
  if (!now->is_dangling()) co_return dropped(format("it has a name now: {}", now->name()));
  const auto reason_to_keep = co_await in_use_check_.ask_again(candidate);
  if (!reason_to_keep) co_return reason_to_keep.error();
  if (!reason_to_keep->empty()) co_return dropped(*reason_to_keep);
  const auto removed = co_await images_.remove_image(candidate.id);
  if (removed) in_use_check_.gone(candidate);
  co_return evicted_or_dropped(removed, candidate.size);
}

ports::Async<std::vector<policy::Candidate>> UnusedImages::list(const policy::RungTurn& turn) {
  return list_valued(turn);
}

ports::Async<std::vector<policy::Candidate>> UnusedImages::list_valued(policy::RungTurn turn) {
  auto candidates = co_await in_use_check_.plan(false, std::move(turn));
  const bool by_value = worth_ && worth_->ledger != nullptr && worth_->settings.disk.rank_by == RankBy::kValue;
  if (!candidates || !by_value) co_return candidates;
  co_return co_await valued(*std::move(candidates));
}

// Ten thousand are some tens of milliseconds: on a worker.
ports::Async<std::vector<policy::Candidate>> UnusedImages::valued(std::vector<policy::Candidate> candidates) {
  const auto now = clock_.now();
  auto facts = std::make_shared<std::vector<policy::ImageFacts>>();
  facts->reserve(candidates.size());
  CooperativeYield others;
  for (const auto& candidate : candidates) {
    facts->push_back(worth_->ledger->facts_of(candidate.id, now));
    co_await others.yield();
  }
  auto all = std::make_shared<std::vector<policy::Candidate>>(std::move(candidates));
  const auto rates = worth_->ledger->rates();
  std::function<Result<std::vector<policy::Candidate>>()> work = [all, facts, rates, now] {
    policy::value_images(*all, *facts, rates, now.wall);
    return Result<std::vector<policy::Candidate>>(std::move(*all));
  };
  co_return co_await worth_->workers.compute<std::vector<policy::Candidate>>(std::move(work), kValueDeadline);
}

ports::Async<ports::EvictionResult> UnusedImages::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_after_asking(candidate);
}

// Which of the references names something else by now; "" when none does.
ports::Async<std::string> UnusedImages::moved(policy::Candidate candidate) {
  for (const auto& reference : candidate.references) {
    const auto id = co_await images_.image_id(reference);
    if (!id && id.error().code() != Errc::kNotFound) co_return id.error();
    if (!id) co_return format("{} is gone", reference);
    if (*id != candidate.id) co_return format("{} names {} now", reference, *id);
  }
  co_return std::string();
}

ports::Async<ports::EvictionResult> UnusedImages::evict_after_asking(policy::Candidate candidate) {
  const auto moved_name = co_await moved(candidate);
  if (!moved_name) co_return moved_name.error();
  if (!moved_name->empty()) co_return dropped(*moved_name);
  const auto reason_to_keep = co_await in_use_check_.ask_again(candidate);
  if (!reason_to_keep) co_return reason_to_keep.error();
  if (!reason_to_keep->empty()) co_return dropped(*reason_to_keep);
  std::size_t gone = 0;
  for (const auto& reference : candidate.references) {
    if (gone > 0) {
      const auto moved_on = co_await moved_meanwhile(reference, candidate);
      if (!moved_on && moved_on.error().code() == Errc::kNotFound) continue;
      if (!moved_on) co_return moved_on.error();
      if (!moved_on->empty()) co_return dropped(format("{}; {} of its names were removed before", *moved_on, gone));
    }
    const auto removed = co_await images_.remove_image(reference);
    const auto left = dropped_by_engine(removed);
    if (!left) co_return left.error();
    if (!left->empty()) co_return dropped(*left);
    ++gone;
  }
  in_use_check_.gone(candidate);
  if (worth_ && worth_->witness != nullptr) worth_->witness->image_deleted(candidate.id);
  co_return deleted(candidate.size);
}

// A digest goes with the last tag of its repository.
ports::Async<std::string> UnusedImages::moved_meanwhile(std::string reference, policy::Candidate candidate) {
  const auto id = co_await images_.image_id(reference);
  const bool is_digest = reference.find('@') != std::string::npos;
  if (!id && is_digest && id.error().code() == Errc::kNotFound) co_return id.error();
  if (!id || *id != candidate.id) co_return format("{} moved", reference);
  co_return in_use_check_.changed(candidate);
}

}  // namespace buildwarden::disk
