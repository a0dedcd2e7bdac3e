// What a builder's turns come to: its state as others see it, its outages, and the events about both.
#pragma once

#include "daemon/builders/builder.h"
#include "daemon/policy/builder.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/journal.h"

namespace buildwarden::builders {

// Takes over the plan's state and reason. Records "builder.state" when the state changes; but an outage that is healed
// within kQuietHeal is told once, when it ends, by "builder.healed": for how long it was gone, why, what was done and
// how long that took. One that takes longer, or that ends in "down", is told as it is, too.
inline constexpr Duration kQuietHeal = std::chrono::seconds{10};
void note_plan(Builder& builder, const policy::BuilderPlan& plan, Now now, ports::Journal& journal);

// Before steps are carried out: begins an outage if it was warm before and none has begun.
void note_outage(Builder& builder, const policy::BuilderStep& first, Now now);

// Before `next` is the memory: where the engine has restarted the container on its own since the last look, an outage
// that ends as a heal (rule "engine_restarted"), though nothing is done about it.
void note_engine_restart(Builder& builder, const policy::BuilderMemory& next, Now now);

// In a dry run instead of carrying out: records "builder.would", once for each new plan.
void note_dry_run(Builder& builder, const std::vector<policy::BuilderStep>& steps, ports::Journal& journal);

// Before steps that change the volume: records "builder.fresh_volume", with how to undo it.
void note_volume(const Builder& builder, const policy::BuilderStep& first, ports::Journal& journal);

// Records "builder.asked": who wants it made anew.
void note_request(const Builder& builder, const ports::Recreation& request, bool dry_run, ports::Journal& journal);

// An engine event about one of its containers, by which it stops being warm or a front goes; the first one counts.
void note_loss(Builder& builder, Now now);

ports::BuilderView view_of(const Builder& builder, std::string endpoint, std::vector<std::string> leases);

}  // namespace buildwarden::builders
