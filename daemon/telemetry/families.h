// Views of the rooms as metric families. Values that are not known are left out rather than shown as something else;
// counters are there from the start, at zero.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "daemon/ports/builders.h"
#include "daemon/ports/config.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/emulation.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/instance.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/seeds.h"
#include "daemon/ports/worth.h"
#include "daemon/telemetry/event_log.h"

namespace buildwarden::telemetry {

using Families = std::vector<prometheus::MetricFamily>;

void add_disk(Families& families, const ports::DiskView& view);
void add_rungs(Families& families, const ports::DiskView& view);
void add_builders(Families& families, const ports::BuildersView& view);
// How old each builder's seed is, and what it holds.
void add_seeds(Families& families, const ports::SeedsView& view);
// What was saved and what was regretted, of the host; nothing until it is loaded.
void add_savings(Families& families, const ports::SavingsView& view);
void add_emulators(Families& families, const ports::EmulatorsView& view);
void add_jobs(Families& families, const ports::JobsView& view);
void add_engine(Families& families, const ports::EngineStatus& status);
void add_config(Families& families, const ports::ConfigView& view);
void add_termination(Families& families, const ports::TerminationView& view);
void add_events(Families& families, const EventLog& events);

}  // namespace buildwarden::telemetry
