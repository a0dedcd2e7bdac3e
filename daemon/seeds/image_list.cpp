#include "daemon/seeds/image_list.h"

#include <chrono>
#include <functional>
#include <utility>

#include "common/cooperative_yield.h"
#include "daemon/policy/seed.h"
#include "daemon/policy/worth_inputs.h"

namespace buildwarden::seeds {
namespace {

policy::Candidate ranked_image(const policy::ImageRecord& image, const policy::ImageFacts& facts) {
  auto candidate = policy::image_candidate(image);
  candidate.last_use.at = facts.use.last_use;
  candidate.is_beside = image.is_dangling();
  return candidate;
}

}  // namespace

// Ten thousand are some tens of milliseconds: on a worker.
ports::Async<std::vector<std::string>> list_valuable_images(ImageList list, Now now) {
  constexpr Duration kDeadline = std::chrono::seconds{30};
  const auto records = co_await list.images.list_images();
  if (!records) co_return records.error();
  auto candidates = std::make_shared<std::vector<policy::Candidate>>();
  auto facts = std::make_shared<std::vector<policy::ImageFacts>>();
  CooperativeYield others;
  for (const auto& record : *records) {
    facts->push_back(list.worth.facts_of(record.id, now));
    candidates->push_back(ranked_image(record, facts->back()));
    co_await others.yield();
  }
  const auto rates = list.worth.rates();
  auto without = std::move(list.without);
  const auto most = list.most;
  std::function<Result<std::vector<std::string>>()> work = [candidates, facts, rates, without, most, now] {
    policy::value_images(*candidates, *facts, rates, now.wall);
    return Result<std::vector<std::string>>(policy::seed_images(std::move(*candidates), most, without));
  };
  co_return co_await list.workers.compute<std::vector<std::string>>(std::move(work), kDeadline);
}

}  // namespace buildwarden::seeds
