// What a job is given so that it can use builders, and which jobs were given which.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"
#include "daemon/builders/context_ids.h"
#include "daemon/ports/builders.h"

namespace buildwarden::builders {

class Handout final : public ports::Handout {
 public:
  // Without `contexts` no context is ever reused.
  Handout(std::vector<BuilderSettings> builders, PathSettings paths, ContextIds* contexts = nullptr);

  // From now on these are handed out; who holds one already keeps it.
  void reconfigure(std::vector<BuilderSettings> builders) { builders_ = std::move(builders); }

  // Also waits for a builder that the request names and that is being healed or does not answer, for less than a
  // second: buildx itself would wait in whole seconds, and a client takes two of silence for an absent daemon. One that
  // it names and that is being filled from a seed is waited for as long as that may take, and the progress says so.
  boost::asio::awaitable<void> prepare(ports::GrantRequest request) override;

  // An instance file for each builder; `use` names one of them, or an alias, and is granted too when `builders` leaves
  // it out. Remembers the lease; a second grant of the same job replaces the first. With
  // `reuse_context`, a pipeline and a checkout path also `.buildNodeID`. A builder that does not answer is left out: a
  // build on it would hang for 40 s before it fails. Beside an unknown builder kInvalid also means:
  // a `cache_name` that is none.
  Result<ports::Grant> grant(const ports::GrantRequest& request) override;
  void release(const std::string& job) override;

  // Who knows whether a builder is being healed at this moment; without it nobody waits.
  void ask_healing(std::function<bool(const std::string& builder)> healing) { healing_ = std::move(healing); }

  // Who knows why a builder is not to be handed out now, "" when it is; without it all are.
  void ask_withheld(std::function<std::string(const std::string& builder)> why) { withheld_ = std::move(why); }

  // Who waits for a builder that is being filled from a seed before its first start; without it nobody does.
  using WaitForSeed = std::function<boost::asio::awaitable<void>(std::string builder, ports::Progress progress)>;
  void wait_for_seeds(WaitForSeed wait) { seeds_ = std::move(wait); }

  // Told of each builder that nobody holds any more.
  void on_left(std::function<void(const std::string& builder)> listener) { left_ = std::move(listener); }

  // Jobs that may be building on it now, sorted.
  [[nodiscard]] std::vector<std::string> leases_on(const std::string& builder) const;

 private:
  [[nodiscard]] const BuilderSettings* find(const std::string& name_or_alias) const;
  [[nodiscard]] Error unknown_builder(const std::string& field, const std::string& name) const;
  Result<std::vector<const BuilderSettings*>> chosen(const ports::GrantRequest& request) const;

  [[nodiscard]] std::vector<std::string> named_builders(const ports::GrantRequest& request) const;
  [[nodiscard]] bool is_any_healing(const ports::GrantRequest& request) const;
  [[nodiscard]] bool is_unready(const std::string& builder) const;
  void reuse_context(const ports::GrantRequest& request, ports::Grant& grant) const;
  // Takes those out that are not to be handed out; why.
  [[nodiscard]] std::string withhold(std::vector<const BuilderSettings*>& granted) const;

  std::vector<BuilderSettings> builders_;
  PathSettings paths_;
  ContextIds* contexts_;
  std::function<void(const std::string&)> left_;
  std::function<bool(const std::string&)> healing_;
  std::function<std::string(const std::string&)> withheld_;
  WaitForSeed seeds_;
  std::map<std::string, std::set<std::string>> leases_;  // job → builders
};

}  // namespace buildwarden::builders
