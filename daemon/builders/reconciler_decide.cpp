// What the reconciler wants, and what policy makes of it.
#include <string>
#include <utility>

#include "common/format.h"
#include "daemon/builders/reconciler.h"
#include "daemon/builders/toml.h"

namespace buildwarden::builders {

policy::BuilderPlan Reconciler::decide(const Builder& builder, const Observation& seen, Now now) const {
  policy::BuilderPlan plan;
  plan.memory = builder.memory;
  const auto wanted = desired(builder, seen);
  if (!wanted) {
    plan.reason = wanted.error().message();
    plan.rule = "invalid";
    return plan;
  }
  plan = policy::reconcile(*wanted, seen.builder, builder.memory, now);
  if (!seen.unknown.empty()) plan.reason = seen.unknown;
  return plan;
}

Result<policy::DesiredBuilder> Reconciler::desired(const Builder& builder, const Observation& seen) const {
  const auto facts = host(builder);
  const auto real = real_spec(builder.settings, facts);
  if (!real) return real.error();
  policy::DesiredBuilder wanted;
  wanted.name = builder.settings.name;
  wanted.adopt_foreign = builder.settings.on_foreign == OnForeign::kAdopt;
  wanted.recreate = builder.asked ? builder.asked->how : policy::Recreation::kNone;
  wanted.engine_settles = settings_.engine_settles;
  if (ports_.awaited) wanted.awaits = ports_.awaited(wanted.name);
  wanted.fronts = builder.fronts;
  wanted.spec_digest =
      spec_digest(config_digest(*real, buildkitd_toml(builder.settings)), seen.image_id, seen.builder.real.spec_digest);
  // All fronts are of one configuration; where the image is not known, the first one that exists says which they are
  // of.
  std::string observed;
  for (const auto& [name, front] : seen.builder.fronts) observed = observed.empty() ? front.spec_digest : observed;
  const auto front = front_spec(builder.settings, facts, builder.fronts.front());
  wanted.front_digest = spec_digest(config_digest(front, ""), seen.image_id, observed);
  return wanted;
}

HostFacts Reconciler::host(const Builder& builder) const {
  HostFacts facts;
  facts.paths = settings_.paths;
  facts.agent_group = settings_.agent_group;
  facts.host_userns = settings_.userns_remap || ports_.engine.status().identity.userns_remap;
  facts.proxies = ports_.engine.status().identity.proxies;
  facts.data_root = ports_.engine.status().identity.root_dir;
  facts.volumes = {builder.memory.crash.volume, builder.memory.crash.newest};
  return facts;
}

}  // namespace buildwarden::builders
