// The status page for people: one HTML document, complete without its script, which only fetches it again.
#pragma once

#include <deque>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/chart_events.h"
#include "daemon/api/disk_plans.h"
#include "daemon/api/html.h"
#include "daemon/api/space_history.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/config.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/emulation.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/health.h"
#include "daemon/ports/instance.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/prefetch.h"
#include "daemon/ports/seeds.h"
#include "daemon/ports/worth.h"

namespace buildwarden::api {

inline constexpr std::size_t kEventsOnPage = 60;

// All that the page shows, of one moment.
struct PageFacts {
  Now now;
  Now started;
  std::string host;
  std::string version;
  bool dry_run = false;
  std::vector<ports::NotReady> not_ready;
  ports::ConfigView config;
  ports::EngineStatus engine;
  ports::DiskView disk;
  std::vector<std::vector<SpaceHistory::Sample>> history;  // of each of disk.filesystems
  std::deque<ChartEvent> chart_events;
  std::optional<DiskPlan> plan;  // nothing: none was made yet
  ports::BuildersView builders;
  ports::EmulatorsView emulators;
  ports::JobsView jobs;
  ports::TerminationView termination;
  ports::PrefetchView prefetch;
  ports::SeedsView seeds;
  ports::SavingsView savings;
  std::vector<ports::RecordedEvent> events;  // oldest first, at most kEventsOnPage
  std::string journal_error;
};

// The whole document. Every size stands beside its bytes (<data value>), every time beside its RFC 3339 (<time
// datetime>).
std::string render_page(const PageFacts& facts);

// Content-Security-Policy of the document: its own style and script by their hashes, nothing else, from nowhere else.
std::string page_policy();

// The sections; each is replaced as a whole by the page's script.
Markup page_termination(const PageFacts& facts);
Markup page_disks(const PageFacts& facts);
// What would go when space is needed.
Markup page_next(const PageFacts& facts);
// Where there are any that are known, or where they may go.
Markup page_checkouts(const PageFacts& facts);
Markup page_builders(const PageFacts& facts);
Markup page_emulators(const PageFacts& facts);
Markup page_jobs(const PageFacts& facts);
Markup page_prefetch(const PageFacts& facts);
Markup page_seeds(const PageFacts& facts);
Markup page_savings(const PageFacts& facts);
Markup page_events(const PageFacts& facts);

// Free space over the last hour with the marks, the reclaims of that filesystem and the heals of builders and, while it
// fills, the forecast up to critical. `samples` may be empty.
struct ChartHistory {
  std::vector<SpaceHistory::Sample> samples;
  std::deque<ChartEvent> chart_events{};
};
Markup page_chart(const ports::FilesystemSnapshot& disk, ChartHistory history, Now now);

// ---- what the sections share

// A name from outside; its text's direction does not reach beyond it.
Markup name_html(std::string_view name);
Markup size_html(Bytes bytes);
// "3 min ago", or "in 3 min".
std::string when_text(WallTime at, Now now);
Markup when_html(WallTime at, Now now);
// "41 s", "3 min", "2 h 5 min", "4 d": rounded down.
std::string brief(Duration duration);
// `mood`: good, warn, bad, quiet. The word says it, too: never the colour alone.
Markup pill_html(std::string_view word, std::string_view mood);
// One section with its heading; `hint` stands small beside it.
Markup section_html(std::string_view id, std::string_view heading, std::string_view hint, const Markup& body);
// Roles stand beside the elements that have them: without columns, on a narrow screen, browsers forget them.
Markup table_html(std::string_view style, std::initializer_list<std::string_view> columns, const Markup& rows);
// A cell; `label` is its column's name where there is no room for columns.
Markup cell_html(std::string_view label, const Markup& body);

}  // namespace buildwarden::api
