// What was learned of things, as a test says it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "daemon/ports/worth.h"

namespace buildwarden::testing {

class FixedWorth final : public ports::LearnedWorth {
 public:
  std::map<std::string, policy::ImageFacts> images;  // by id
  [[nodiscard]] policy::ImageFacts facts_of(const std::string& id, Now now) const override {
    const auto known = images.find(id);
    if (known != images.end()) return known->second;
    return {policy::first_use(now.wall), {}};
  }
  [[nodiscard]] std::shared_ptr<const policy::Slots> slots_of(const std::string& /*builder*/) const override {
    return slots_;
  }
  [[nodiscard]] const policy::PullRates& rates() const override { return rates_; }
  [[nodiscard]] policy::CacheBefore cache_before(const std::string& /*builder*/) const override { return {}; }
  boost::asio::awaitable<bool> keep(std::string /*builder*/, std::shared_ptr<const policy::Slots> /*before*/,
                                    std::shared_ptr<const policy::SlotsLearned> /*learned*/) override {
    co_return false;
  }

 private:
  std::shared_ptr<const policy::Slots> slots_ = std::make_shared<const policy::Slots>();
  policy::PullRates rates_;
};

}  // namespace buildwarden::testing
